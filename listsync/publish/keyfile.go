package publish

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"filippo.io/age"

	"github.com/cordon-project/cordon/listsync/trust"
)

// PublicKey is the content of a .pub file: a signer's name and Ed25519 key. It is no secret.
type PublicKey struct {
	V         int    `json:"v"`
	Role      string `json:"role"` // officer, root, accreditation, snapshot, timestamp, log, popularity
	Name      string `json:"name"`
	KeyID     string `json:"keyid"`
	Ed25519   string `json:"ed25519"`             // hex
	Recipient string `json:"recipient,omitempty"` // of an officer: the age recipient that requests to sign are encrypted to
}

// Roles a key may have. A key has one.
const (
	roleRoot          = "root"
	roleAccreditation = "accreditation"
	roleOfficer       = "officer"
	roleSnapshot      = "snapshot"
	roleTimestamp     = "timestamp"
	rolePopularity    = "popularity"
	roleLog           = "log"
)

// maxName bounds the names of people, hotlines and operators.
const maxName = 80

func newPublicKey(role, name string, pub ed25519.PublicKey) PublicKey {
	return PublicKey{V: 1, Role: role, Name: name, KeyID: trust.KeyID(pub), Ed25519: hex.EncodeToString(pub)}
}

// check refuses a public key file that was edited or belongs to another role.
func (p PublicKey) check(role string) error {
	raw, err := hex.DecodeString(p.Ed25519)
	switch {
	case p.V != 1:
		return fmt.Errorf("version %d is unknown", p.V)
	case p.Role != role:
		return fmt.Errorf("it is %s key, not %s key", article(printable(p.Role)), article(role))
	case err != nil || len(raw) != ed25519.PublicKeySize:
		return errors.New("the key is not 32 bytes of hex")
	}
	if err := checkName(p.Name); err != nil {
		return err
	}
	if trust.KeyID(raw) != p.KeyID {
		return errors.New("the key id does not belong to the key")
	}
	if p.Role == roleOfficer {
		if _, err := trust.ParseRecipient(p.Recipient); err != nil {
			return errors.New("it has no age recipient that requests can be encrypted to")
		}
	} else if p.Recipient != "" {
		return errors.New("only officers have a recipient")
	}
	return nil
}

// public gives the key itself; check has passed.
func (p PublicKey) public() ed25519.PublicKey {
	raw, _ := hex.DecodeString(p.Ed25519)
	return raw
}

// checkName wants one printable line that a person would call a name.
func checkName(s string) error {
	if s == "" || len(s) > maxName || strings.TrimSpace(s) != s || printable(s) != s {
		return fmt.Errorf("a name has 1 to %d printable characters on one line", maxName)
	}
	return nil
}

// makeKey writes DIR/<file>.key (PKCS#8 PEM, 0600) and DIR/<file>.pub (JSON) and gives the public part.
func makeKey(c Config, dir, file, role, name string) (PublicKey, error) {
	seed := make([]byte, ed25519.SeedSize)
	if err := c.random(seed); err != nil {
		return PublicKey{}, fmt.Errorf("make a %s key: %w", role, err)
	}
	key := ed25519.NewKeyFromSeed(seed)
	clear(seed)
	pub := newPublicKey(role, name, key.Public().(ed25519.PublicKey))
	if role == roleOfficer {
		var err error
		if pub.Recipient, err = makeIdentity(dir); err != nil {
			return PublicKey{}, err
		}
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return PublicKey{}, err
	}
	block := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	clear(der)
	defer clear(block)
	if err := writeFile(filepath.Join(dir, file+".key"), block, 0o600); err != nil {
		return PublicKey{}, fault(CodeFailure, err, "name a place where you may write", "cannot write the %s key in %s", role, dir)
	}
	if err := writeJSON(filepath.Join(dir, file+".pub"), pub, 0o644); err != nil {
		return PublicKey{}, fault(CodeFailure, err, "name a place where you may write", "cannot write the %s key in %s", role, dir)
	}
	return pub, nil
}

// identityFile holds an officer's age identity: what requests that are carried to another machine are encrypted to.
const identityFile = "officer.age"

// makeIdentity writes DIR/officer.age and gives its recipient.
func makeIdentity(dir string) (string, error) {
	id, err := age.GenerateX25519Identity()
	if err == nil {
		err = writeFile(filepath.Join(dir, identityFile), []byte(id.String()+"\n"), 0o600)
	}
	if err != nil {
		return "", fault(CodeFailure, err, "name a place where you may write", "cannot write %s in %s", identityFile, dir)
	}
	return id.Recipient().String(), nil
}

// loadIdentity reads an officer's age identity, which must be that of officer.pub.
func loadIdentity(dir string, pub PublicKey) (age.Identity, error) {
	path := filepath.Join(dir, identityFile)
	if err := private(path); err != nil {
		return nil, err
	}
	b, err := readSmall(path)
	defer clear(b)
	var id *age.X25519Identity
	if err == nil {
		id, err = age.ParseX25519Identity(strings.TrimSpace(string(b)))
	}
	if err != nil {
		return nil, fault(CodeInput, err, "name the directory of one officer, with officer.key, officer.age and officer.pub in it", "cannot use %s", path)
	}
	if id.Recipient().String() != pub.Recipient {
		return nil, sentence(CodeInput, nil, "put the files of one person back together", "%s and officer.pub in %s do not belong together", identityFile, dir)
	}
	return id, nil
}

