package publish

import (
	"bytes"
	"errors"

	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cordon-project/cordon/listsync/fetch"
	"github.com/cordon-project/cordon/listsync/list"
	"github.com/cordon-project/cordon/listsync/trust"
	"github.com/cordon-project/cordon/resolver/canon"
	"github.com/cordon-project/cordon/resolver/match"
)

// fetched is what an operator gets over HTTP, verified from the pinned root.
type fetched struct {
	*trust.Verified
	edge *list.Edge
	keys map[string][]byte
}

// fetchAll reads the repository as an operator does, over HTTP, and verifies all of it.
func (w *world) fetchAll(high trust.HighWater) (fetched, *fetch.Repository) {
	w.t.Helper()
	server := httptest.NewServer(http.FileServer(http.Dir(w.path("hotline", "repository"))))
	w.t.Cleanup(server.Close)
	repo, err := fetch.NewRepository(server.URL, "hotline-one", server.Client())
	w.must(err)
	pinned, err := os.ReadFile(filepath.Join(w.accredits, "1.root.json"))
	w.must(err)
	m, err := repo.Metadata(w.t.Context(), 1)
	w.must(err)
	v, err := trust.Verify(pinned, high, m, w.now)
	w.must(err)
	got := fetched{Verified: v, keys: map[string][]byte{}}
	read := func(f trust.File) []byte {
		var b bytes.Buffer
		w.must(repo.File(w.t.Context(), f, &b))
		return b.Bytes()
	}
	got.edge, err = list.OpenEdge(read(v.Lists[0].Edge))
	w.must(err)
	audit, err := list.OpenAudit(read(v.Lists[0].Audit))
	w.must(err)
	w.must(audit.Fits(got.edge))
	if audit.Root() != v.Lists[0].EntriesRoot {
		w.t.Fatalf("entries root: got %x, want %x", audit.Root(), v.Lists[0].EntriesRoot)
	}
	for _, k := range v.Lists[0].Keys {
		got.keys[k.Cluster] = read(k.File)
	}
	return got, repo
}

// lookup builds the index as an edge does and asks for a name.
func (w *world) lookup(f fetched, keys *match.Keys, name string) match.Verdict {
	w.t.Helper()
	b, err := match.Compile(f.edge)
	w.must(err)
	index, err := match.Open(b)
	w.must(err)
	set, err := match.NewSet([]match.Member{{Edge: f.edge, Index: index, Filter: f.Charter.Filter(), Keys: keys}}, nil)
	w.must(err)
	return set.Name([]byte(name), uint32(w.now.Unix()))
}

func TestAnOperatorVerifiesAndUsesWhatAHotlinePublishes(t *testing.T) {
	w := newWorld(t)
	cluster := w.addOperator("isp-one")
	w.importRows("bad.test,domain", "only.test,host", "http://page.test/a?b=c,url", "page.test/gallery/,prefix")
	p := w.publishAll()
	if p.Seq != 1 || p.Operators != 1 {
		t.Fatalf("got %+v, want seq 1 for 1 operator", p)
	}
	f, _ := w.fetchAll(trust.HighWater{})
	if !f.Development || f.Hotline != "hotline-one" || len(f.Lists) != 1 {
		t.Fatalf("got %+v", f.Verified)
	}
	l := f.Lists[0]
	if l.List != "hotline-one/main" || l.Seq != 1 || l.Prev != 0 || l.Epoch != 1 || l.Added != 4 || l.Removed != 0 || l.CanonID != canon.ID() {
		t.Errorf("got %+v", l)
	}
	if !slices.Equal(l.Canaries, []string{"canary.hotline-one.test"}) || !strings.HasPrefix(l.NeverBlock, "cordon-never-block/2 ") {
		t.Errorf("got canaries %v and never-block %q", l.Canaries, l.NeverBlock)
	}
	k, err := trust.UnwrapKeys(f.keys[cluster], w.cluster)
	w.must(err)
	if k.List != l.List || k.Epoch != 1 {
		t.Errorf("got keys of %v", k)
	}
	for name, want := range map[string]bool{
		"bad.test": true, "www.bad.test": true, "only.test": true, "www.only.test": false, "page.test": false, "good.test": false, "canary.hotline-one.test": true,
	} {
		if got := w.lookup(f, k.Keys, name); got.Listed != want {
			t.Errorf("%s: got listed %t, want %t", name, got.Listed, want)
		}
	}
	if v := w.lookup(f, k.Keys, "canary.hotline-one.test"); !v.Canary || v.Basis != match.BasisVoluntary {
		t.Errorf("canary: got %+v", v)
	}
	if v := w.lookup(f, k.Keys, "page.test"); !v.Steer {
		t.Errorf("page.test is not steered: %+v", v)
	}
}

