package audit_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/audit/audittest"
	"github.com/cordon-project/cordon/listsync/list/listtest"
	"github.com/cordon-project/cordon/listsync/trust"
	"github.com/cordon-project/cordon/listsync/trust/trusttest"
)

func TestAnHonestManifestOpens(t *testing.T) {
	l := audittest.Honest("manifest")
	b := l.Manifest(7).Encode()
	m, err := audit.DecodeManifest(b)
	if err != nil {
		t.Fatal(err)
	}
	o, err := l.Desc.Quorum().OpenManifest(m, l.Desc.Anchors())
	if err != nil {
		t.Fatal(err)
	}
	if len(o.Lists) != 1 || o.Lists[0].Seq != 2 || o.Lists[0].Target.Canaries[0] != listtest.Canary || o.InForce.Hash() != l.InForce.Hash() {
		t.Errorf("got %+v", o.Lists)
	}
	if len(o.SignedBy) != 3 || !o.Fresh.Equal(l.Now) {
		t.Errorf("signed by %v at %v, want three at %v", o.SignedBy, o.Fresh, l.Now)
	}
	root, err := l.Tree().RootAt(7)
	if err != nil {
		t.Fatal(err)
	}
	seen, err := o.Advance(audit.Seen{Size: 7, Root: root, Seqs: []audit.SeqOf{{List: listtest.List, Seq: 1}}})
	if err != nil {
		t.Fatal(err)
	}
	if seen.Size != 15 || len(seen.Seqs) != 1 || seen.Seqs[0].Seq != 2 {
		t.Errorf("seen: got %+v", seen)
	}
	if _, err := o.Advance(audit.Seen{}); err != nil {
		t.Errorf("first visit: %v", err)
	}
}

// An edge that was updated (other Unicode tables, so another canon.ID) still believes what lies on its disk.
func TestAManifestOfOtherCanonicalisationRulesOpens(t *testing.T) {
	l := audittest.New("manifest")
	l.Canon = [32]byte{1}
	l.Publish(30)
	m, err := audit.DecodeManifest(l.Manifest(0).Encode())
	if err != nil {
		t.Fatal(err)
	}
	o, err := l.Desc.Quorum().OpenManifest(m, l.Desc.Anchors())
	if err != nil {
		t.Fatal(err)
	}
	if len(o.Lists) != 1 || o.Lists[0].Target.CanonID != l.Canon {
		t.Errorf("got %+v, want one list made for %x", o.Lists, l.Canon[:4])
	}
}

func TestAnEdgeRefusesAManifestThatLies(t *testing.T) {
	for _, c := range []struct {
		name string
		lie  func(l *audittest.Log, m *audit.Manifest)
		want error
	}{
		{"too few members signed", func(l *audittest.Log, m *audit.Manifest) {
			m.Checkpoint = l.Sign(l.Desc.Origin, audittest.C1)
		}, audit.ErrQuorum},
		{"checkpoint of another log", func(l *audittest.Log, m *audit.Manifest) {
			m.Checkpoint = l.Sign("other.example/cordon", audittest.C1, audittest.C2)
		}, audit.ErrOtherLog},
		{"a removal that the log does not know", func(l *audittest.Log, m *audit.Manifest) {
			f := l.InForce
			r := f.Removals[0]
			r.Entry = [16]byte{0xff}
			f.Removals = append(f.Removals[:2:2], r)
			m.InForce = f.Encode()
		}, audit.ErrMismatch},
		{"the kill switch, unlogged", func(l *audittest.Log, m *audit.Manifest) {
			f := l.InForce
			f.Bypass = 1
			m.InForce = f.Encode()
		}, audit.ErrMismatch},
		{"last leaf of an earlier size", func(l *audittest.Log, m *audit.Manifest) { m.Last = l.Leaves[13] }, audit.ErrProof},
		{"last leaf changed", func(l *audittest.Log, m *audit.Manifest) {
			m.Last = append([]byte(nil), m.Last...)
			m.Last[20] ^= 1
		}, audit.ErrProof},
		{"publish leaf of another version", func(l *audittest.Log, m *audit.Manifest) {
			m.Lists[0].Leaf = l.Leaves[6]
			p, err := l.Tree().ProveRecord(6, 15)
			if err != nil {
				panic(err)
			}
			m.Lists[0].Proof = p
		}, audit.ErrProof},
		{"metadata of another version", func(l *audittest.Log, m *audit.Manifest) {
			for h, b := range l.Docs {
				if h != l.InForce.Lists[0].Metadata {
					m.Lists[0].Metadata = b
				}
			}
		}, audit.ErrMismatch},
		{"metadata that is none", func(l *audittest.Log, m *audit.Manifest) { m.Lists[0].Metadata = []byte("{}") }, trust.ErrFormat},
		{"list left out", func(l *audittest.Log, m *audit.Manifest) { m.Lists = nil }, audit.ErrMismatch},
		{"list twice", func(l *audittest.Log, m *audit.Manifest) { m.Lists = append(m.Lists, m.Lists[0]) }, audit.ErrMismatch},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := audittest.Honest("manifest")
			m := l.Manifest(0)
			c.lie(l, &m)
			if _, err := l.Desc.Quorum().OpenManifest(m, l.Desc.Anchors()); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
}

// An edge that has only the pin walks through every root since, however many there were.
func TestAnEdgeFollowsMoreRootsThanOnePublicationCarries(t *testing.T) {
	l := audittest.New("roots")
	for range 2*trust.MaxRootSteps + 1 {
		l.Hotline.RotateRoot(l.Tick())
		l.Renew()
	}
	l.Publish(30)
	open := func(change func(roots [][]byte) [][]byte) error {
		m, err := audit.DecodeManifest(l.Manifest(0).Encode())
		if err != nil {
			t.Fatal(err)
		}
		if want := trust.MaxRootSteps + 1; len(m.Lists[0].Roots) != want {
			t.Fatalf("the manifest carries %d roots beside the metadata's, want %d", len(m.Lists[0].Roots), want)
		}
		m.Lists[0].Roots = change(m.Lists[0].Roots)
		_, err = l.Desc.Quorum().OpenManifest(m, l.Desc.Anchors())
		return err
	}
	for _, c := range []struct {
		name   string
		change func([][]byte) [][]byte
		want   error
	}{
		{"as they are", func(r [][]byte) [][]byte { return r }, nil},
		{"none", func([][]byte) [][]byte { return nil }, trust.ErrRollback},
		{"the first left out", func(r [][]byte) [][]byte { return r[1:] }, trust.ErrRollback},
		{"the last left out twice", func(r [][]byte) [][]byte { return r[:len(r)-2] }, trust.ErrRollback},
		{"one unsigned", func(r [][]byte) [][]byte { return append(r[:len(r)-1:len(r)-1], trusttest.Sign(r[len(r)-1])) }, trust.ErrSignature},
		{"garbage", func(r [][]byte) [][]byte { return append(r, []byte("{}")) }, trust.ErrFormat},
	} {
		if err := open(c.change); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, err, c.want)
		}
	}
}

