package certificate

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/audit/audittest"
	"github.com/cordon-project/cordon/cluster/audit/order"
)

// certify has two officers certify what the log says of its last hour; a wrong hash when lie.
func certify(t *testing.T, l *audittest.Log, lie bool) {
	t.Helper()
	to := l.Tick()
	var leaves []audit.Leaf
	for _, b := range l.Leaves {
		leaf, err := audit.DecodeLeaf(b)
		if err != nil {
			t.Fatal(err)
		}
		leaves = append(leaves, leaf)
	}
	d, err := Of(l.Cluster(), slices.Values(leaves), to.Add(-time.Hour), to)
	if err != nil {
		t.Fatal(err)
	}
	if lie {
		d.Facts.Receipts.N++
	}
	l.Order(order.Certificate{From: int64(d.From), To: int64(d.To), Size: d.End.Size, Hash: d.Hash()})
}

func TestCertificatesAreMadeAgainFromMemoryAndFromAFile(t *testing.T) {
	l := audittest.Honest("again")
	certify(t, l, false)
	certify(t, l, true)
	certify(t, l, false)
	for name, keep := range map[string]int{"memory": inMemory, "file": 10} {
		t.Run(name, func(t *testing.T) {
			a := &Again{keep: keep}
			for _, b := range l.Leaves {
				if err := a.Leaf(b); err != nil {
					t.Fatal(err)
				}
			}
			if name == "file" != (a.file != nil) {
				t.Fatalf("kept in file %v", a.file)
			}
			made, causes, err := a.Make(t.Context(), l.Cluster())
			if err != nil || made != 2 || len(causes) != 1 || !strings.Contains(causes[0], "certificate 2: the log does not yield") {
				t.Errorf("%d made, causes %q, %v", made, causes, err)
			}
			ended, cancel := context.WithCancel(t.Context())
			cancel()
			if _, _, err := a.Make(ended, l.Cluster()); err == nil {
				t.Error("made though the context has ended")
			}
			file := a.file
			if err := a.Close(); err != nil {
				t.Error(err)
			}
			if file != nil {
				if _, err := os.Stat(file.Name()); !errors.Is(err, fs.ErrNotExist) {
					t.Errorf("the file is still there: %v", err)
				}
			}
		})
	}
}

func TestMoreCertificatesThanAreMadeFail(t *testing.T) {
	l := audittest.Honest("again")
	certify(t, l, false)
	a := NewAgain()
	for _, b := range l.Leaves {
		if err := a.Leaf(b); err != nil {
			t.Fatal(err)
		}
	}
	last := l.Leaves[len(l.Leaves)-1]
	for range MaxMade { // the same one again: a verification would refuse it, and this one does not look
		a.certificate(last)
	}
	made, causes, err := a.Make(t.Context(), l.Cluster())
	if err != nil || made != MaxMade || len(causes) != 1 || !strings.Contains(causes[0], "101 certificates are in this log, and only the last 100") {
		t.Errorf("%d made, causes %q, %v", made, causes, err)
	}
}

// TestAVisitThatGoesOnNotesNewCertificates: it has not all leaves, so it makes no check of what it could not do.
func TestAVisitThatGoesOnNotesNewCertificates(t *testing.T) {
	l := audittest.Honest("again")
	verify := func(bundle []byte, o audit.Options) *audit.Report {
		t.Helper()
		o.Now, o.Lean = l.Now, true
		r, err := audit.Verify(t.Context(), bytes.NewReader(bundle), l.TrustFile(), o)
		if err != nil || !r.Pass {
			t.Fatalf("%v %+v", err, r)
		}
		return r
	}
	before := verify(l.Bundle(), audit.Options{Certificates: NewAgain()}).Visit()
	certify(t, l, false)
	for name, r := range map[string]*audit.Report{
		"part of the log": verify(l.Part(audit.Part{Since: before.Verified(l.TrustFile())}), audit.Options{Before: before, Certificates: NewAgain()}),
		"nobody to do so": verify(l.Bundle(), audit.Options{}),
	} {
		if _, ok := r.Check(audit.CheckCertificates); ok || r.Uncertified() != 1 || !strings.Contains(strings.Join(r.Notes, "\n"), "not made again") {
			t.Errorf("%s: check made %v, %d uncertified, notes %q", name, ok, r.Uncertified(), r.Notes)
		}
	}
	// All leaves are there, and those of the last visit are only hashed: the certificate is made all the same.
	if r := verify(l.Bundle(), audit.Options{Before: before, Certificates: NewAgain()}); r.Uncertified() != 0 {
		t.Error("not made")
	} else if c, ok := r.Check(audit.CheckCertificates); !ok || !strings.Contains(c.Detail, "1 certificates") {
		t.Errorf("%+v", c)
	}
}
