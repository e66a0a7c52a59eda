package lookup_test

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/audit/audittest"
	"github.com/cordon-project/cordon/cluster/audit/lookup"
	"github.com/cordon-project/cordon/cluster/audit/order"
	"github.com/cordon-project/cordon/listsync/list"
	"github.com/cordon-project/cordon/listsync/list/listtest"
	"github.com/cordon-project/cordon/resolver/canon"
	"github.com/cordon-project/cordon/resolver/match"
)

// answer is what an honest node says of a name.
func answer(t testing.TB, l *audittest.Log, name string) lookup.Answer {
	t.Helper()
	a := lookup.Answer{V: 1, Manifest: l.Manifest(0).Encode(), Lists: []lookup.List{}}
	for _, il := range l.InForce.Lists {
		e, err := list.OpenEdge(l.Files[il.Edge])
		if err != nil {
			t.Fatal(err)
		}
		keys := listtest.Keys(int64(il.Epoch))
		a.Lists = append(a.Lists, lookup.Of(e, name, func(s []byte) match.Digest { return keys.Digest(il.List, canon.ClassName, s) }))
	}
	b, err := a.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if a, err = lookup.Decode(b); err != nil {
		t.Fatal(err)
	}
	return a
}

func trustFile(t testing.TB, l *audittest.Log) audit.TrustFile {
	t.Helper()
	tf, err := audit.ParseTrustFile(l.TrustFile())
	if err != nil {
		t.Fatal(err)
	}
	return tf
}

func TestAnAnswerSaysWhatTheListsSay(t *testing.T) {
	l := audittest.New("lookup")
	l.Publish(300)
	l.Withdraw(listtest.ID(3, 1))
	l.Order(order.Suppress{List: listtest.List, Epoch: 1, Entries: []match.EntryID{listtest.ID(4, 1)}})
	for _, c := range []struct {
		name   string
		listed bool
		why    []string // of each entry
	}{
		{listtest.Name(5), true, []string{"it stops the name"}},
		{"www." + listtest.Name(5), true, []string{"it stops the name"}}, // a domain
		{listtest.Name(6), true, []string{"it stops the name"}},
		{"www." + listtest.Name(6), false, nil}, // a host
		{listtest.Name(8), false, []string{"single pages"}},
		{listtest.Name(3), false, []string{"withdrawn by the hotline"}},
		{listtest.Name(4), false, []string{"suppressed by the operator's officers until"}},
		{listtest.Canary, true, []string{"it stops the name"}},
		{"example-5.test", false, nil},
		{"decoy.example-1.test", false, nil}, // and nothing tells that it is a decoy
		{strings.Repeat("a.", 120) + "test", false, nil},
	} {
		r, err := lookup.Verify(answer(t, l, c.name), trustFile(t, l), c.name, l.Now)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		ok := r.Listed == c.listed && len(r.Entries) == len(c.why) && len(r.Lists) == 1 && len(r.Lists[0].Places) == strings.Count(c.name, ".")+1
		for i := range c.why {
			ok = ok && strings.Contains(r.Entries[i].Why, c.why[i])
		}
		if !ok {
			t.Errorf("%s: got %+v", c.name, r)
		}
	}
	later := time.Unix(1<<32-1, 0)
	if r, err := lookup.Verify(answer(t, l, listtest.Name(5)), trustFile(t, l), listtest.Name(5), later); err != nil || r.Listed {
		t.Errorf("after its review date: got %+v, %v", r, err)
	}
	l.Order(order.Bypass{})
	if r, err := lookup.Verify(answer(t, l, listtest.Name(5)), trustFile(t, l), listtest.Name(5), l.Now); err != nil || !r.Bypass {
		t.Errorf("with a bypass: got %+v, %v", r, err)
	}
}

