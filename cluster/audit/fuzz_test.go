package audit_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/audit/audittest"
	"github.com/cordon-project/cordon/cluster/audit/order"
	"github.com/cordon-project/cordon/listsync/trust/trusttest"
)

func FuzzDecodeLeaf(f *testing.F) {
	for _, b := range audittest.Honest("fuzz").Leaves {
		f.Add(b)
	}
	l, _ := fuzzPinned()
	f.Add(l.Leaves[len(l.Leaves)-1])
	for _, a := range adminVectors(strings.Repeat("0", 32)) {
		l, err := audit.NewLeaf(6, 1780000061, a)
		if err != nil {
			f.Fatal(err)
		}
		b, err := audit.EncodeLeaf(l)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		l, err := audit.DecodeLeaf(b)
		if err != nil {
			return
		}
		again, err := audit.EncodeLeaf(l)
		if err != nil || !bytes.Equal(again, b) {
			t.Errorf("accepted, but encodes to other bytes: %v", err)
		}
		if _, err := l.MarshalJSON(); err != nil {
			t.Errorf("accepted, but has no JSON: %v", err)
		}
		if next, err := audit.Genesis().Apply(l); err == nil {
			if _, err := audit.DecodeInForce(next.Encode()); err != nil {
				t.Errorf("applied, but the state does not decode: %v", err)
			}
		}
	})
}

func FuzzOpenCheckpoint(f *testing.F) {
	l := audittest.Honest("fuzz")
	f.Add(l.Checkpoint())
	f.Add(l.Sign(l.Desc.Origin, audittest.C1, audittest.C2))
	f.Add(l.Sign("other.example/cordon", audittest.C1, audittest.C2))
	q := l.Desc.Quorum()
	size, root := l.Tree().Head()
	f.Fuzz(func(t *testing.T, b []byte) {
		c, by, _, err := q.Open(b)
		if err != nil {
			return
		}
		if c.Size != size || c.Root != root || len(by) < q.Need {
			t.Errorf("accepted %+v by %v: no quorum ever signed that", c, by)
		}
	})
}

// fuzzPinned is a log whose last leaf pins a hotline, and a manifest that proves it.
func fuzzPinned() (*audittest.Log, audit.Manifest) {
	l := audittest.Honest("fuzz")
	h := trusttest.New("fuzz", "hotline-two", trusttest.Now)
	l.Order(order.Pin{Hotline: h.ID, Root: sha256.Sum256(h.Pinned), Document: h.Pinned})
	m := l.Manifest(0)
	m.Pins = []audit.ManifestPin{{Leaf: m.Last, Proof: m.LastProof}}
	return l, m
}

func FuzzDecodeManifest(f *testing.F) {
	l := audittest.Honest("fuzz")
	f.Add(l.Manifest(0).Encode())
	f.Add(l.Manifest(7).Encode())
	l, pinned := fuzzPinned()
	f.Add(pinned.Encode())
	q, anchors := l.Desc.Quorum(), l.Desc.Anchors()
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := audit.DecodeManifest(b)
		if err != nil {
			return
		}
		if !bytes.Equal(m.Encode(), b) {
			t.Error("accepted, but encodes to other bytes")
		}
		o, err := q.OpenManifest(m, anchors)
		if err == nil && o.InForce.Hash() != l.InForce.Hash() {
			t.Error("opened, but something else is in force")
		}
	})
}

func FuzzReadBundle(f *testing.F) {
	l := audittest.Honest("fuzz")
	honest := l.Bundle()
	f.Add(honest)
	f.Add(l.Part(audit.Part{All: true}))
	f.Add(l.Part(audit.Part{Since: 9}))
	f.Add(honest[:len(honest)/2])
	f.Add(audittest.New("fuzz").Bundle())
	trust := l.TrustFile()
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := audit.Verify(context.Background(), bytes.NewReader(b), trust, audit.Options{Now: l.Now})
		if err != nil {
			t.Fatalf("bytes in memory cannot be unreadable: %v", err)
		}
		if c, _ := r.Check(audit.CheckLog); c.Pass && r.Checkpoint.Size != uint64(len(l.Leaves)) && r.Checkpoint.Size != 6 {
			t.Errorf("passed a log of size %d that no quorum ever signed", r.Checkpoint.Size)
		}
	})
}

func FuzzParseCluster(f *testing.F) {
	l := audittest.New("fuzz")
	f.Add(l.Desc.Encode())
	f.Add(l.TrustFile())
	more := audit.NewTrustFile(l.Desc, "")
	more.Hotlines = []audit.HotlineAnchor{{ID: "hotline-two", Root: trusttest.New("fuzz", "hotline-two", trusttest.Now).Pinned}}
	f.Add(more.Encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		if tf, err := audit.ParseTrustFile(b); err == nil {
			if _, err := audit.ParseTrustFile(tf.Encode()); err != nil {
				t.Errorf("trust file accepted, but not what it encodes to: %v", err)
			}
		}
		c, err := audit.ParseCluster(b)
		if err != nil {
			return
		}
		back, err := audit.ParseCluster(c.Encode())
		if err != nil || back.ID() != c.ID() {
			t.Errorf("accepted, but comes back as another: %v", err)
		}
		for _, g := range c.Genesis() {
			if _, err := audit.EncodeLeaf(g); err != nil {
				t.Errorf("accepted, but genesis leaf %d has no encoding: %v", g.N, err)
			}
		}
	})
}

// FuzzVisit takes a state file whose hash is right and whose rest is anything: it is refused, or can be gone on from.
func FuzzVisit(f *testing.F) {
	l := audittest.Honest("fuzz")
	trust := l.TrustFile()
	verify := func(bundle []byte, before *audit.Visit) *audit.Report {
		r, err := audit.Verify(context.Background(), bytes.NewReader(bundle), trust, audit.Options{Now: l.Now, Lean: true, Before: before})
		if err != nil {
			f.Fatalf("bytes in memory cannot be unreadable: %v", err)
		}
		return r
	}
	first := verify(l.Bundle(), nil)
	known := first.Visit().Verified(trust)
	head, body, _ := bytes.Cut(first.Visit().Encode(), []byte("\n"))
	f.Add(body)
	line, _, _ := bytes.Cut(body, []byte("\n"))
	f.Add(append(bytes.Clone(line), '\n'))
	l.Publish(50)
	all, part := l.Bundle(), l.Part(audit.Part{Since: known})
	magic := head[:len(head)-64]
	f.Fuzz(func(t *testing.T, body []byte) {
		sum := sha256.Sum256(body)
		b := fmt.Appendf(bytes.Clone(magic), "%x\n%s", sum, body)
		v, err := audit.ParseVisit(b)
		if err != nil {
			return
		}
		if again, err := audit.ParseVisit(v.Encode()); err != nil || !bytes.Equal(again.Encode(), v.Encode()) {
			t.Errorf("accepted, but does not come back the same: %v", err)
		}
		roots, err := v.Roots()
		if err != nil || roots.Size() > v.Size {
			t.Errorf("accepted, but its roots are %v, %v", roots, err)
		}
		for _, bundle := range [][]byte{all, part} {
			if r := verify(bundle, v); r.Pass && r.Visit().Size != uint64(len(l.Leaves)) {
				t.Errorf("passed a log of size %d that no quorum ever signed", r.Visit().Size)
			}
		}
	})
}
