package publish

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cordon-project/cordon/listsync/publiclog"
	"github.com/cordon-project/cordon/listsync/publish/ledger"
	"github.com/cordon-project/cordon/listsync/trust"
	"github.com/cordon-project/cordon/listsync/witness"
)

// publicLog reads the hotline's public log as an outsider does who has its charter.
func (w *world) publicLog() (*publiclog.Tree, []publiclog.Leaf) {
	w.t.Helper()
	b, err := os.ReadFile(w.path("hotline", "accredited", "charter.json"))
	w.must(err)
	c, err := trust.ParseCharter(b)
	w.must(err)
	tree, err := publiclog.Open(context.Background(), c.Log, ledger.Read(w.path("hotline", "repository")), fs.ErrNotExist)
	w.must(err)
	var leaves []publiclog.Leaf
	w.must(tree.Entries(func(_ uint64, b []byte) error {
		l, err := publiclog.ParseLeaf(b)
		leaves = append(leaves, l)
		return err
	}))
	return tree, leaves
}

// proves asks whether the proof file of a version shows that version to somebody with this policy.
func (w *world) proves(seq uint64, policy witness.Policy) error {
	w.t.Helper()
	tree, leaves := w.publicLog()
	for _, l := range leaves {
		if l.Seq == seq {
			_, _, err := publiclog.Prove(context.Background(), publiclog.Expect{Leaf: l, Log: tree.Head.Log, Policy: policy}, ledger.Read(w.path("hotline", "repository")), fs.ErrNotExist)
			return err
		}
	}
	return fmt.Errorf("version %d is not in the public log", seq)
}

func (w *world) signed(rows ...string) {
	w.t.Helper()
	w.importRows(rows...)
	for _, o := range w.officers[:2] {
		_, err := w.h.Sign(o)
		w.must(err)
	}
}

func TestEachVersionIsALeafOfThePublicLog(t *testing.T) {
	w := newWorld(t)
	for seq := uint64(1); seq <= 3; seq++ {
		w.importRows(fmt.Sprintf("x%d.test,domain", seq))
		p := w.publishAll()
		if p.Log == nil || p.Log.Index != seq-1 || p.Log.Size != seq || p.Log.Missing != "" {
			t.Fatalf("version %d: got %+v", seq, p.Log)
		}
		w.must(w.proves(seq, witness.Policy{}))
	}
	_, err := w.h.Refresh() // no version, no leaf
	w.must(err)
	tree, leaves := w.publicLog()
	if tree.Size != 3 || tree.Log.Origin != "canary.hotline-one.test/hotline-one/log" && !strings.HasSuffix(tree.Log.Origin, "/hotline-one/log") {
		t.Fatalf("got size %d of %s", tree.Size, tree.Log.Origin)
	}
	for i, l := range leaves {
		m, err := os.ReadFile(w.path("hotline", "repository", filepath.FromSlash(trust.ListName("hotline-one", int64(i+1)))))
		w.must(err)
		spec, err := trust.ReadList(m, "hotline-one")
		w.must(err)
		if want, err := publiclog.LeafOf(m, spec.Lists[0]); err != nil || l != want {
			t.Errorf("leaf %d: got %+v, want %+v, %v", i, l, want, err)
		}
	}
}

// Whatever step a crash leaves undone, publishing again gives one leaf.
func TestACrashAroundThePublicLogGivesOneLeaf(t *testing.T) {
	for name, undo := range map[string]func(w *world, before string){
		"behind the leaf, nothing else written": func(w *world, before string) {
			w.must(os.WriteFile(w.path("hotline", "repository", "log", "checkpoint"), w.bytesOf(before, "repository", "log", "checkpoint"), 0o644))
			w.must(os.WriteFile(w.path("hotline", "state.json"), w.bytesOf(before, "state.json"), 0o600))
			w.must(os.RemoveAll(w.path("hotline", "repository", "log", "proof", "hotline-one", "main", "2.tlog-proof")))
		},
		"behind checkpoint and proof": func(w *world, before string) {},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.importRows("x.test,domain")
			w.publishAll()
			w.signed("y.test,domain")
			before := w.path("before")
			w.must(copyDir(before, w.path("hotline")))
			_, err := w.h.Publish("")
			w.must(err)
			// The machine went down before metadata came: all but the log is as it was.
			for _, dir := range []string{"staging", "versions", "repository/metadata"} {
				w.must(os.RemoveAll(w.path("hotline", filepath.FromSlash(dir))))
				w.must(copyDir(w.path("hotline", filepath.FromSlash(dir)), filepath.Join(before, filepath.FromSlash(dir))))
			}
			var st state
			w.must(readJSON(w.path("hotline", "state.json"), &st))
			size, root := st.LogSize, st.LogRoot
			w.must(readJSON(filepath.Join(before, "state.json"), &st))
			st.LogSize, st.LogRoot = size, root
			w.must(writeJSON(w.path("hotline", "state.json"), st, 0o600))
			undo(w, before)
			p, err := w.h.Publish("")
			w.must(err)
			if tree, _ := w.publicLog(); p.Seq != 2 || p.Log.Index != 1 || tree.Size != 2 {
				t.Fatalf("version %d is leaf %d of %d", p.Seq, p.Log.Index, tree.Size)
			}
			w.must(w.proves(2, witness.Policy{}))
		})
	}
}

