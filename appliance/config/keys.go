package config

import (
	"path/filepath"
	"strings"
)

// Store is what guards a key of the file when the machine is off, weakest first.
type Store uint8

// The stores.
const (
	// Disk: a plain file. Whoever has the disk has the key.
	Disk Store = iota
	// Credential: systemd hands it over. "credential:NAME" is read from $CREDENTIALS_DIRECTORY/NAME; how well it is kept is the unit's matter
	// (LoadCredentialEncrypted).
	Credential
	// TPM: "tpm:PATH" is a file that only this machine's TPM opens (cordon seal).
	TPM
)

var storePrefix = map[Store]string{Credential: "credential:", TPM: "tpm:"}

// String is the store in one word, as logs and status show it.
func (s Store) String() string {
	if p := storePrefix[s]; p != "" {
		return strings.TrimSuffix(p, ":")
	}
	return "disk"
}

// Reference is what the file says of a key called rest in this store; StoreOf takes it apart.
func (s Store) Reference(rest string) string { return storePrefix[s] + rest }

// StoreOf says where the key is that the file names so, and by what path or credential.
func StoreOf(reference string) (s Store, rest string) {
	for s, prefix := range storePrefix {
		if rest, ok := strings.CutPrefix(reference, prefix); ok {
			return s, rest
		}
	}
	return Disk, reference
}

// KeyStore is the weakest store of this node's keys.
func (c *Control) KeyStore() Store { return weakest(c.Key, c.CertificateKey, c.ClusterKey) }

// KeyStore is the weakest store of this edge's keys.
func (e *Edge) KeyStore() Store { return weakest(e.Key, e.CertificateKey, e.Identity) }

func weakest(references ...string) Store {
	least := TPM
	for _, r := range references {
		if s, _ := StoreOf(r); r != "" {
			least = min(least, s)
		}
	}
	return least
}

// resolve makes a path of the file relative to the file's folder; credentials and absolute paths stay.
func resolve(base, reference string) string {
	s, rest := StoreOf(reference)
	if s == Credential || rest == "" || filepath.IsAbs(rest) {
		return reference
	}
	return s.Reference(filepath.Join(base, rest))
}
