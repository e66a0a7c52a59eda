package trust

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"
)

// The key of a hotline's public log, as a charter names it: a verifier key of c2sp.org/signed-note, "name+hash+base64" with an
// Ed25519 key (type 0x01). Its name is the log's origin.

const (
	maxLogName = 128
	noteType   = 0x01 // Ed25519
)

// LogKey is the verifier key of the public log with this origin. An origin that ParseLogKey would refuse is ErrFormat.
func LogKey(origin string, pub ed25519.PublicKey) (string, error) {
	typed := append([]byte{noteType}, pub...)
	s := fmt.Sprintf("%s+%x+%s", origin, logKeyHash(origin, typed), base64.StdEncoding.EncodeToString(typed))
	if _, _, err := ParseLogKey(s); err != nil {
		return "", fmt.Errorf("key of a public log: %w", err)
	}
	return s, nil
}

// ParseLogKey reads a verifier key in its one spelling. The origin has small letters, digits, dots, hyphens and slashes, and begins with a
// host name that has a dot: what the log signs is then never another message, nor another log's.
func ParseLogKey(s string) (origin string, pub ed25519.PublicKey, err error) {
	bad := func(what string) (string, ed25519.PublicKey, error) {
		return "", nil, fmt.Errorf("%w: key of a public log: %s", ErrFormat, what)
	}
	parts := strings.SplitN(s, "+", 3)
	if len(parts) != 3 {
		return bad("not name+hash+key")
	}
	host, path, _ := strings.Cut(parts[0], "/")
	if len(parts[0]) > maxLogName || path == "" || !hostName(host) || !strings.Contains(host, ".") {
		return bad("its name is not a host name with a dot and a path behind it")
	}
	for part := range strings.SplitSeq(path, "/") {
		if part == "" || part[0] == '.' || strings.Trim(part, "abcdefghijklmnopqrstuvwxyz0123456789.-") != "" {
			return bad("its name has a path of other characters than small letters, digits, dots and hyphens")
		}
	}
	typed, err := base64.StdEncoding.Strict().DecodeString(parts[2])
	if err != nil || len(typed) != 1+ed25519.PublicKeySize || typed[0] != noteType || base64.StdEncoding.EncodeToString(typed) != parts[2] {
		return bad("it is not an Ed25519 key of type 01")
	}
	if fmt.Sprintf("%x", logKeyHash(parts[0], typed)) != parts[1] {
		return bad("its hash is another key's")
	}
	return parts[0], typed[1:], nil
}

// logKeyHash is SHA-256(name ‖ "\n" ‖ type ‖ key)[:4] (c2sp.org/signed-note, Signatures).
func logKeyHash(name string, typed []byte) []byte {
	sum := sha256.Sum256(append([]byte(name+"\n"), typed...))
	return sum[:4]
}

// ListSigned is the part of a list role's file that the officers sign. It verifies nothing but the form.
func ListSigned(list []byte) ([]byte, error) {
	e, err := readEnvelope(list)
	if err != nil {
		return nil, fmt.Errorf("read list role: %w", err)
	}
	return e.signedBytes, nil
}

// ownLogKey refuses a charter whose log signs with a key that has another role.
func (c *chain) ownLogKey(charter Charter, officers Officers) error {
	if charter.Log == "" {
		return nil
	}
	_, pub, err := ParseLogKey(charter.Log)
	if err != nil {
		return err
	}
	for _, k := range c.root.keys {
		if k.Equal(pub) {
			return fmt.Errorf("%w: the public log's key is in the root", ErrKeyRoles)
		}
	}
	for _, o := range officers.Keys {
		if o.Public.Equal(pub) {
			return fmt.Errorf("%w: the public log's key is an officer's", ErrKeyRoles)
		}
	}
	return nil
}