func TestNextVersionsKeepIDsAndFollowOneAnother(t *testing.T) {
	w := newWorld(t)
	w.importRows("bad.test,domain", "only.test,host")
	w.publishAll()
	first, _ := w.fetchAll(trust.HighWater{})
	before, _, err := readEntries(w.path("hotline", "entries.jsonl"))
	w.must(err)

	w.now = w.now.Add(time.Hour)
	done := w.importRows("bad.test,domain", "third.test,host")
	if done.Added != 1 || done.Updated+done.Unchanged != 1 || done.Entries != 3 {
		t.Errorf("got %+v", done)
	}
	_, err = w.h.Remove("appeal", "only.test")
	w.must(err)
	d, err := w.h.Diff()
	w.must(err)
	var text strings.Builder
	w.must(d.Write(&text, 0))
	for _, want := range []string{"+ whole site third.test, this host name only (host)", "- whole site only.test, this host name only (host)", "1 added, 1 removed"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("diff lacks %q:\n%s", want, text.String())
		}
	}
	w.publishAll()
	second, _ := w.fetchAll(first.High)
	if l := second.Lists[0]; l.Seq != 2 || l.Prev != 1 || l.Added != 1 || l.Removed != 1 {
		t.Errorf("got %+v", l)
	}
	after, _, err := readEntries(w.path("hotline", "entries.jsonl"))
	w.must(err)
	if before[0].Expression != "bad.test" || after[0].Expression != "bad.test" || before[0].ID != after[0].ID || !before[0].Since.Equal(after[0].Since) {
		t.Errorf("bad.test: got %+v, want the id and since of %+v", after[0], before[0])
	}
	if _, err := os.Stat(w.path("hotline", "versions", "1.json")); err != nil {
		t.Error(err)
	}
	log, err := os.ReadFile(w.path("hotline", "removals.jsonl"))
	w.must(err)
	if !strings.Contains(string(log), `"removed":"appeal"`) || !strings.Contains(string(log), "only.test") {
		t.Errorf("removals.jsonl: %s", log)
	}
}

func TestPublishNeedsTheThreshold(t *testing.T) {
	w := newWorld(t)
	w.importRows("bad.test,domain")
	if _, err := w.h.Publish(""); !errors.Is(err, ErrUnsigned) || ExitCode(err) != int(CodeHeld) {
		t.Errorf("nothing staged: got %v", err)
	}
	g, err := w.h.Sign(w.officers[0])
	w.must(err)
	if !slices.Equal(g.Have, []string{"officer-1"}) || !slices.Equal(g.Missing, []string{"officer-2", "officer-3"}) {
		t.Errorf("got %+v", g)
	}
	g, err = w.h.Sign(w.officers[0])
	w.must(err)
	if !g.Already || len(g.Have) != 1 {
		t.Errorf("signing twice: got %+v", g)
	}
	if _, err := w.h.Publish(""); !errors.Is(err, ErrUnsigned) || !strings.Contains(err.Error(), "officer-2 or officer-3") {
		t.Errorf("one signature: got %v", err)
	}
	if exists(w.path("hotline", "repository")) {
		t.Error("a repository was written without the threshold")
	}
}

func TestAChangeDropsTheSignatures(t *testing.T) {
	w := newWorld(t)
	w.importRows("bad.test,domain")
	for _, o := range w.officers[:2] {
		_, err := w.h.Sign(o)
		w.must(err)
	}
	w.importRows("more.test,host")
	if _, err := w.h.Publish(""); !errors.Is(err, ErrUnsigned) || !strings.Contains(err.Error(), "entries have changed") {
		t.Errorf("got %v", err)
	}
	g, err := w.h.Sign(w.officers[2])
	w.must(err)
	if !strings.Contains(g.Dropped, "officer-1 and officer-2") || !slices.Equal(g.Have, []string{"officer-3"}) {
		t.Errorf("got %+v", g)
	}
	w.addOperator("isp-one")
	g, err = w.h.Sign(w.officers[0])
	w.must(err)
	if !strings.Contains(g.Dropped, "the operators, or private lookups, have changed") {
		t.Errorf("got %q", g.Dropped)
	}
}