func TestAnEdgeRefusesWhatAWholeClusterAgreedOnWrongly(t *testing.T) {
	for _, c := range []struct {
		name string
		lie  func(l *audittest.Log)
		want error
	}{
		{"another scope", func(l *audittest.Log) {
			l.Hotline.Break(trusttest.Scope("gambling"))
			l.Publish(50)
		}, trust.ErrScope},
		{"one officer of two", func(l *audittest.Log) {
			l.Hotline.Break(trusttest.ListSigners(1))
			l.Publish(50)
		}, trust.ErrThreshold},
		{"other files than signed", func(l *audittest.Log) {
			l.PublishWith(50, func(p audit.Publish) audit.Publish { p.Edge[0] ^= 1; return p })
		}, audit.ErrMismatch},
		{"a wider filter than the charter's", func(l *audittest.Log) {
			l.PublishWith(50, func(p audit.Publish) audit.Publish {
				f := l.Hotline.Charter.Filter()
				f.Jurisdictions = []string{"AA", "BB", "ZZ"}
				p.Filter, p.FilterHash = audit.FilterOf(f), f.Hash()
				return p
			})
		}, audit.ErrMismatch},
		{"a hotline that is not pinned", func(l *audittest.Log) { l.Desc.Hotlines = nil }, audit.ErrMismatch},
		{"a hotline pinned by another root", func(l *audittest.Log) {
			l.Desc.Hotlines[0].Root = trusttest.New("thief", audittest.Hotline, trusttest.Now).Pinned
		}, trust.ErrSignature},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := audittest.Honest("wrong")
			c.lie(l)
			if _, err := l.Desc.Quorum().OpenManifest(l.Manifest(0), l.Desc.Anchors()); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
}

func TestDevelopmentKeysAreOnlyForDevelopmentClusters(t *testing.T) {
	l := audittest.New("development")
	l.Hotline = trusttest.New("development", audittest.Hotline, trusttest.Now, trusttest.Development())
	l.Hotline.Charter.Jurisdictions = []string{"AA", "ZZ"}
	l.Desc.Hotlines[0].Root = l.Hotline.Pinned
	l.Publish(20)
	q := l.Desc.Quorum()
	if _, err := q.OpenManifest(l.Manifest(0), l.Desc.Anchors()); !errors.Is(err, trust.ErrDevelopment) {
		t.Errorf("production: got %v, want %v", err, trust.ErrDevelopment)
	}
	q.Development = true
	if _, err := q.OpenManifest(l.Manifest(0), l.Desc.Anchors()); err != nil {
		t.Errorf("development: %v", err)
	}
}

func TestAnEdgeNeverGoesBack(t *testing.T) {
	l := audittest.Honest("back")
	open := func(since uint64) *audit.Opened {
		t.Helper()
		o, err := l.Desc.Quorum().OpenManifest(l.Manifest(since), l.Desc.Anchors())
		if err != nil {
			t.Fatal(err)
		}
		return o
	}
	root7, err := l.Tree().RootAt(7)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name  string
		since uint64
		prev  audit.Seen
		want  error
		says  string
	}{
		{"a shorter log", 0, audit.Seen{Size: 16, Root: root7}, audit.ErrRollback, "size 16 was seen before"},
		{"another log of the same size", 15, audit.Seen{Size: 15, Root: root7}, audit.ErrProof, "two roots"},
		{"a forked log", 7, audit.Seen{Size: 7, Root: [32]byte{1}}, audit.ErrProof, "not a continuation"},
		{"no consistency proof", 0, audit.Seen{Size: 7, Root: root7}, audit.ErrMismatch, "from size 0"},
		{"an older list", 7, audit.Seen{Size: 7, Root: root7, Seqs: []audit.SeqOf{{List: listtest.List, Seq: 3}}}, audit.ErrRollback, "sequence 2, 3 was seen"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := open(c.since).Advance(c.prev)
			if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v, want %v saying %q", err, c.want, c.says)
			}
			if got.Size != c.prev.Size {
				t.Error("what was seen has changed all the same")
			}
		})
	}
}
