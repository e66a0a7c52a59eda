package audit_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	fproof "github.com/transparency-dev/formats/proof"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/audit/audittest"
	"github.com/cordon-project/cordon/listsync/witness"
)

// outsider is a witness with a key of its own.
func outsider(t *testing.T, name string, seed byte) *witness.Signer {
	t.Helper()
	s, err := witness.NewSigner(name, seeded(seed))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestALeafIsProvedOffline(t *testing.T) {
	l := audittest.Honest("proofs")
	tf := audit.NewTrustFile(l.Desc, "")
	leaves, tree := l.Leaves, l.Tree()
	w := outsider(t, "w.example/w", 77)
	tf.Witnesses = "witness w " + w.Keys()[0].String() + "\nquorum w\n"
	text, _, _ := strings.Cut(string(l.Checkpoint()), "\n\n")
	line, err := w.Cosign(text+"\n", l.Now)
	if err != nil {
		t.Fatal(err)
	}
	note := append(bytes.Clone(l.Checkpoint()), line...)
	for n := range tree.Size() {
		b, err := audit.NewProof(tree, note, n)
		if err != nil {
			t.Fatal(err)
		}
		p, err := audit.OpenProof(b, tf)
		if err != nil || p.Leaf.N != n || len(p.SignedBy) != 3 || strings.Join(p.Witnesses, " ") != "w" || !p.Witnessed.Equal(l.Now.Truncate(time.Second)) {
			t.Fatalf("leaf %d: %+v %v", n, p, err)
		}
		var ref fproof.TLogProof // the reference implementation reads the same
		if err := ref.Unmarshal(b); err != nil || ref.Index != n || !bytes.Equal(ref.Checkpoint, note) || !bytes.Equal(ref.ExtraData, leaves[n]) {
			t.Fatalf("leaf %d as the reference reads it: %v", n, err)
		}
	}
	b, err := audit.NewProof(tree, note, 3)
	if err != nil {
		t.Fatal(err)
	}
	bare, err := audit.NewProof(tree, l.Checkpoint(), 3)
	if err != nil {
		t.Fatal(err)
	}
	p, err := witness.ParseProof(b)
	if err != nil {
		t.Fatal(err)
	}
	other := p
	other.Extra = leaves[4]
	noLeaf := p
	noLeaf.Extra = nil
	moved := p
	moved.Index = 4
	for _, c := range []struct {
		name string
		b    []byte
		want error
	}{
		{"another leaf", other.Encode(), audit.ErrProof},
		{"another number", moved.Encode(), audit.ErrProof},
		{"without its leaf", noLeaf.Encode(), audit.ErrFormat},
		{"without the witness", bare, witness.ErrPolicy},
		{"nothing", nil, audit.ErrFormat},
		{"of another log", bytes.ReplaceAll(b, []byte(l.Desc.Origin), []byte("other.example/log")), audit.ErrOtherLog},
	} {
		if _, err := audit.OpenProof(c.b, tf); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, err, c.want)
		}
	}
	if _, err := audit.NewProof(tree, note, tree.Size()); !errors.Is(err, audit.ErrNotFound) {
		t.Errorf("beyond the end: %v", err)
	}
}
