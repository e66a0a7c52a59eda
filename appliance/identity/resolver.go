package identity

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/cordon-project/cordon/appliance/config"
)

// LoadResolver reads the certificate by which subscribers know an edge as their resolver, with the chain in its file, and its key (a path or
// credential:NAME). Both come from whoever issued them, not from cordon init. The certificate must hold name; whether it is still valid is for
// the caller to see in its Leaf. The error is one sentence: what, where, what to do.
func LoadResolver(cert, key, name string) (*tls.Certificate, error) {
	if store, path := config.StoreOf(key); store == config.Disk {
		if err := there("resolver key", path); err != nil {
			return nil, err
		}
	}
	if err := there("resolver certificate", cert); err != nil {
		return nil, err
	}
	chain, err := readFile("resolver certificate", cert)
	if err != nil {
		return nil, err
	}
	var pair tls.Certificate
	err = withSecret("resolver key", key, func(text []byte) error {
		var err error
		pair, err = tls.X509KeyPair(chain, text)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("resolver certificate %s with key %s: %w; write a certificate with its chain and its own unencrypted key, both PEM", cert, key, err)
	}
	if pair.Leaf == nil {
		if pair.Leaf, err = x509.ParseCertificate(pair.Certificate[0]); err != nil {
			return nil, fmt.Errorf("resolver certificate %s: %w", cert, err)
		}
	}
	if pair.Leaf.VerifyHostname(name) != nil {
		return nil, fmt.Errorf("resolver certificate %s is not for %s but for %s; get one that names it, or change encrypted.name", cert, name,
			strings.Join(pair.Leaf.DNSNames, " "))
	}
	return &pair, nil
}

// there says that a file is not there, in words that fit files of another issuer.
func there(what, path string) error {
	if _, err := os.Stat(path); err != nil {
		return fmt.Errorf("%s %s cannot be read (%w); put it back", what, path, err.(*fs.PathError).Err)
	}
	return nil
}
