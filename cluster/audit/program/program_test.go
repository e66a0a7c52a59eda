package program_test

import (
	"crypto/sha256"
	"os"
	"testing"

	"github.com/cordon-project/cordon/cluster/audit/program"
)

func TestADigestIsOfTheFileThatWasStarted(t *testing.T) {
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	p, err := program.Self()
	if err != nil || p.Digest != sha256.Sum256(b) {
		t.Errorf("%x (%v), want %x", p.Digest, err, sha256.Sum256(b))
	}
	if p.Name == "" {
		t.Error("a program without a name")
	}
}