// private wants a file that only its owner can read.
func private(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return fault(CodeInput, err, "check the path", "cannot read %s", path)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return sentence(CodeInput, nil, "run: chmod 600 "+path, "the private key %s can be read by other users of this machine", path)
	}
	return nil
}

// signingKey is a private key, or what makes its signatures, and whose it is.
type signingKey struct {
	PublicKey
	private crypto.Signer
}

// loadKey reads DIR/<file>.key and DIR/<file>.pub and checks that they belong together and to role.
func loadKey(c Config, dir, file, role string) (signingKey, error) {
	path := filepath.Join(dir, file+".key")
	do := fmt.Sprintf("name the directory of one %s, with %s.key and %s.pub in it", role, file, file)
	if _, err := os.Stat(path); err != nil {
		return signingKey{}, fault(CodeInput, err, do, "cannot read the %s key in %s", role, dir)
	}
	if err := private(path); err != nil {
		return signingKey{}, err
	}
	b, err := readSmall(path)
	if err != nil {
		return signingKey{}, fault(CodeInput, err, do, "cannot read the %s key in %s", role, dir)
	}
	defer clear(b)
	if role == roleOfficer && bytes.HasPrefix(bytes.TrimSpace(b), []byte("{")) {
		return loadTokenKey(c, dir, path, b)
	}
	block, rest := pem.Decode(b)
	if block == nil || block.Type != "PRIVATE KEY" || len(strings.TrimSpace(string(rest))) > 0 {
		return signingKey{}, sentence(CodeInput, nil, do, "%s is not one PEM block PRIVATE KEY", path)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return signingKey{}, fault(CodeInput, err, do, "cannot read %s", path)
	}
	private, ok := parsed.(ed25519.PrivateKey)
	if !ok {
		return signingKey{}, sentence(CodeInput, nil, do, "%s is not an Ed25519 key", path)
	}
	pub, err := readPublicKey(filepath.Join(dir, file+".pub"), role)
	if err != nil {
		return signingKey{}, err
	}
	if !pub.public().Equal(private.Public()) {
		return signingKey{}, sentence(CodeInput, nil, "put the two files of one person back together", "%s.key and %s.pub in %s do not belong together", file, file, dir)
	}
	return signingKey{PublicKey: pub, private: private}, nil
}

// loadTokenKey is loadKey for an officer whose key is in a token. The token is not asked before it has to sign.
func loadTokenKey(c Config, dir, path string, b []byte) (signingKey, error) {
	var ref tokenKey
	if err := decodeJSON(b, &ref); err != nil || ref.V != 1 || !filepath.IsAbs(ref.Helper) {
		return signingKey{}, fault(CodeInput, err, "write v 1, pkcs11 and helper as officer --pkcs11 does", "%s names no key in a token", path)
	}
	if _, _, err := parseTokenURI(ref.PKCS11); err != nil {
		return signingKey{}, fault(CodeInput, err, "write it as pkcs11:token=NAME;object=NAME?module-path=/path/of/the/library.so", "%s has a PKCS#11 URI that cannot be used", path)
	}
	pub, err := readPublicKey(filepath.Join(dir, "officer.pub"), roleOfficer)
	if err != nil {
		return signingKey{}, err
	}
	return signingKey{PublicKey: pub, private: &tokenSigner{c: c, ref: ref, where: path, public: pub.public()}}, nil
}

// readPublicKey reads and checks one .pub file.
func readPublicKey(path, role string) (PublicKey, error) {
	var p PublicKey
	err := readJSON(path, &p)
	if err == nil {
		err = p.check(role)
	}
	if err != nil {
		return PublicKey{}, fault(CodeInput, err, "name the .pub file of "+article(role), "%s is not the public key of %s", path, article(role))
	}
	return p, nil
}

// NewOfficer makes one officer's key directory: officer.key (private) and officer.pub (public). name is shown when a signature is
// missing; empty means the last part of dir. A directory that holds anything is refused.
func NewOfficer(c Config, dir, name string) (PublicKey, error) {
	if name == "" {
		name = filepath.Base(filepath.Clean(dir))
	}
	if err := checkName(name); err != nil {
		return PublicKey{}, fault(CodeUsage, err, "give --name a short name", "cannot name an officer %q", printable(name))
	}
	if err := freshDir(dir, "an officer's key", "officer.key"); err != nil {
		return PublicKey{}, err
	}
	return makeKey(c, dir, "officer", roleOfficer, name)
}

// printable replaces what would break a line or a terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x20 || r == 0x7f || (r >= 0x80 && r < 0xa0) || r == 0x2028 || r == 0x2029 || (r >= 0x202a && r <= 0x202e) || (r >= 0x2066 && r <= 0x2069) {
			return '?'
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
}
