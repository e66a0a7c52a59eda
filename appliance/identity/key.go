package identity

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"

	"filippo.io/age"

	"github.com/cordon-project/cordon/resolver/match/locked"
)

// developmentMark is the line in a key file that cordon dev made. It stops a mistake, not an attacker: what binds is
// "development" in cluster.json, which is part of the cluster's id.
const developmentMark = "# Cordon-Development: true"

// SigningKey is a node's Ed25519 key, in locked memory for as long as the process runs, and the ML-DSA-44 key that is made of its seed.
type SigningKey struct {
	Private     crypto.Signer
	MLDSA       crypto.Signer
	Development bool // made by cordon dev: must be refused elsewhere
}

// AgeKey is an age identity: the cluster key of control nodes, or an edge's node key. It is in locked memory for as long as the process runs.
type AgeKey struct {
	Identity    age.Identity
	Recipient   string // its public half
	Development bool   // made by cordon dev: must be refused elsewhere
	Memory      locked.Mode
}

// LoadSigningKey reads a signing key (PKCS#8 PEM, Ed25519) from a path, credential:NAME or tpm:PATH. The error is one sentence:
// what, where, what to do.
func LoadSigningKey(path string) (SigningKey, error) {
	var key SigningKey
	err := withSecret("signing key", path, func(text []byte) error {
		private, err := parsePrivate("signing key", path, text)
		if err != nil {
			return err
		}
		plain, ok := private.(ed25519.PrivateKey)
		if !ok {
			return fmt.Errorf("signing key %s is not an Ed25519 key; use the node.key that cordon init wrote for this node", path)
		}
		defer clear(plain)
		key.Development = isDevelopment(text)
		if key.Private, err = holdSigner(plain); err != nil {
			return err
		}
		key.MLDSA, err = holdMLDSA(plain)
		return err
	})
	return key, err
}

// LoadAge reads an age X25519 identity from a path, credential:NAME or tpm:PATH. The error is one sentence: what, where, what
// to do.
func LoadAge(path string) (AgeKey, error) {
	var key AgeKey
	err := withSecret("age identity", path, func(text []byte) error {
		var found [][]byte
		for line := range bytes.Lines(text) {
			if line = bytes.TrimSpace(line); len(line) > 0 && line[0] != '#' {
				found = append(found, line)
			}
		}
		if len(found) != 1 {
			return fmt.Errorf("age identity %s holds %d keys instead of one; copy the .agekey file that cordon init wrote for this node", path, len(found))
		}
		id, recipient, err := holdAge(found[0])
		if err != nil {
			// The parser's own error may quote the key.
			return fmt.Errorf("age identity %s is damaged or of another type than AGE-SECRET-KEY-1; copy the .agekey file that cordon init wrote for this node", path)
		}
		key = AgeKey{Identity: id, Recipient: recipient, Development: isDevelopment(text), Memory: id.text.Mode()}
		return nil
	})
	return key, err
}

// loadPrivate reads the one PKCS#8 key of a PEM file.
func loadPrivate(what, path string) (key crypto.PrivateKey, err error) {
	err = withSecret(what, path, func(text []byte) error {
		key, err = parsePrivate(what, path, text)
		return err
	})
	return key, err
}

func parsePrivate(what, path string, text []byte) (crypto.PrivateKey, error) {
	damaged := fmt.Errorf("%s %s is not one unencrypted PKCS#8 key in PEM; copy the file again from the folder cordon init made", what, path)
	block, rest := pem.Decode(text)
	if block == nil {
		return nil, damaged
	}
	defer clear(block.Bytes)
	if block.Type != "PRIVATE KEY" || len(block.Headers) > 0 || len(bytes.TrimSpace(rest)) > 0 {
		return nil, damaged
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, damaged
	}
	return key, nil
}

func isDevelopment(text []byte) bool {
	for line := range bytes.Lines(text) {
		if string(bytes.TrimSpace(line)) == developmentMark {
			return true
		}
	}
	return false
}

func newSigningKey(development bool) (ed25519.PublicKey, []byte, error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("make signing key: %w", err)
	}
	text, err := privatePEM(private, development)
	return public, text, err
}

func privatePEM(key crypto.PrivateKey, development bool) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encode key: %w", err)
	}
	return mark(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), development), nil
}

func mark(text []byte, development bool) []byte {
	if !development {
		return text
	}
	return append([]byte(developmentMark+"\n"), text...)
}

// ageText is an age identity as a file, and its public half.
type ageText struct {
	recipient string
	text      []byte
}

func newAge(development bool) (ageText, error) {
	id, err := age.GenerateX25519Identity()
	if err != nil {
		return ageText{}, fmt.Errorf("make age identity: %w", err)
	}
	public := id.Recipient().String()
	return ageText{public, mark([]byte("# public key: "+public+"\n"+id.String()+"\n"), development)}, nil
}