func (w *world) bytesOf(elem ...string) []byte {
	w.t.Helper()
	b, err := os.ReadFile(filepath.Join(elem...))
	w.must(err)
	return b
}

func TestALogFromABackupIsNotSignedOn(t *testing.T) {
	w := newWorld(t)
	w.importRows("x.test,domain")
	w.publishAll()
	w.must(copyDir(w.path("old"), w.path("hotline", "repository", "log")))
	w.importRows("y.test,domain")
	w.publishAll()
	w.signed("z.test,domain")
	w.must(os.RemoveAll(w.path("hotline", "repository", "log")))
	w.must(copyDir(w.path("hotline", "repository", "log"), w.path("old")))
	if _, err := w.h.Publish(""); !errors.Is(err, ledger.ErrLost) || ExitCode(err) != int(CodeInput) || !strings.Contains(err.Error(), "from a mirror") {
		t.Fatalf("got %v", err)
	}
	if st, err := w.h.Status(); err != nil || st.Seq != 2 || st.Staged == nil {
		t.Errorf("got %+v, %v", st, err)
	}
}

// A publish that was cut off when the leaf was written, and before anything else was, leaves no room for another content under its number: auditors
// would take it for a list that was shown to somebody in secret.
func TestAVersionThatMayStandInTheLogIsTheOnlyOneOfItsNumber(t *testing.T) {
	w := newWorld(t)
	w.importRows("x.test,domain")
	w.publishAll()
	w.signed("y.test,domain")
	proofs := w.path("hotline", "repository", "log", "proof")
	w.must(os.Rename(proofs, w.path("aside")))
	w.must(os.WriteFile(proofs, nil, 0o600)) // here the disk fails
	if _, err := w.h.Publish(""); err == nil {
		t.Fatal("published without a proof")
	}
	w.must(os.Remove(proofs))
	w.must(os.Rename(w.path("aside"), proofs))
	w.importRows("later.test,domain")
	if _, err := w.h.Sign(w.officers[0]); !errors.Is(err, ErrUnwitnessed) || !strings.Contains(err.Error(), "publish it first") {
		t.Fatalf("signing over a version that stands in the public log: %v", err)
	}
	p, err := w.h.Publish("")
	w.must(err)
	if p.Seq != 2 || p.Entries["domain"] != 2 {
		t.Errorf("published %+v, want version 2 as it was signed", p)
	}
	w.must(w.proves(2, witness.Policy{}))
	for _, o := range w.officers[:2] {
		_, err := w.h.Sign(o)
		w.must(err)
	}
	if p, err = w.h.Publish(""); err != nil || p.Seq != 3 {
		t.Fatalf("the next version: %+v, %v", p, err)
	}
	if tree, _ := w.publicLog(); tree.Size != 3 {
		t.Errorf("%d leaves for 3 versions", tree.Size)
	}
}

func TestThePublicLogGoesOnUnderANewKey(t *testing.T) {
	w := newWorld(t)
	w.importRows("x.test,domain")
	w.publishAll()
	old, _ := w.publicLog()
	_, err := w.h.Change(ChangeOptions{ServiceKeys: true})
	w.must(err)
	w.grant([]string{"root-1", "root-2", "root-3"}, []string{"accreditation-1", "accreditation-2"})
	_, err = w.h.Accept(w.accredits)
	w.must(err)
	w.importRows("y.test,domain")
	w.publishAll()
	tree, _ := w.publicLog()
	if tree.Size != 2 || tree.Head.Log == old.Head.Log || tree.Log.Origin != old.Log.Origin {
		t.Fatalf("got %+v after %+v", tree.Head, old.Head)
	}
	w.must(w.proves(2, witness.Policy{}))
}

// witnessServer cosigns whatever it is shown, unless it is down.
type witnessServer struct {
	signer *witness.Signer
	down   bool
	w      *world
}

func (s *witnessServer) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	b, err := io.ReadAll(r.Body)
	_, note, ok := bytes.Cut(b, []byte("\n\n"))
	if s.down || err != nil || !ok {
		http.Error(rw, "out of order", http.StatusServiceUnavailable)
		return
	}
	text, _, _ := bytes.Cut(note, []byte("\n\n"))
	lines, err := s.signer.Cosign(string(text)+"\n", s.w.now)
	if err != nil {
		http.Error(rw, err.Error(), http.StatusBadRequest)
		return
	}
	rw.Write(lines)
}

