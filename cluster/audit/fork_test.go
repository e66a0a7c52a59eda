package audit_test

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/listsync/witness"
)

// logNote signs a checkpoint of a log whose key has the seed, with standard tools.
func logNote(t *testing.T, origin string, seed byte, size int, root string) (vkey, signed string) {
	t.Helper()
	k, err := witness.LogKey(origin, seeded(seed).Public().(ed25519.PublicKey))
	if err != nil {
		t.Fatal(err)
	}
	signer, err := note.NewSigner(fmt.Sprintf("PRIVATE+KEY+%s+%s+%s", origin, k.ID(), base64.StdEncoding.EncodeToString(append([]byte{1}, seeded(seed).Seed()...))))
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte(root))
	b, err := note.Sign(&note.Note{Text: fmt.Sprintf("%s\n%d\n%s\n", origin, size, base64.StdEncoding.EncodeToString(sum[:]))}, signer)
	if err != nil {
		t.Fatal(err)
	}
	return k.String(), string(b)
}

// forkVector is the evidence that LEAF.md describes.
func forkVector(t *testing.T) audit.Fork {
	t.Helper()
	vkey, first := logNote(t, "log.example/one", 9, 7, "one")
	_, second := logNote(t, "log.example/one", 9, 7, "two")
	return audit.Fork{Hotline: "hotline-one", Log: vkey, First: []byte(first), Second: []byte(second), Node: "c1"}
}

func TestEvidenceOfAForkIsHeldToTheLogsKey(t *testing.T) {
	good := forkVector(t)
	if _, err := audit.NewLeaf(6, 1780000061, good); err != nil {
		t.Fatal(err)
	}
	_, other := logNote(t, "log.example/one", 10, 7, "two")
	_, larger := logNote(t, "log.example/one", 9, 8, "two")
	otherKey, _ := logNote(t, "log.example/one", 10, 7, "one")
	for _, c := range []struct {
		name   string
		change func(*audit.Fork)
		want   error
	}{
		{"one note twice", func(f *audit.Fork) { f.Second = f.First }, audit.ErrMismatch},
		{"another key's note", func(f *audit.Fork) { f.Second = []byte(other) }, audit.ErrMismatch},
		{"another key", func(f *audit.Fork) { f.Log = otherKey }, audit.ErrMismatch},
		{"another size", func(f *audit.Fork) { f.Second = []byte(larger) }, audit.ErrMismatch},
		{"a changed note", func(f *audit.Fork) { f.First = []byte(strings.Replace(string(f.First), "\n7\n", "\n8\n", 1)) }, audit.ErrMismatch},
		{"no key", func(f *audit.Fork) { f.Log = "key" }, audit.ErrFormat},
		{"too long", func(f *audit.Fork) { f.First = make([]byte, audit.MaxForkNote+1) }, audit.ErrTooLarge},
		{"no hotline", func(f *audit.Fork) { f.Hotline = "" }, audit.ErrFormat},
	} {
		bad := good
		c.change(&bad)
		if _, err := audit.NewLeaf(6, 1780000061, bad); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, err, c.want)
		}
	}
}