func TestAnOfficerSignsOnlyWhatTheEntriesGive(t *testing.T) {
	for _, name := range []string{"edge", "audit", "list.json"} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.importRows("bad.test,domain")
			_, err := w.h.Sign(w.officers[0])
			w.must(err)
			path := w.path("hotline", "staging", name)
			b, err := os.ReadFile(path)
			w.must(err)
			if name == "list.json" {
				b = bytes.Replace(b, []byte(`"added":1`), []byte(`"added":0`), 1)
			} else {
				b[len(b)-1] ^= 1
			}
			w.must(os.WriteFile(path, b, 0o600))
			_, err = w.h.Sign(w.officers[1])
			if ExitCode(err) != int(CodeVerify) {
				t.Errorf("got %v, want exit code 5", err)
			}
			w.publishAll() // made anew
		})
	}
}

func TestNothingToSign(t *testing.T) {
	w := newWorld(t)
	w.publishAll() // the canary alone
	if _, err := w.h.Sign(w.officers[0]); !errors.Is(err, ErrNothingToSign) {
		t.Errorf("got %v", err)
	}
	if _, err := w.h.SignWith(SignOptions{Officer: w.officers[0], Again: true}); err != nil {
		t.Errorf("--again: got %v", err)
	}
	w.now = w.now.Add(21 * 24 * time.Hour)
	if p := w.publishAll(); p.Seq != 2 {
		t.Errorf("near its end: got seq %d, want 2", p.Seq)
	}
}

func TestOldKeysAreReplaced(t *testing.T) {
	w := newWorld(t)
	w.addOperator("isp-one")
	w.importRows("bad.test,domain")
	w.publishAll()
	w.now = w.now.Add(31 * 24 * time.Hour)
	g, err := w.h.Sign(w.officers[0])
	w.must(err)
	if len(g.Notes) != 1 || !strings.Contains(g.Notes[0], "epoch 2") {
		t.Errorf("got notes %q", g.Notes)
	}
	w.publishAll()
	f, _ := w.fetchAll(trust.HighWater{})
	if f.Lists[0].Epoch != 2 || len(f.Lists[0].Keys) != 1 {
		t.Errorf("got %+v", f.Lists[0])
	}
	if !exists(w.path("hotline", "keys", "epoch-1.json")) {
		t.Error("the old keys are gone: nobody can open commitments of old versions")
	}
}

func TestARemovedOperatorGetsNoNewKeys(t *testing.T) {
	w := newWorld(t)
	gone := w.addOperator("isp-one")
	stays := w.addOperator("isp-two")
	w.importRows("bad.test,domain")
	w.publishAll()
	if _, epoch, err := w.h.RemoveOperator("isp-one"); err != nil || epoch != 2 {
		t.Fatalf("got epoch %d, %v", epoch, err)
	}
	w.publishAll()
	f, _ := w.fetchAll(trust.HighWater{})
	if f.Lists[0].Epoch != 2 || f.keys[gone] != nil || f.keys[stays] == nil {
		t.Errorf("got epoch %d and keys for %d operators", f.Lists[0].Epoch, len(f.keys))
	}
}

// An operator whose public file was replaced since still holds what it was given with the first one.
func TestARemovedOperatorGetsNoNewKeysWhateverItsPublicFile(t *testing.T) {
	w := newWorld(t)
	gone := w.addOperator("isp-one")
	w.addOperator("isp-two")
	w.importRows("bad.test,domain")
	w.publishAll()
	w.addOperator("isp-one")
	if _, epoch, err := w.h.RemoveOperator("isp-one"); err != nil || epoch != 2 {
		t.Fatalf("got epoch %d, %v", epoch, err)
	}
	w.publishAll()
	if f, _ := w.fetchAll(trust.HighWater{}); f.Lists[0].Epoch != 2 || f.keys[gone] != nil {
		t.Errorf("got epoch %d", f.Lists[0].Epoch)
	}
}

