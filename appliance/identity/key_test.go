package identity

import (
	"crypto/ed25519"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestAKeyThatCannotBeUsedIsOnePlainSentence(t *testing.T) {
	dir := made(t, plan())
	node := filepath.Join(dir, "control-1")
	text := func(name string) string {
		b, err := os.ReadFile(filepath.Join(node, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	pem, ageText := text("node.key"), text("cluster.agekey")
	secret := strings.TrimSpace(ageText[strings.Index(ageText, "AGE-SECRET-KEY"):])
	signing := func(p string) error { _, err := LoadSigningKey(p); return err }
	sealed := func(p string) error { _, err := LoadAge(p); return err }
	tests := []struct {
		name string
		load func(string) error
		text string
		mode os.FileMode
		want string
	}{
		{"a signing key others can read", signing, pem, 0o644, "chmod 600"},
		{"an age key others can read", sealed, ageText, 0o604, "chmod 600"},
		{"an empty file", signing, "", 0o600, "not one unencrypted PKCS#8 key"},
		{"two keys", signing, pem + pem, 0o600, "not one unencrypted PKCS#8 key"},
		{"a certificate", signing, text("tls.crt"), 0o600, "not one unencrypted PKCS#8 key"},
		{"half a key", signing, pem[:60] + pem[80:], 0o600, "not one unencrypted PKCS#8 key"},
		{"a TLS key", signing, text("tls.key"), 0o600, "not an Ed25519 key"},
		{"something large", signing, strings.Repeat("x", maxKeyFile+1), 0o600, "larger than"},
		{"no age key", sealed, "# nothing\n", 0o600, "holds 0 keys"},
		{"two age keys", sealed, ageText + ageText, 0o600, "holds 2 keys"},
		{"a damaged age key", sealed, secret[:len(secret)-1] + "\n", 0o600, "damaged"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "the.key")
			if err := os.WriteFile(path, []byte(tt.text), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(path, tt.mode); err != nil {
				t.Fatal(err)
			}
			err := tt.load(path)
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), path) {
				t.Fatalf("got %v, want an error with %q and %s", err, tt.want, path)
			}
			if strings.Contains(err.Error(), "\n") || strings.Contains(err.Error(), secret[20:40]) {
				t.Errorf("not one sentence, or it quotes the key: %v", err)
			}
		})
	}
	if err := signing(filepath.Join(dir, "none.key")); err == nil || !strings.Contains(err.Error(), "does not exist; copy it from") {
		t.Errorf("a missing key: %v", err)
	}
	if err := signing(dir); err == nil || !strings.Contains(err.Error(), "not a plain file") {
		t.Errorf("a folder: %v", err)
	}
}

func TestAKeyIsReadFromASystemdCredential(t *testing.T) {
	node := filepath.Join(made(t, plan()), "control-1")
	text, err := os.ReadFile(filepath.Join(node, "node.key"))
	if err != nil {
		t.Fatal(err)
	}
	credentials := t.TempDir()
	if err := os.WriteFile(filepath.Join(credentials, "node"), text, 0o440); err != nil {
		t.Fatal(err)
	}
	t.Setenv("CREDENTIALS_DIRECTORY", credentials)
	want, err := LoadSigningKey(filepath.Join(node, "node.key"))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := LoadSigningKey("credential:node"); err != nil || !want.Private.Public().(ed25519.PublicKey).Equal(got.Private.Public()) {
		t.Errorf("another key, or %v", err)
	}
	for _, path := range []string{"credential:other", "credential:../node", "credential:"} {
		if _, err := LoadSigningKey(path); err == nil {
			t.Errorf("%s was read", path)
		}
	}
	t.Setenv("CREDENTIALS_DIRECTORY", "")
	if _, err := LoadSigningKey("credential:node"); err == nil || !strings.Contains(err.Error(), "LoadCredentialEncrypted=node") {
		t.Errorf("outside systemd: %v", err)
	}
}

// dev.json is a profile with more in it.
func TestAProfileMayHoldMore(t *testing.T) {
	path := filepath.Join(t.TempDir(), "dev.json")
	text := `{"dns":"127.0.0.1:1","cluster":"x","api":["https://127.0.0.1:1"],"ca":"a","cert":"/b","key":"c","pid":1}`
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	p, err := LoadProfile(path)
	if err != nil || p.Cluster != "x" || p.CA != filepath.Join(filepath.Dir(path), "a") || p.Cert != "/b" {
		t.Errorf("got %+v, %v", p, err)
	}
}

func TestADamagedProfileOrEnrolmentIsRefused(t *testing.T) {
	for _, text := range []string{"", "{}", "[]", `{"name":"edge-1"}`, `{"cluster":"x","api":[],"ca":"a","cert":"b","key":"c"}`,
		`{"cluster":"x","api":["https://127.0.0.1:1"],"ca":"a","cert":"b","key":"c"} {}`,
		`{"name":"../x","key":"AAAA","recipient":"age1"}`} {
		path := filepath.Join(t.TempDir(), "file.json")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if p, err := LoadProfile(path); err == nil {
			t.Errorf("profile %q: %+v", text, p)
		}
		if e, err := LoadEnrolment(path); err == nil {
			t.Errorf("enrolment %q: %+v", text, e)
		}
	}
}

// FuzzLoad: whatever a file holds, each loader gives a value or an error.
func FuzzLoad(f *testing.F) {
	p := plan()
	p.Development = true
	dir := filepath.Join(f.TempDir(), "operator")
	if err := Init(dir, p); err != nil {
		f.Fatal(err)
	}
	for _, name := range []string{"control-1/node.key", "control-1/tls.key", "control-1/tls.crt", "edge-1/edge.agekey", "edge-1/edge.pub",
		"operator/profile.json", "cluster.json"} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		path := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		LoadSigningKey(path)
		LoadAge(path)
		LoadProfile(path)
		LoadEnrolment(path)
		ServerTLS(path, path, path, "x")
		if c, err := LoadCluster(path); err == nil && c.Check() != nil {
			t.Errorf("a cluster that does not hold was loaded: %v", c.Check())
		}
	})
}
