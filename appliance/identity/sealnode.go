package identity

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"

	"github.com/google/renameio/v2"

	"github.com/cordon-project/cordon/appliance/config"
	"github.com/cordon-project/cordon/appliance/identity/seal"
	"github.com/cordon-project/cordon/resolver/match/locked"
)

// SealPlan is what SealNode needs to know.
type SealPlan struct {
	Config string // the node's YAML file
	Device string // the TPM; empty: seal.Device
	PCRs   []uint // open only while these are what they are now; empty: in any state of the machine
	Keep   bool   // leave the plain key files where they are
}

// Sealed is one key that SealNode has sealed.
type Sealed struct {
	Key  string // of the YAML file
	File string // the sealed file
	Was  string // the plain file, which is removed unless Keep
}

// sealedSuffix is added to the name of a key file.
const sealedSuffix = ".tpm"

// SealNode seals every key of a node that is a plain file to this machine's TPM, opens each again to be sure, has the YAML file name the
// sealed ones, and removes the plain ones. When it fails the YAML file and the plain keys are as they were.
func SealNode(p SealPlan) ([]Sealed, error) {
	if p.Device == "" {
		p.Device = seal.Device
	}
	text, keys, err := readNode(p.Config)
	if err != nil {
		return nil, err
	}
	var done []Sealed
	for _, k := range keys {
		if store, path := config.StoreOf(k.path); store == config.Disk {
			done = append(done, Sealed{Key: k.name, File: path + sealedSuffix, Was: path})
		}
	}
	if len(done) == 0 {
		return nil, fmt.Errorf("%s names no key that is a plain file; there is nothing to seal", p.Config)
	}
	for _, s := range done {
		if err := sealFile(s, p); err != nil {
			return nil, err
		}
	}
	if text, err = rewrite(text, done); err != nil {
		return nil, fmt.Errorf("%s: %w", p.Config, err)
	}
	if err := replaceConfig(p.Config, text); err != nil {
		return nil, err
	}
	if p.Keep {
		return done, nil
	}
	var errs []error
	for _, s := range done {
		errs = append(errs, os.Remove(s.Was))
	}
	if err := errors.Join(errs...); err != nil {
		return done, fmt.Errorf("the keys are sealed and %s names them, but a plain file is still there: %w; remove it yourself", p.Config, err)
	}
	return done, nil
}

// nodeKey is a key that a node's YAML file names.
type nodeKey struct{ name, path string }

// readNode reads the YAML file of either kind of node.
func readNode(path string) ([]byte, []nodeKey, error) {
	text, err := readPublic("configuration", path, config.MaxFile)
	if err != nil {
		return nil, nil, err
	}
	if regexp.MustCompile(`(?m)^raft_listen\s*:`).Match(text) {
		c, err := config.LoadControl(path)
		if err != nil {
			return nil, nil, err
		}
		return text, []nodeKey{{"key", c.Key}, {"certificate_key", c.CertificateKey}, {"cluster_key", c.ClusterKey}}, nil
	}
	e, err := config.LoadEdge(path)
	if err != nil {
		return nil, nil, err
	}
	return text, []nodeKey{{"key", e.Key}, {"certificate_key", e.CertificateKey}, {"identity", e.Identity}}, nil
}

// sealFile writes the sealed file and opens it again.
func sealFile(s Sealed, p SealPlan) error {
	return withSecret("key", s.Was, func(plain []byte) error {
		sealed, err := seal.Seal(p.Device, p.PCRs, plain)
		if err != nil {
			return fmt.Errorf("key %s: %w", s.Was, err)
		}
		if err := renameio.WriteFile(s.File, bytes.Clone(sealed), 0o600); err != nil {
			return fmt.Errorf("write %s: %w", s.File, err)
		}
		if err := ownedLike(s.File, s.Was); err != nil {
			return err
		}
		v, err := locked.New[keyText]()
		if err != nil {
			return err
		}
		defer v.Close()
		n, err := unseal("key", s.File, v.Get()[:])
		if err != nil {
			return err
		}
		if !bytes.Equal(v.Get()[:n], plain) {
			return fmt.Errorf("key %s: what the TPM at %s gives back is not what was sealed; do not use this TPM", s.Was, p.Device)
		}
		return nil
	})
}

// ownedLike gives a file the owner of another: who seals is root more often than who runs the node.
func ownedLike(path, model string) error {
	info, err := os.Stat(model)
	if err != nil {
		return fmt.Errorf("look at %s: %w", model, err)
	}
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		if err := os.Chown(path, int(s.Uid), int(s.Gid)); err != nil {
			return fmt.Errorf("give %s to the owner of %s: %w", path, model, err)
		}
	}
	return nil
}

var acceptLine = regexp.MustCompile(`(?m)^accept_key_on_disk\s*:.*$`)

// rewrite has the text name the sealed files, in the lines that name the plain ones, and leaves everything else as it is.
func rewrite(text []byte, sealed []Sealed) ([]byte, error) {
	for _, s := range sealed {
		line := regexp.MustCompile(`(?m)^` + s.Key + `\s*:[ \t]*(\S+)[ \t]*(?:#.*)?$`)
		m := line.FindSubmatchIndex(text)
		if m == nil {
			return nil, fmt.Errorf("%s is not a line of its own; write %s yourself", s.Key, config.TPM.Reference(s.File))
		}
		was := strings.Trim(string(text[m[2]:m[3]]), `"'`)
		text = bytes.Join([][]byte{text[:m[2]], []byte(config.TPM.Reference(was) + sealedSuffix), text[m[3]:]}, nil)
	}
	return acceptLine.ReplaceAll(text, []byte("accept_key_on_disk: false")), nil
}

// replaceConfig puts a new text in the place of a YAML file when it reads well and has no key on disk.
func replaceConfig(path string, text []byte) error {
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".cordon-*.yaml")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	defer os.Remove(f.Name())
	_, err = f.Write(text)
	if err = errors.Join(err, f.Chmod(info.Mode().Perm()), f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	_, keys, err := readNode(f.Name())
	if err != nil {
		return fmt.Errorf("%s with sealed keys does not read well and stays as it was: %w", path, err)
	}
	for _, k := range keys {
		if store, _ := config.StoreOf(k.path); store == config.Disk {
			return fmt.Errorf("%s: %s could not be rewritten; write tpm:%s%s yourself", path, k.name, k.path, sealedSuffix)
		}
	}
	if err := ownedLike(f.Name(), path); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return syncFolder(filepath.Dir(path))
}