func TestEachLieOfANodeIsRefused(t *testing.T) {
	const name = "www.example-5.test"
	l := audittest.New("lookup")
	l.Publish(3000)
	before := answer(t, l, name)
	l.Withdraw(listtest.ID(5, 1))
	l.Publish(3001)
	other := audittest.New("another cluster")
	other.Publish(3000)
	for _, c := range []struct {
		name string
		lie  func(a *lookup.Answer)
		says error // nil: any
	}{
		{"the proof of an older version", func(a *lookup.Answer) { a.Lists = before.Lists }, match.ErrHash},
		{"the log of another cluster", func(a *lookup.Answer) { *a = answer(t, other, name) }, nil},
		{"no list", func(a *lookup.Answer) { a.Lists = nil }, lookup.ErrAnswer},
		{"a list twice", func(a *lookup.Answer) { a.Lists = append(a.Lists, a.Lists[0]) }, lookup.ErrAnswer},
		{"another list's name", func(a *lookup.Answer) { a.Lists[0].List = "hotline-one/other" }, lookup.ErrAnswer},
		{"a digest too few", func(a *lookup.Answer) { a.Lists[0].Digests = a.Lists[0].Digests[1:] }, lookup.ErrAnswer},
		{"one digest for all", func(a *lookup.Answer) { d := a.Lists[0].Digests; d[1], d[2] = d[0], d[0] }, lookup.ErrAnswer},
		{"a digest of the wrong length", func(a *lookup.Answer) { a.Lists[0].Digests[0] = a.Lists[0].Digests[0][:15] }, lookup.ErrAnswer},
		{"a digest whose block is not there", func(a *lookup.Answer) {
			a.Lists[0].Digests[0] = bytes.Repeat([]byte{0x5a}, 16)
			a.Lists[0].Proof.Blocks = nil
		}, lookup.ErrAnswer},
		{"a record that is not signed", func(a *lookup.Answer) { b := a.Lists[0].Proof.Blocks[0].Metas; b[3] ^= 3 }, match.ErrHash},
		{"a record left out", func(a *lookup.Answer) { b := &a.Lists[0].Proof.Blocks[0]; b.IDs = b.IDs[16:] }, match.ErrFormat},
		{"something else in force", func(a *lookup.Answer) {
			m, err := audit.DecodeManifest(a.Manifest)
			if err != nil {
				t.Fatal(err)
			}
			f := l.InForce
			f.Removals = append(slices.Clone(f.Removals), audit.Removal{List: listtest.List, Entry: listtest.ID(9, 1), Kind: match.RemovalWithdraw, Number: 9, From: 1, To: 99})
			m.InForce = f.Encode()
			a.Manifest = m.Encode()
		}, audit.ErrMismatch},
		{"an unsigned checkpoint", func(a *lookup.Answer) {
			m, err := audit.DecodeManifest(a.Manifest)
			if err != nil {
				t.Fatal(err)
			}
			m.Checkpoint = l.Sign(l.Desc.Origin, audittest.C1)
			a.Manifest = m.Encode()
		}, audit.ErrQuorum},
		{"no manifest", func(a *lookup.Answer) { a.Manifest = nil }, nil},
	} {
		a := answer(t, l, name)
		c.lie(&a)
		if r, err := lookup.Verify(a, trustFile(t, l), name, l.Now); err == nil || c.says != nil && !errors.Is(err, c.says) {
			t.Errorf("%s: got %+v, %v; want %v", c.name, r, err, c.says)
		}
	}
}

// What the tool says it cannot see: a node that computes other digests. If this test fails, say so in the manual.
func TestWrongDigestsAreNotSeen(t *testing.T) {
	l := audittest.New("lookup")
	l.Publish(300)
	r, err := lookup.Verify(answer(t, l, "nothing.of-it.test"), trustFile(t, l), listtest.Name(5), l.Now)
	if err != nil || r.Listed {
		t.Errorf("got %+v, %v", r, err)
	}
	r, err = lookup.Verify(answer(t, l, listtest.Name(5)), trustFile(t, l), "an.innocent.test", l.Now)
	if err != nil || !r.Listed {
		t.Errorf("got %+v, %v", r, err)
	}
}

func FuzzDecode(f *testing.F) {
	l := audittest.New("lookup")
	l.Publish(20)
	a := answer(f, l, listtest.Name(5))
	b, err := a.Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := lookup.Decode(b)
		if err != nil {
			return
		}
		again, err := a.Encode()
		if err != nil || !bytes.Equal(again, b) {
			t.Errorf("%d bytes decode and encode to %d, %v", len(b), len(again), err)
		}
		for _, x := range a.Lists {
			_, _ = x.Proof.Open([32]byte{})
		}
	})
}
