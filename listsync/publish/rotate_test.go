package publish

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cordon-project/cordon/listsync/fetch"
	"github.com/cordon-project/cordon/listsync/trust"
)

// grant has the authority accredit the present request, signed by the keys named.
func (w *world) grant(root, accreditation []string) {
	w.t.Helper()
	granted, err := Accredit(w.c, AccreditOptions{
		Dir: w.path("authority"), Request: w.path("hotline", "request.json"), Out: w.accredits, ValidDays: 365,
		Jurisdictions: []string{"XA"}, Bases: []string{"law"}, Kinds: []string{"host", "domain"},
	})
	w.must(err)
	for i, keys := range [][]string{root, accreditation} {
		for _, k := range keys {
			_, err := SignMetadata(w.c, w.path("authority", k), granted.Sign[i])
			w.must(err)
		}
	}
}

// An operator pins the first root once. The authority then replaces every key it had, one a renewal, more often than one publication
// carries roots.
func TestOperatorsFollowEveryRotationUnderOnePin(t *testing.T) {
	w := newWorld(t)
	w.importRows("x.test,domain")
	w.publishAll()
	roots, err := trust.PinRoot(w.h.pinned(t))
	w.must(err)
	var high trust.HighWater
	repo, err := fetch.NewRepository("file://"+w.path("hotline", "repository"), "hotline-one", nil)
	w.must(err)
	follow := func() {
		t.Helper()
		m, err := repo.Metadata(t.Context(), roots.Version())
		w.must(err)
		m = roots.Complete(m)
		v, err := trust.Verify(roots.Newest(), high, m, w.now)
		w.must(err)
		roots, err = roots.Follow(m.Roots)
		w.must(err)
		high = v.High
	}
	follow()
	root, accreditation := []string{"root-1", "root-2", "root-3", "root-4", "root-5"}, []string{"accreditation-1", "accreditation-2", "accreditation-3"}
	for i := range trust.MaxRootSteps + 2 {
		o := RotateOptions{Dir: w.path("authority"), Replace: []string{root[0]}}
		if i%3 == 0 {
			o.Replace = append(o.Replace, accreditation[0])
		}
		done, err := RotateAuthority(w.c, o)
		w.must(err)
		before := root[0]
		root = append(root[1:], filepath.Base(done.New[0]))
		if i%3 == 0 {
			accreditation = append(accreditation[1:], filepath.Base(done.New[1]))
		}
		w.grant(append([]string{before}, root[:4]...), accreditation[:2])
		_, err = w.h.Accept(w.accredits)
		w.must(err)
		_, err = w.h.Refresh()
		w.must(err)
		follow()
	}
	if want := int64(trust.MaxRootSteps + 3); high.Root != want || roots.Version() != want {
		t.Errorf("root %d, chain up to %d, want %d", high.Root, roots.Version(), want)
	}
}

func (h *Hotline) pinned(t *testing.T) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(h.dir, "accredited", "1.root.json"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Accept takes the accreditation in and then becomes what it had asked to be. Cut off between the two, the next command finishes.
func TestAcceptCutOffIsFinishedByTheNextCommand(t *testing.T) {
	w := newWorld(t)
	w.importRows("x.test,domain")
	w.publishAll()
	before, err := os.ReadFile(w.path("hotline", "hotline.json"))
	w.must(err)
	_, err = w.h.Change(ChangeOptions{ServiceKeys: true, Threshold: 3})
	w.must(err)
	w.grant([]string{"root-1", "root-2", "root-3"}, []string{"accreditation-1", "accreditation-2"})
	done, err := w.h.Accept(w.accredits)
	w.must(err)
	if !strings.HasPrefix(done.Resign, "version 1 was signed by") {
		t.Errorf("got %q, want to be told to sign anew: three must sign now", done.Resign)
	}
	after, err := os.ReadFile(w.path("hotline", "hotline.json"))
	w.must(err)
	w.must(os.WriteFile(w.path("hotline", "hotline.json"), before, 0o644))
	for _, o := range w.officers {
		_, err := w.h.Sign(o)
		w.must(err)
	}
	_, err = w.h.Publish("")
	w.must(err)
	if got, err := os.ReadFile(w.path("hotline", "hotline.json")); err != nil || !bytes.Equal(got, after) {
		t.Errorf("hotline.json is not what accept had made of it (%v)", err)
	}
	w.fetchAll(trust.HighWater{})
}

// A charter that grants less takes effect with a version that is published under it, and accept says so.
func TestAnotherCharterAsksForANewVersion(t *testing.T) {
	w := newWorld(t)
	w.importRows("x.test,domain")
	w.publishAll()
	w.accredit(365)
	if done, err := w.h.Accept(w.accredits); err != nil || done.Resign != "" {
		t.Fatalf("the same charter, renewed: %+v, %v", done, err)
	}
	w.grant([]string{"root-1", "root-2", "root-3"}, []string{"accreditation-1", "accreditation-2"}) // fewer bases, kinds and jurisdictions
	done, err := w.h.Accept(w.accredits)
	w.must(err)
	if !strings.HasPrefix(done.Resign, "the charter grants other") {
		t.Errorf("got %q", done.Resign)
	}
	_, err = w.h.Refresh() // nothing is in its way
	w.must(err)
	w.publishAll()
	if st, err := w.h.Status(); err != nil || len(st.Problems) > 0 {
		t.Errorf("after the new version: %v, %v", st.Problems, err)
	}
	if f, _ := w.fetchAll(trust.HighWater{}); len(f.Charter.Jurisdictions) != 1 {
		t.Errorf("operators see %v", f.Charter)
	}
}

// A damaged accreditation is mended by taking it in again; an older one is not taken even then.
func TestADamagedAccreditationIsTakenInAgain(t *testing.T) {
	w := newWorld(t)
	w.importRows("x.test,domain")
	w.publishAll()
	older := w.path("older")
	w.must(copyDir(older, w.accredits))
	w.accredit(365)
	_, err := w.h.Accept(w.accredits)
	w.must(err)
	_, err = w.h.Refresh()
	w.must(err)
	w.must(os.WriteFile(w.path("hotline", "accredited", "2.root.json"), []byte("{}"), 0o644))
	if _, err := w.h.Status(); ExitCode(err) != int(CodeInput) || !strings.Contains(err.Error(), "accept --dir") {
		t.Errorf("damaged: got %v", err)
	}
	if _, err := w.h.Accept(older); ExitCode(err) != int(CodeVerify) || !strings.Contains(err.Error(), "what is published has a newer one") {
		t.Errorf("an older one in its place: got %v", err)
	}
	_, err = w.h.Accept(w.accredits)
	w.must(err)
	_, err = w.h.Refresh()
	w.must(err)
}
