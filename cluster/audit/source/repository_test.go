package source

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// A copy of a repository may hold anything: a pipe must not hold up who reads it, and links lead nowhere else.
func TestACopyOfARepositoryHasFilesOnly(t *testing.T) {
	dir, secret := t.TempDir(), filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, to := range map[string]string{"link": secret, "endless": "/dev/zero", "self": "self"} {
		if err := os.Symlink(to, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "folder"), 0o700); err != nil {
		t.Fatal(err)
	}
	read, err := Repository(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"pipe", "link", "endless", "self", "folder", "../x"} {
		if b, err := read(t.Context(), name, 1<<10); err == nil {
			t.Errorf("%s gives %d bytes", name, len(b))
		} else if name == "pipe" && !strings.Contains(err.Error(), "not a regular file") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestACertificateIsNoEndlessFile(t *testing.T) {
	if _, err := (Config{Cert: "/dev/zero", Key: "/dev/zero"}).pair(); err == nil || !strings.Contains(err.Error(), "more than 1048576 bytes") {
		t.Errorf("got %v", err)
	}
}
