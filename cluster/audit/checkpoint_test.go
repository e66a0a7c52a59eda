package audit_test

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	flog "github.com/transparency-dev/formats/log"
	fnote "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/audit/audittest"
)

func TestAStandardToolOpensOurCheckpoint(t *testing.T) {
	l := audittest.Honest("interop")
	signed := l.Checkpoint()
	pub := l.Members[audittest.C1].Public().(ed25519.PublicKey)
	key, err := audit.VerifierKey(l.Desc.Origin, pub)
	if err != nil {
		t.Fatal(err)
	}
	v, err := note.NewVerifier(key)
	if err != nil {
		t.Fatal(err)
	}
	n, err := note.Open(signed, note.VerifierList(v))
	if err != nil {
		t.Fatalf("sumdb/note: %v", err)
	}
	size, root := l.Tree().Head()
	if want := (audit.Checkpoint{Origin: l.Desc.Origin, Size: size, Root: root}).Text(); n.Text != want || len(n.Sigs) != 1 || len(n.UnverifiedSigs) != 6 {
		t.Errorf("got %q with %d and %d signatures, want %q with 1 and 6", n.Text, len(n.Sigs), len(n.UnverifiedSigs), want)
	}

	var cosigners []note.Verifier
	for _, m := range l.Desc.Members {
		key, err := audit.CosignatureKey(l.Desc.Origin, m.Name, m.Key)
		if err != nil {
			t.Fatal(err)
		}
		c, err := fnote.NewVerifier(key)
		if err != nil {
			t.Fatal(err)
		}
		cosigners = append(cosigners, c)
		if key, err = audit.MLDSAKey(l.Desc.Origin, m.Name, m.MLDSA); err != nil {
			t.Fatal(err)
		}
		if c, err = fnote.NewVerifier(key); err != nil {
			t.Fatal(err)
		}
		cosigners = append(cosigners, c)
	}
	cp, _, n, err := flog.ParseCheckpoint(signed, l.Desc.Origin, v, cosigners...)
	if err != nil {
		t.Fatalf("transparency-dev: %v", err)
	}
	if cp.Size != size || !bytes.Equal(cp.Hash, root[:]) || len(n.Sigs) != 7 {
		t.Errorf("got size %d with %d signatures, want %d with 7", cp.Size, len(n.Sigs), size)
	}
}

func TestACheckpointIsAsFreshAsAQuorumSaysItIs(t *testing.T) {
	l := audittest.New("fresh")
	size, root := l.Tree().Head()
	cp := audit.Checkpoint{Origin: l.Desc.Origin, Size: size, Root: root}
	q := l.Desc.Quorum()
	at := func(name string, age time.Duration) []byte {
		line, err := l.Signer(q.Origin, name).Cosign(cp, l.Now.Add(-age))
		if err != nil {
			t.Fatal(err)
		}
		return line
	}
	signed, err := l.Signer(q.Origin, audittest.C1).Sign(cp, l.Now.Add(100*time.Hour)) // c1's clock is far ahead, or it lies
	if err != nil {
		t.Fatal(err)
	}
	if _, _, _, err := q.Open(signed); !errors.Is(err, audit.ErrQuorum) {
		t.Errorf("one member: got %v, want %v", err, audit.ErrQuorum)
	}
	all, err := q.Assemble(signed, at(audittest.C2, time.Hour), at(audittest.C3, 3*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	_, by, fresh, err := q.Open(all)
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"c1", "c2", "c3"}; !slices.Equal(by, want) {
		t.Errorf("signed by %v, want %v", by, want)
	}
	if want := l.Now.Add(-time.Hour); !fresh.Equal(want) {
		t.Errorf("fresh at %v, want %v: the second newest of three", fresh, want)
	}
}

func TestNonsenseFromOneMemberDoesNotSpoilACheckpoint(t *testing.T) {
	l := audittest.New("nonsense")
	size, root := l.Tree().Head()
	cp := audit.Checkpoint{Origin: l.Desc.Origin, Size: size, Root: root}
	q := l.Desc.Quorum()
	signers := map[string]*audit.Signer{}
	for name := range l.Members {
		signers[name] = l.Signer(q.Origin, name)
	}
	signed, err := signers["c1"].Sign(cp, l.Now)
	if err != nil {
		t.Fatal(err)
	}
	good, err := signers["c2"].Cosign(cp, l.Now)
	if err != nil {
		t.Fatal(err)
	}
	other, err := signers["c3"].Cosign(audit.Checkpoint{Origin: cp.Origin, Size: size + 1, Root: root}, l.Now)
	if err != nil {
		t.Fatal(err)
	}
	all, err := q.Assemble(signed, other, []byte("— x y\n"), nil, []byte("\n\n"), append(slices.Clone(good), "extra\n"...), good, good)
	if err != nil {
		t.Fatal(err)
	}
	_, by, _, err := q.Open(all)
	if want := []string{"c1", "c2"}; err != nil || !slices.Equal(by, want) {
		t.Errorf("got %v, %v, want %v", by, err, want)
	}
	if n := bytes.Count(all, good); n != 1 {
		t.Errorf("the good line is there %d times", n)
	}
}

func TestWitnessSignaturesAreLeftAlone(t *testing.T) {
	l := audittest.New("witness")
	skey, _, err := note.GenerateKey(bytes.NewReader(bytes.Repeat([]byte{7}, 64)), "witness.example/w1")
	if err != nil {
		t.Fatal(err)
	}
	w, err := fnote.NewSignerForCosignatureV1(skey)
	if err != nil {
		t.Fatal(err)
	}
	signed := l.Checkpoint()
	text, _, _ := strings.Cut(string(signed), "\n\n")
	alone, err := note.Sign(&note.Note{Text: text + "\n"}, w)
	if err != nil {
		t.Fatal(err)
	}
	_, line, _ := strings.Cut(string(alone), "\n\n")
	if _, by, _, err := l.Desc.Quorum().Open(append(signed, line...)); err != nil || len(by) != 3 {
		t.Errorf("got %v, %v", by, err)
	}
}

func TestSignersRefuseNamesTheNoteFormatCannotCarry(t *testing.T) {
	key := audittest.Key("names")
	for _, c := range []struct{ origin, node string }{
		{"isp.example/cordon", "c 1"}, {"isp.example/cordon", "c+1"}, {"isp.example/cordon", "c/1"}, {"isp.example/cordon", ""},
		{"isp example/cordon", "c1"}, {"isp.example", "c1"}, {"isp.example/", "c1"}, {"isp.example/a+b", "c1"}, {"", "c1"},
		{"cosignature/v1", "c1"}, {"cordon/receipt/v1", "c1"}, {"isp.example/cordon\n", "c1"}, {"isp.exam\u00a0ple/x", "c1"},
	} {
		if _, err := audit.NewSigner(c.origin, c.node, key); !errors.Is(err, audit.ErrFormat) {
			t.Errorf("%q %q: got %v, want %v", c.origin, c.node, err, audit.ErrFormat)
		}
	}
}
