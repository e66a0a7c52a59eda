package witness

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	fnote "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"
)

// Signature types of c2sp.org/signed-note that this package takes.
const (
	typeLog      = 0x01 // Ed25519 over the note's text
	typeCosigner = 0x04 // Ed25519 cosignature, with a time
	typeMLDSA    = 0x06 // ML-DSA-44 cosignature, with a time; logs may sign with it too

	mldsaPublicKey = 1312 // FIPS 204, table 2
)

// Key is a verifier key in the form "name+hash+base64". The zero Key is none.
type Key struct {
	Name string
	vkey string
	typ  byte
	pub  string // the public key's bytes
	v    note.Verifier
}

// String is the vkey, in the one spelling that ParseLogKey and ParseWitnessKey take.
func (k Key) String() string { return k.vkey }

// ID is the key's id in signature lines, in hex.
func (k Key) ID() string { return fmt.Sprintf("%08x", k.v.KeyHash()) }

// ParseLogKey reads the vkey of a log: Ed25519 (0x01) or ML-DSA-44 (0x06). The key's name is the log's origin.
func ParseLogKey(vkey string) (Key, error) {
	k, err := parseKey(vkey, typeLog, typeMLDSA)
	if err != nil {
		return Key{}, fmt.Errorf("key of a log: %w", err)
	}
	return k, nil
}

// ParseWitnessKey reads the vkey of a witness: a cosignature key, Ed25519 (0x04) or ML-DSA-44 (0x06).
func ParseWitnessKey(vkey string) (Key, error) {
	k, err := parseKey(vkey, typeCosigner, typeMLDSA)
	if err != nil {
		return Key{}, fmt.Errorf("key of a witness: %w", err)
	}
	return k, nil
}

// LogKey is the Ed25519 vkey of the log with this origin.
func LogKey(origin string, pub ed25519.PublicKey) (Key, error) {
	return ParseLogKey(vkeyOf(origin, typeLog, pub))
}

// WitnessKey is the Ed25519 cosignature vkey of the witness with this name.
func WitnessKey(name string, pub ed25519.PublicKey) (Key, error) {
	return ParseWitnessKey(vkeyOf(name, typeCosigner, pub))
}

func vkeyOf(name string, typ byte, pub []byte) string {
	b := append([]byte{typ}, pub...)
	return fmt.Sprintf("%s+%08x+%s", name, keyID(name, b), encode64(b))
}

// keyID is SHA-256(name || "\n" || type || public key)[:4] (c2sp.org/signed-note, Signatures).
func keyID(name string, typed []byte) uint32 {
	h := sha256.New()
	h.Write([]byte(name))
	h.Write([]byte("\n"))
	h.Write(typed)
	return binary.BigEndian.Uint32(h.Sum(nil))
}

// parseKey is stricter than the verifiers of transparency-dev/formats, which believe the hash in a vkey,
// take any case of it, and read a plain key as a cosigner's.
func parseKey(vkey string, types ...byte) (Key, error) {
	bad := func(why string) (Key, error) {
		return Key{}, fmt.Errorf("%q is no verifier key name+hash+base64: %s: %w", clip(vkey), why, ErrFormat)
	}
	parts := strings.SplitN(vkey, "+", 3)
	if len(parts) != 3 {
		return bad("it has no two '+'")
	}
	name, hash, key64 := parts[0], parts[1], parts[2]
	if !validName(name) {
		return bad("its name is empty, longer than 255 bytes, or has spaces or control characters")
	}
	b, err := base64.StdEncoding.DecodeString(key64)
	if err != nil || len(b) == 0 || encode64(b) != key64 {
		return bad("its last part is no base64")
	}
	id, err := strconv.ParseUint(hash, 16, 32)
	if err != nil || fmt.Sprintf("%08x", id) != hash || uint32(id) != keyID(name, b) {
		return bad(fmt.Sprintf("the hash of this name and key is %08x", keyID(name, b)))
	}
	k := Key{Name: name, vkey: vkey, typ: b[0], pub: string(b[1:])}
	if !strings.Contains(string(types), string(b[:1])) {
		return bad(fmt.Sprintf("signature type 0x%02x, wanted is %s", b[0], typeList(types)))
	}
	switch k.typ {
	case typeLog:
		k.v, err = note.NewVerifier(vkey)
	case typeCosigner, typeMLDSA:
		if k.typ == typeMLDSA && len(k.pub) != mldsaPublicKey {
			return bad("wrong length")
		}
		k.v, err = fnote.NewVerifierForCosignatureV1(vkey)
	}
	if err != nil {
		return bad(err.Error())
	}
	return k, nil
}

func typeList(types []byte) string {
	var s []string
	for _, t := range types {
		s = append(s, fmt.Sprintf("0x%02x", t))
	}
	return strings.Join(s, " or ")
}

// validName is a key name of c2sp.org/signed-note: not empty, no Unicode space, no plus; and no control character.
func validName(name string) bool {
	return name != "" && len(name) <= maxName && utf8.ValidString(name) &&
		strings.IndexFunc(name, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) || r == '+' }) < 0
}

// signedAt is the time in a verified cosignature.
func signedAt(s note.Signature) (int64, error) {
	b, err := base64.StdEncoding.DecodeString(s.Base64)
	if err != nil || len(b) < 12 {
		return 0, fmt.Errorf("cosignature of %q: %w", clip(s.Name), ErrFormat)
	}
	t := binary.BigEndian.Uint64(b[4:12])
	if t > maxTime {
		return 0, fmt.Errorf("cosignature of %q: time %d out of range: %w", clip(s.Name), t, ErrFormat)
	}
	return int64(t), nil
}