func TestWitnessesCosignBeforeAVersionIsPublished(t *testing.T) {
	w := newWorld(t)
	var servers []*witnessServer
	text, group := "", "group all all"
	var pool bytes.Buffer
	for _, name := range []string{"one", "two"} {
		s, err := witness.NewSigner(name+".test/witness", ed25519.NewKeyFromSeed(bytes.Repeat([]byte(name[:1]), 32)))
		w.must(err)
		server := &witnessServer{signer: s, w: w}
		ts := httptest.NewUnstartedServer(server)
		ts.TLS = &tls.Config{MinVersion: tls.VersionTLS13}
		ts.StartTLS()
		t.Cleanup(ts.Close)
		servers = append(servers, server)
		text += fmt.Sprintf("witness %s %s %s\n", name, s.Keys()[0], ts.URL)
		group += " " + name
		w.must(pem.Encode(&pool, &pem.Block{Type: "CERTIFICATE", Bytes: ts.Certificate().Raw}))
	}
	text += group + "\nquorum all\n"
	policyFile, ca := w.path("policy"), w.path("ca.pem")
	w.must(os.WriteFile(ca, pool.Bytes(), 0o600))
	for bad, says := range map[string]string{
		"witness one\nquorum one\n": "line 1", strings.Replace(text, "https://", "http://", 1): "URL", "quorum nobody\n": "line 1", "quorum none": "line 1",
	} {
		w.must(os.WriteFile(policyFile, []byte(bad), 0o600))
		if _, err := w.h.SetWitnesses(policyFile, ca, false); ExitCode(err) != int(CodeInput) || !strings.Contains(err.Error(), "cannot be used") {
			t.Errorf("%q: got %v, want something about %s", bad, err, says)
		}
	}
	w.must(os.WriteFile(policyFile, []byte(text), 0o600))
	if _, err := w.h.SetWitnesses("", ca, false); ExitCode(err) != int(CodeUsage) {
		t.Errorf("a CA alone: got %v", err)
	}
	set, err := w.h.SetWitnesses(policyFile, ca, false)
	w.must(err)
	if len(set.Asked) != 2 || !set.CA {
		t.Fatalf("got %+v", set)
	}
	policy, err := witness.ParsePolicy(text)
	w.must(err)

	w.importRows("x.test,domain")
	p := w.publishAll()
	if p.Log.Missing != "" || len(p.Log.Witnesses) != 2 || !p.Log.Witnesses[0].Signed {
		t.Fatalf("got %+v", p.Log)
	}
	w.must(w.proves(1, policy))

	servers[1].down = true
	w.signed("y.test,domain")
	_, err = w.h.Publish("")
	w.importRows("later.test,domain") // analysts go on working
	if _, err := w.h.Sign(w.officers[0]); !errors.Is(err, ErrUnwitnessed) || !strings.Contains(err.Error(), "publish it first") {
		t.Fatalf("signing over a version that stands in the public log: %v", err)
	}
	if !errors.Is(err, ErrUnwitnessed) || ExitCode(err) != int(CodeHeld) || !strings.Contains(err.Error(), "two") || !strings.Contains(err.Error(), "--without-witnesses") {
		t.Fatalf("a witness is down: got %v", err)
	}
	st, err := w.h.Status()
	w.must(err)
	if st.Seq != 1 || st.Staged == nil || st.Staged.Stale != "" {
		t.Fatalf("the version must wait: %+v", st.Staged)
	}
	_, err = w.h.PublishWith(t.Context(), PublishOptions{WithoutWitnesses: true})
	w.must(err)
	if err := w.proves(2, policy); !errors.Is(err, witness.ErrPolicy) {
		t.Fatalf("without its witness: got %v", err)
	}
	w.must(w.proves(2, witness.Policy{}))
	r, err := w.h.Refresh()
	w.must(err)
	if notes := strings.Join(r.Notes, "\n"); !strings.Contains(notes, "do not take version 2 in yet") {
		t.Errorf("notes: %q", notes)
	}
	servers[1].down = false
	_, err = w.h.Refresh()
	w.must(err)
	w.must(w.proves(2, policy))
	if tree, _ := w.publicLog(); tree.Size != 2 {
		t.Errorf("size %d of the public log, want 2", tree.Size)
	}
	w.fetchAll(trust.HighWater{}) // what was published is what was signed, without what came later
	servers[0].down = true
	for _, o := range w.officers[:2] {
		_, err := w.h.Sign(o)
		w.must(err)
	}
	if _, err = w.h.Publish(""); !errors.Is(err, ErrUnwitnessed) {
		t.Fatalf("version 3: %v", err)
	}
	_, err = w.h.Remove("error", "later.test")
	w.must(err)
	g, err := w.h.SignWith(SignOptions{Officer: w.officers[0], Again: true})
	w.must(err)
	if !strings.Contains(g.Dropped, "version 3 is dropped") {
		t.Errorf("dropped on purpose: %q", g.Dropped)
	}
	w.importRows("other.test,domain")
	if g, err = w.h.SignWith(SignOptions{Officer: w.officers[0]}); err != nil || g.Dropped == "" {
		t.Errorf("a candidate that is in no log is dropped without a word: %q, %v", g.Dropped, err)
	}
	set, err = w.h.SetWitnesses("", "", true)
	w.must(err)
	if len(set.Asked) != 0 {
		t.Errorf("after --none: %+v", set)
	}
}