// What is published is what was signed, and not another list of the same version that was put in its place.
func TestPublishHoldsTheFilesToWhatWasSigned(t *testing.T) {
	w := newWorld(t)
	w.importRows("bad.test,domain")
	_, err := w.h.Sign(w.officers[0])
	w.must(err)
	for _, name := range []string{"edge", "audit"} {
		w.must(os.Rename(w.path("hotline", "staging", name), w.path(name)))
	}
	w.importRows("next.test,domain")
	for _, o := range w.officers[:2] {
		_, err := w.h.Sign(o)
		w.must(err)
	}
	for _, name := range []string{"edge", "audit"} {
		w.must(os.Rename(w.path(name), w.path("hotline", "staging", name)))
	}
	_, err = w.h.Publish("")
	w.wantCode(err, CodeVerify, "officers have signed another one")
}

func TestRefreshRenewsWhatIsOnline(t *testing.T) {
	w := newWorld(t)
	w.importRows("bad.test,domain")
	w.publishAll()
	first, _ := w.fetchAll(trust.HighWater{})
	w.now = w.now.Add(20 * time.Hour)
	r, err := w.h.Refresh()
	w.must(err)
	if r.Timestamp != 2 || r.Renewed {
		t.Errorf("got %+v, want a new timestamp and the old snapshot", r)
	}
	second, _ := w.fetchAll(first.High)
	w.now = w.now.Add(5 * 24 * time.Hour) // the timestamp has run out meanwhile
	r, err = w.h.Refresh()
	w.must(err)
	if r.Snapshot != 2 || !r.Renewed {
		t.Errorf("got %+v, want a new snapshot", r)
	}
	third, _ := w.fetchAll(second.High)
	if third.Lists[0].Seq != 1 || third.Lists[0].Edge != first.Lists[0].Edge {
		t.Errorf("refresh changed the list: %+v", third.Lists[0])
	}
	w.now = w.now.Add(17 * 24 * time.Hour)
	r, err = w.h.Refresh()
	w.must(err)
	if len(r.Notes) != 1 || !strings.Contains(r.Notes[0], "have officers sign") {
		t.Errorf("got notes %q", r.Notes)
	}
	w.now = w.now.Add(30 * 24 * time.Hour)
	if _, err := w.h.Refresh(); ExitCode(err) != int(CodeVerify) || !errors.Is(err, trust.ErrExpired) {
		t.Errorf("after the list's end: got %v", err)
	}
}

func TestARenewedAccreditationIsCarriedOut(t *testing.T) {
	w := newWorld(t)
	w.importRows("bad.test,domain")
	w.publishAll()
	first, _ := w.fetchAll(trust.HighWater{})
	w.now = w.now.Add(10 * time.Hour)
	w.accredit(700)
	if !exists(filepath.Join(w.accredits, "2.root.json")) || !exists(filepath.Join(w.accredits, "2.targets.json")) {
		t.Fatal("the renewal did not take the next version numbers")
	}
	_, err := w.h.Accept(w.accredits)
	w.must(err)
	if _, err := w.h.Refresh(); err != nil {
		t.Fatal(err)
	}
	second, _ := w.fetchAll(first.High)
	if second.High.Root != 2 || second.High.Targets != 2 || !second.Charter.ValidTo.After(first.Charter.ValidTo) {
		t.Errorf("got %+v", second.High)
	}
}

func TestNoSecretIsReadableByOthers(t *testing.T) {
	w := newWorld(t)
	w.addOperator("isp-one")
	w.importRows("bad.test,domain")
	w.publishAll()
	w.must(filepath.WalkDir(w.dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		w.must(err)
		private := strings.HasSuffix(path, ".key") || strings.Contains(path, "/keys/epoch") || strings.HasSuffix(path, ".jsonl")
		if private && info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %o, want 600", path, info.Mode().Perm())
		}
		if strings.Contains(path, "/repository/") {
			b, err := os.ReadFile(path)
			w.must(err)
			if bytes.Contains(b, []byte("bad.test")) {
				t.Errorf("%s holds an entry in plain text", path)
			}
			if info.Mode().Perm() != 0o644 {
				t.Errorf("%s has mode %o, want 644", path, info.Mode().Perm())
			}
		}
		return nil
	}))
}
