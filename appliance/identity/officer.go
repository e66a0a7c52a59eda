package identity

import (
	"crypto"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/cordon-project/cordon/appliance/config"
	"github.com/cordon-project/cordon/cluster/audit/order"
)

// Names of the files of an officer's folder.
const (
	OfficerFile = "officer.pub"
	officerKey  = "officer.key"
)

// Officer is a person of the operator's who signs orders, with the key of its folder.
type Officer struct {
	Name string
	Key  crypto.Signer // Ed25519, in locked memory
}

// NewOfficer makes the folder of an officer, whole or not at all: its key, and officer.pub for who makes the cluster. ErrExists when the
// folder is in use.
func NewOfficer(dir, name string, development bool) (order.Officer, error) {
	if !config.ValidNodeName(name) {
		return order.Officer{}, fmt.Errorf("%q cannot name an officer; use small letters, digits and hyphens inside, at most 63", name)
	}
	public, private, err := newSigningKey(development)
	if err != nil {
		return order.Officer{}, err
	}
	o := order.Officer{Name: name, Key: public}
	err = whole(dir, func(tmp string) error {
		w := writer{dir: tmp}
		w.secret(officerKey, private)
		w.public(OfficerFile, indent(o))
		return w.err
	})
	if err != nil {
		return order.Officer{}, fmt.Errorf("make officer %s: %w", name, err)
	}
	return o, nil
}

// LoadOfficerPublic reads an officer.pub.
func LoadOfficerPublic(path string) (order.Officer, error) {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return order.Officer{}, fmt.Errorf("officer's public key %s does not exist; name what cordon officer made for this person", path)
	}
	text, err := readFile("officer's public key", path)
	if err != nil {
		return order.Officer{}, err
	}
	var o order.Officer
	if err := strict(text, &o); err != nil || !config.ValidNodeName(o.Name) || len(o.Key) != ed25519.PublicKeySize {
		return order.Officer{}, fmt.Errorf("officer's public key %s is not an officer.pub that cordon officer wrote (name, key); copy it again", path)
	}
	return o, nil
}

// LoadOfficer reads an officer's folder: the private key belongs to the public one beside it.
func LoadOfficer(dir string) (Officer, error) {
	public, err := LoadOfficerPublic(filepath.Join(dir, OfficerFile))
	if err != nil {
		return Officer{}, err
	}
	key, err := LoadSigningKey(filepath.Join(dir, officerKey))
	if err != nil {
		return Officer{}, err
	}
	if !public.Key.Equal(key.Private.Public()) {
		return Officer{}, fmt.Errorf("officer's folder %s: %s does not belong to %s; restore both from the same backup", dir, officerKey, OfficerFile)
	}
	return Officer{Name: public.Name, Key: key.Private}, nil
}
