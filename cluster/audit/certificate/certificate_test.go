package certificate_test

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/audit/audittest"
	"github.com/cordon-project/cordon/cluster/audit/certificate"
	"github.com/cordon-project/cordon/cluster/audit/order"
)

// leaves are a log's records.
func leaves(t *testing.T, l *audittest.Log) []audit.Leaf {
	t.Helper()
	out := make([]audit.Leaf, len(l.Leaves))
	for i, b := range l.Leaves {
		leaf, err := audit.DecodeLeaf(b)
		if err != nil {
			t.Fatal(err)
		}
		out[i] = leaf
	}
	return out
}

func history(t *testing.T) (*audittest.Log, time.Time, time.Time) {
	l := audittest.New("certificate")
	l.Publish(30)
	l.Receipts(audittest.E1, audittest.E2)
	from := l.Tick()
	l.Publish(40)
	l.Append(audit.NewAdmin("ops", audittest.C1, audit.Appeal{Ref: "0123456789abcdef", Received: l.Now.Unix(), Due: l.Now.Unix() + 60}))
	build := audit.Build{Cluster: l.Desc.ID(), Role: audit.RoleEdge, Name: audittest.E1, Program: "cordon", Version: "v1", Digest: [32]byte{9}, Time: l.Now.Unix()}
	l.Append(audit.NewAdmin("", audittest.C1, audit.Builds{Items: []audit.SignedBuild{audit.SignBuild(build, l.Edges[audittest.E1])}}))
	l.Receipts(audittest.E1)
	return l, from, l.Tick()
}

func TestACertificateIsWhatTheLeavesBeforeItsEndSay(t *testing.T) {
	l, from, to := history(t)
	of := func() certificate.Document {
		d, err := certificate.Of(l.Cluster(), slices.Values(leaves(t, l)), from, to)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	d := of()
	size, root := l.Tree().Head()
	if d.End.Size != size || [32]byte(d.End.Root) != root || d.Begin.Size >= d.End.Size || d.Begin.Size == 0 {
		t.Errorf("begin %+v, end %+v of a log of %d leaves", d.Begin, d.End, size)
	}
	if d.Facts.Receipts.N != 1 || d.Facts.Receipts.Right != 1 || d.Facts.Appeals.Received != 1 || len(d.Programs) != 1 || d.Programs[0].Name != audittest.E1 {
		t.Errorf("receipts %+v, appeals %+v, programs %+v", d.Facts.Receipts, d.Facts.Appeals, d.Programs)
	}
	l.Publish(50) // after its end
	if again := of(); !bytes.Equal(again.Encode(), d.Encode()) {
		t.Error("a later leaf changes the document")
	}
	if parsed, err := certificate.Parse(d.Encode()); err != nil || parsed.Hash() != d.Hash() {
		t.Errorf("read back: %v", err)
	}
	var text bytes.Buffer
	if err := d.WriteText(&text); err != nil || !strings.Contains(text.String(), "It does not claim:") || !strings.Contains(text.String(), "Appeals: 1 received") {
		t.Errorf("in words (%v):\n%s", err, &text)
	}
}

func TestADocumentThatTheLeavesDoNotMakeIsTold(t *testing.T) {
	l, from, to := history(t)
	all := leaves(t, l)
	d, err := certificate.Of(l.Cluster(), slices.Values(all), from, to)
	if err != nil {
		t.Fatal(err)
	}
	good := order.Certificate{From: from.Unix(), To: to.Unix(), Size: d.End.Size, Hash: d.Hash()}
	if _, err := certificate.Yields(l.Cluster(), slices.Values(all), good); err != nil {
		t.Fatal(err)
	}
	otherHash, otherSize, otherTime := good, good, good
	otherHash.Hash[0] ^= 1
	otherSize.Size--
	otherTime.From++
	for name, o := range map[string]order.Certificate{"another hash": otherHash, "another size": otherSize, "another time": otherTime} {
		if _, err := certificate.Yields(l.Cluster(), slices.Values(all), o); !errors.Is(err, certificate.ErrYields) {
			t.Errorf("%s: %v, want ErrYields", name, err)
		}
	}
	hidden := slices.Concat(all[:len(all)-2], all[len(all)-1:])
	if _, err := certificate.Yields(l.Cluster(), slices.Values(hidden), good); err == nil {
		t.Error("a leaf is hidden, and the document is the same")
	}
	for name, change := range map[string][2]string{
		"a number":       {`"right": 1`, `"right": 2`},
		"an unknown key": {`"scope": "csam"`, `"scope": "csam", "x": 1`},
		"another case":   {`"scope"`, `"Scope"`},
	} {
		b := []byte(strings.Replace(string(d.Encode()), change[0], change[1], 1))
		if bytes.Equal(b, d.Encode()) {
			t.Fatalf("%s: nothing was changed", name)
		}
		parsed, err := certificate.Parse(b)
		if err == nil && parsed.Hash() == d.Hash() {
			t.Errorf("%s: passes for the document", name)
		}
	}
}

func FuzzParse(f *testing.F) {
	l := audittest.Honest("certificate fuzz")
	var all []audit.Leaf
	for _, b := range l.Leaves {
		leaf, err := audit.DecodeLeaf(b)
		if err != nil {
			f.Fatal(err)
		}
		all = append(all, leaf)
	}
	d, err := certificate.Of(l.Cluster(), slices.Values(all), l.Now.Add(-time.Hour), l.Now)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(d.Encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := certificate.Parse(b)
		if err != nil {
			return
		}
		if !bytes.Equal(d.Encode(), b) {
			t.Error("accepted, but encodes to other bytes")
		}
		if err := d.WriteText(&bytes.Buffer{}); err != nil {
			t.Error(err)
		}
	})
}
