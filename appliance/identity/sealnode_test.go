package identity

import (
	"crypto/ed25519"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cordon-project/cordon/appliance/config"
	"github.com/cordon-project/cordon/appliance/identity/seal/sealtest"
)

func TestASealedNodeHasNoKeyOnItsDisk(t *testing.T) {
	tpm := sealtest.Start(t)
	dir := made(t, plan())
	for _, node := range []struct {
		file string
		age  string
		load func(path string) (key, cert, tls, age string, store config.Store, err error)
	}{
		{"control-1/control.yaml", "cluster.agekey", func(path string) (string, string, string, string, config.Store, error) {
			c, err := config.LoadControl(path)
			if err != nil {
				return "", "", "", "", 0, err
			}
			return c.Key, c.Certificate, c.CertificateKey, c.ClusterKey, c.KeyStore(), nil
		}},
		{"edge-1/edge.yaml", "edge.agekey", func(path string) (string, string, string, string, config.Store, error) {
			e, err := config.LoadEdge(path)
			if err != nil {
				return "", "", "", "", 0, err
			}
			return e.Key, e.Certificate, e.CertificateKey, e.Identity, e.KeyStore(), nil
		}},
	} {
		path := filepath.Join(dir, node.file)
		home := filepath.Dir(path)
		before, err := LoadSigningKey(filepath.Join(home, "node.key"))
		if err != nil {
			t.Fatal(err)
		}
		ageBefore, err := LoadAge(filepath.Join(home, node.age))
		if err != nil {
			t.Fatal(err)
		}
		sealed, err := SealNode(SealPlan{Config: path, Device: tpm.Device})
		if err != nil || len(sealed) != 3 {
			t.Fatalf("%s: sealed %v, %v", node.file, sealed, err)
		}
		files, err := os.ReadDir(home)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			b, err := os.ReadFile(filepath.Join(home, f.Name()))
			if err == nil && (strings.Contains(string(b), "PRIVATE KEY") || strings.Contains(string(b), "AGE-SECRET-KEY")) {
				t.Errorf("%s holds a key in the clear", f.Name())
			}
		}
		key, cert, tlsKey, age, store, err := node.load(path)
		if err != nil || store != config.TPM {
			t.Fatalf("%s reads: store %v, %v", node.file, store, err)
		}
		if got, err := LoadSigningKey(key); err != nil || !before.Private.Public().(ed25519.PublicKey).Equal(got.Private.Public()) {
			t.Errorf("signing key of %s: %v", node.file, err)
		}
		if got, err := LoadAge(age); err != nil || got.Recipient != ageBefore.Recipient {
			t.Errorf("age identity of %s: %v", node.file, err)
		}
		if _, err := ClientTLS(filepath.Join(home, "ca.crt"), cert, tlsKey, "x"); err != nil {
			t.Errorf("TLS key of %s: %v", node.file, err)
		}
		if _, err := SealNode(SealPlan{Config: path, Device: tpm.Device}); err == nil || !strings.Contains(err.Error(), "nothing to seal") {
			t.Errorf("sealed again: %v", err)
		}

		// Another machine's TPM, or this one cleared: the error says what to do.
		tpm.Clear()
		if _, err := LoadAge(age); err == nil || !strings.Contains(err.Error(), "cleared") || !strings.Contains(err.Error(), "cordon seal") {
			t.Errorf("after the TPM was cleared: %v", err)
		}
		t.Log(func() error { _, err := LoadAge(age); return err }())
	}
}

// Whatever fails, the node goes on as it was.
func TestASealingThatFailsChangesNothing(t *testing.T) {
	tpm := sealtest.Start(t)
	for _, test := range []struct {
		name, want string
		device     string
		edit       func(text string) string
	}{
		{"no TPM", "there is none at this place", filepath.Join(t.TempDir(), "none"), nil},
		{"a file that is no TPM", "the TPM cannot be used", "/dev/null", nil},
		{"a key on a line of its own", "write tpm:", tpm.Device, func(s string) string {
			return strings.Replace(s, "identity: edge.agekey", "identity:\n  edge.agekey", 1)
		}},
		{"a file that does not read", "nonsense", tpm.Device, func(s string) string { return s + "nonsense: 1\n" }},
	} {
		t.Run(test.name, func(t *testing.T) {
			home := filepath.Join(made(t, plan()), "edge-1")
			path := filepath.Join(home, "edge.yaml")
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if test.edit != nil {
				if text = []byte(test.edit(string(text))); os.WriteFile(path, text, 0o600) != nil {
					t.Fatal("write")
				}
			}
			if _, err := SealNode(SealPlan{Config: path, Device: test.device}); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want one with %q", err, test.want)
			}
			if now, err := os.ReadFile(path); err != nil || string(now) != string(text) {
				t.Errorf("the YAML file has changed: %v", err)
			}
			for _, f := range []string{"node.key", "tls.key", "edge.agekey"} {
				if _, err := os.Stat(filepath.Join(home, f)); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

func TestPlainKeysCanBeKept(t *testing.T) {
	tpm := sealtest.Start(t)
	home := filepath.Join(made(t, plan()), "edge-1")
	path := filepath.Join(home, "edge.yaml")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(strings.Replace(string(text), "identity: edge.agekey", "identity: \"edge.agekey\"  # as cordon init made it", 1)), 0o640); err != nil {
		t.Fatal(err)
	}
	sealed, err := SealNode(SealPlan{Config: path, Device: tpm.Device, PCRs: []uint{7}, Keep: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range sealed {
		if _, err := os.Stat(s.Was); err != nil {
			t.Error(err)
		}
	}
	tpm.Measure(7, "another boot loader")
	if _, err := LoadAge("tpm:" + filepath.Join(home, "edge.agekey.tpm")); err == nil || !strings.Contains(err.Error(), "start the machine as it was") {
		t.Errorf("with another boot loader: %v", err)
	}
}
