package identity

import (
	"bytes"
	"crypto/ed25519"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/cordon-project/cordon/appliance/config"
	"github.com/cordon-project/cordon/cluster/audit"
)

// LoadCluster reads cluster.json strictly.
func LoadCluster(path string) (audit.Cluster, error) {
	text, err := readPublic("cluster file", path, audit.MaxClusterFile)
	if err != nil {
		return audit.Cluster{}, err
	}
	c, err := audit.ParseCluster(text)
	if err != nil {
		return audit.Cluster{}, fmt.Errorf("cluster file %s is damaged; copy it again from the folder cordon init made: %w", path, err)
	}
	return c, nil
}

// loadMade reads the cluster file of the directory that Init made.
func loadMade(dir string) (audit.Cluster, error) {
	path := filepath.Join(dir, ClusterFile)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return audit.Cluster{}, fmt.Errorf("%s does not exist; --dir names the directory that cordon init made, with its ca/", path)
	}
	return LoadCluster(path)
}

// Profile is profile.json, by which cordon commands reach the cluster as an operator.
type Profile struct {
	Cluster string   `json:"cluster"` // its id
	API     []string `json:"api"`     // https://ADDRESS:PORT of each control node
	CA      string   `json:"ca"`      // paths, resolved against the profile's folder when loaded
	Cert    string   `json:"cert"`
	Key     string   `json:"key"`
}

// LoadProfile reads an operator's profile.json.
func LoadProfile(path string) (Profile, error) {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return Profile{}, fmt.Errorf("profile %s does not exist; --profile or CORDON_PROFILE names it: operator/profile.json of cordon init, or dev.json of cordon dev", path)
	}
	text, err := readFile("profile", path)
	if err != nil {
		return Profile{}, err
	}
	var p Profile
	if err := json.Unmarshal(text, &p); err != nil || len(p.API) == 0 || p.Cluster == "" || p.CA == "" || p.Cert == "" || p.Key == "" {
		return Profile{}, fmt.Errorf("profile %s is not one that cordon init wrote (cluster, api, ca, cert, key); copy it again", path)
	}
	for _, f := range []*string{&p.CA, &p.Cert, &p.Key} {
		if store, name := config.StoreOf(*f); store != config.Credential && !filepath.IsAbs(name) {
			*f = store.Reference(filepath.Join(filepath.Dir(path), name))
		}
	}
	return p, nil
}

// TLS is ClientTLS with the profile's files.
func (p Profile) TLS() (*tls.Config, error) { return ClientTLS(p.CA, p.Cert, p.Key, p.Cluster) }

// Enrolment is what the cluster's log must hold of an edge before it may pull lists; the file edge.pub.
type Enrolment struct {
	Name      string            `json:"name"`
	Key       ed25519.PublicKey `json:"key"`
	Recipient string            `json:"recipient"`
}

// LoadEnrolment reads an edge's edge.pub.
func LoadEnrolment(path string) (Enrolment, error) {
	text, err := readFile("enrolment", path)
	if err != nil {
		return Enrolment{}, err
	}
	var e Enrolment
	if err := strict(text, &e); err != nil || !config.ValidNodeName(e.Name) || len(e.Key) != ed25519.PublicKeySize || e.Recipient == "" {
		return Enrolment{}, fmt.Errorf("enrolment %s is not one that cordon wrote (name, key, recipient); copy it again", path)
	}
	return e, nil
}

// strict reads one JSON object without unknown keys or anything after it.
func strict(text []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return errors.New("something follows the object")
	}
	return nil
}
