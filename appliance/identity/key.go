package identity

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"filippo.io/age"

	"github.com/cordon-project/cordon/appliance/config"
)

// maxKeyFile bounds every key and certificate file; ours have a few hundred bytes.
const maxKeyFile = 64 << 10

// developmentMark is the line in a key file that cordon dev made. It stops a mistake, not an attacker: what binds is
// "development" in cluster.json, which is part of the cluster's id.
const developmentMark = "# Cordon-Development: true"

// SigningKey is a node's Ed25519 key.
type SigningKey struct {
	Private     ed25519.PrivateKey
	Development bool // made by cordon dev: must be refused elsewhere
}

// AgeKey is an age identity: the cluster key of control nodes, or an edge's node key.
type AgeKey struct {
	Identity    *age.X25519Identity
	Development bool // made by cordon dev: must be refused elsewhere
}

// LoadSigningKey reads a signing key (PKCS#8 PEM, Ed25519) from a path or credential:NAME. The error is one sentence:
// what, where, what to do.
func LoadSigningKey(path string) (SigningKey, error) {
	private, development, err := loadPrivate("signing key", path)
	if err != nil {
		return SigningKey{}, err
	}
	key, ok := private.(ed25519.PrivateKey)
	if !ok {
		return SigningKey{}, fmt.Errorf("signing key %s is not an Ed25519 key; use the node.key that cordon init wrote for this node", path)
	}
	return SigningKey{Private: key, Development: development}, nil
}

// LoadAge reads an age X25519 identity from a path or credential:NAME. The error is one sentence: what, where, what
// to do.
func LoadAge(path string) (AgeKey, error) {
	text, err := readSecret("age identity", path)
	if err != nil {
		return AgeKey{}, err
	}
	defer clear(text)
	var found []string
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			found = append(found, line)
		}
	}
	if len(found) != 1 {
		return AgeKey{}, fmt.Errorf("age identity %s holds %d keys instead of one; copy the .agekey file that cordon init wrote for this node", path, len(found))
	}
	id, err := age.ParseX25519Identity(found[0])
	if err != nil {
		// The parser's own error may quote the key.
		return AgeKey{}, fmt.Errorf("age identity %s is damaged or of another type than AGE-SECRET-KEY-1; copy the .agekey file that cordon init wrote for this node", path)
	}
	return AgeKey{Identity: id, Development: isDevelopment(text)}, nil
}

// loadPrivate reads the one PKCS#8 key of a PEM file.
func loadPrivate(what, path string) (key crypto.PrivateKey, development bool, err error) {
	text, err := readSecret(what, path)
	if err != nil {
		return nil, false, err
	}
	defer clear(text)
	damaged := fmt.Errorf("%s %s is not one unencrypted PKCS#8 key in PEM; copy the file again from the folder cordon init made", what, path)
	block, rest := pem.Decode(text)
	if block == nil || block.Type != "PRIVATE KEY" || len(block.Headers) > 0 || len(bytes.TrimSpace(rest)) > 0 {
		return nil, false, damaged
	}
	defer clear(block.Bytes)
	key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, false, damaged
	}
	return key, isDevelopment(text), nil
}

func isDevelopment(text []byte) bool {
	for line := range bytes.Lines(text) {
		if string(bytes.TrimSpace(line)) == developmentMark {
			return true
		}
	}
	return false
}

// readSecret reads a key file, which others must not be able to read.
func readSecret(what, path string) ([]byte, error) {
	name, credential := config.IsCredential(path)
	if !credential {
		return read(what, path, maxKeyFile, true)
	}
	folder := os.Getenv("CREDENTIALS_DIRECTORY")
	if folder == "" || name != filepath.Base(name) {
		return nil, fmt.Errorf("%s %s cannot be read: systemd has handed over no such credential; add LoadCredentialEncrypted=%s to the unit", what, path, name)
	}
	return read(what, filepath.Join(folder, name), maxKeyFile, false) // systemd guards its own folder
}

// readFile reads a public file.
func readFile(what, path string) ([]byte, error) { return read(what, path, maxKeyFile, false) }

func read(what, path string, most int64, private bool) ([]byte, error) {
	f, err := os.Open(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%s %s does not exist; copy it from the folder that cordon init made for this node", what, path)
	case errors.Is(err, fs.ErrPermission):
		return nil, fmt.Errorf("%s %s cannot be read by this user; give it to the user that runs Cordon (chown)", what, path)
	case err != nil:
		return nil, fmt.Errorf("%s %s cannot be opened: %w", what, path, err)
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s %s cannot be read: %w", what, path, err)
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s %s is not a plain file; name the file itself", what, path)
	case private && info.Mode().Perm()&0o037 != 0:
		// A group may read: packages commonly keep keys as root:cordon 0640.
		return nil, fmt.Errorf("%s %s can be read or changed by others (mode %04o); run: chmod 600 %s", what, path, info.Mode().Perm(), path)
	}
	text, err := io.ReadAll(io.LimitReader(f, most+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s %s cannot be read: %w", what, path, err)
	case int64(len(text)) > most:
		return nil, fmt.Errorf("%s %s is larger than %d bytes; it is some other file", what, path, most)
	}
	return text, nil
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
