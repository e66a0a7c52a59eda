package listsync

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cordon-project/cordon/listsync/publiclog"
	"github.com/cordon-project/cordon/listsync/publiclog/publiclogtest"
	"github.com/cordon-project/cordon/listsync/trust"
	"github.com/cordon-project/cordon/listsync/trust/trusttest"
	"github.com/cordon-project/cordon/resolver/match"
)

// logged verifies a proof as the cluster does.
func (a *agreed) logged(v *trust.Verified, m trust.Metadata, id match.ListID, proof []byte) error {
	if v.Charter.Log == "" {
		return nil
	}
	i := slices.IndexFunc(v.Lists, func(t trust.ListTarget) bool { return t.List == id })
	if a.accepted.inForce(id, v.Lists[i].Seq) {
		return nil
	}
	p, err := publiclog.DecodeProof(proof)
	if err != nil {
		return err
	}
	leaf, err := publiclog.LeafOf(m.List, v.Lists[i])
	if err != nil {
		return err
	}
	shown, err := p.Verify(publiclog.Expect{Leaf: leaf, Log: v.Charter.Log, Before: a.accepted.PublicLog, Policy: a.policy})
	if err == nil {
		a.accepted.PublicLog = shown.Head
	}
	return err
}

// keeping is a hotline with a public log and versions 1 to seq.
func keeping(seq uint64) *trusttest.Hotline {
	h := trusttest.New("listsync", "hotline-one", trusttest.Now)
	h.KeepLog()
	for n := uint64(1); n <= seq; n++ {
		h.Publish(trusttest.Now, trusttest.Files(listID, n))
	}
	return h
}

func poll(t *testing.T, s *Syncer) {
	t.Helper()
	s.lists.report(t.Context(), s.lists.poll(t.Context()))
}

func TestVersionsComeWithTheirProofs(t *testing.T) {
	h := keeping(3)
	s, a := setup(t, h, h)
	var told []string
	s.lists.SeenLog = func(vkey string, checkpoint []byte) {
		told = append(told, strings.Split(string(checkpoint), "\n")[1])
		if vkey != h.Log.VKey() {
			t.Errorf("told of log %q", vkey)
		}
	}
	poll(t, s)
	for n := uint64(4); n <= 6; n++ {
		h.Publish(trusttest.Now, trusttest.Files(listID, n))
		poll(t, s)
		poll(t, s)
	}
	if got := s.Health().Problem; got != "" || !slices.Equal(a.published, []uint64{3, 4, 5, 6}) || a.accepted.PublicLog != h.Log.Head(6) {
		t.Fatalf("published %v, public log %+v, problem %q", a.published, a.accepted.PublicLog, got)
	}
	if !slices.Equal(told, []string{"3", "4", "4", "5", "5", "6", "6"}) {
		t.Errorf("checkpoints handed on: %v", told)
	}
}

// A hotline shows this operator, and then it alone, another history than it showed before.
func TestARewrittenPublicLogIsRefusedAndSaid(t *testing.T) {
	for name, at := range map[string]int{"the last leaf": 1, "all of it": 0} {
		t.Run(name, func(t *testing.T) {
			h := keeping(2)
			s, a := setup(t, h, h)
			poll(t, s)
			lie := h.Log.Fork(at)
			for lie.Size() < 2 {
				lie.Append([]byte("a version for others"))
			}
			h.Log = lie
			h.Publish(trusttest.Now, trusttest.Files(listID, 3))
			for range 3 {
				poll(t, s)
			}
			if p := s.Health().Problem; !slices.Equal(a.published, []uint64{2}) || !strings.Contains(p, "somebody is shown another list than others are") {
				t.Fatalf("published %v, problem %q", a.published, p)
			}
			if len(a.refusals) != 1 || a.refusals[0].Reason != "split_view" || a.refusals[0].Seq != 3 {
				t.Errorf("refusals %+v, want one split_view", a.refusals)
			}
			if _, err := os.Stat(filepath.Join(s.c.Heads.dir, "hotline-one.conflict")); err != nil {
				t.Errorf("the evidence: %v", err)
			}
		})
	}
}

// The list stays; only the log shows somebody else's version, or loses one. It is seen without waiting for a new version.
func TestARewrittenPublicLogIsSeenWhenNothingIsNew(t *testing.T) {
	h := keeping(2)
	s, a := setup(t, h, h)
	poll(t, s)
	lie := h.Log.Fork(1)
	lie.Append([]byte("a version for others"))
	lie.Append([]byte("and one more"))
	spoiled := lie.Files()
	s2, _ := setupWith(t, a, h, serve(h, spoiled))
	s2.lists.Heads = s.lists.Heads
	poll(t, s2)
	if p := s2.Health().Problem; !strings.Contains(p, "another history than before") || len(a.refusals) != 1 || a.refusals[0].Reason != "split_view" {
		t.Errorf("problem %q, refusals %+v", p, a.refusals)
	}
}

// serve puts some files in place of a hotline's.
func serve(h http.Handler, files map[string][]byte) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if b, ok := files[strings.TrimPrefix(r.URL.Path, "/")]; ok {
			w.Write(b)
			return
		}
		h.ServeHTTP(w, r)
	})
}

func TestAVersionThatIsNotInThePublicLogIsRefused(t *testing.T) {
	for name, spoil := range map[string]func(h *trusttest.Hotline) map[string][]byte{
		"proof of another version": func(h *trusttest.Hotline) map[string][]byte {
			return map[string][]byte{publiclog.ProofName(listID, 2): h.Log.TLogProof(0, 2)}
		},
		"no proof at all": func(*trusttest.Hotline) map[string][]byte {
			return map[string][]byte{publiclog.ProofName(listID, 2): []byte("nothing\n")}
		},
		"a log that others sign": func(h *trusttest.Hotline) map[string][]byte {
			own := publiclogtest.New(h.Log.Origin, trusttest.Key("thief"))
			own.Leaves = h.Log.Leaves
			m := own.Files()
			m[publiclog.ProofName(listID, 2)] = own.TLogProof(1, 2)
			return m
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := keeping(1)
			s, a := setup(t, h, h)
			poll(t, s)
			h.Publish(trusttest.Now, trusttest.Files(listID, 2))
			s, a = setupWith(t, a, h, serve(h, spoil(h)))
			for range 3 {
				poll(t, s)
			}
			if !slices.Equal(a.published, []uint64{1}) || len(a.refusals) != 1 || a.refusals[0].Reason != "public_log" {
				t.Fatalf("published %v, refusals %+v", a.published, a.refusals)
			}
			if p := s.Health().Problem; !strings.Contains(p, "refused (public_log)") {
				t.Errorf("problem %q", p)
			}
			s, a = setupWith(t, a, h, serve(h, spoil(h)), h) // a mirror has it
			poll(t, s)
			if !slices.Equal(a.published, []uint64{1, 2}) {
				t.Errorf("with an honest mirror: published %v", a.published)
			}
		})
	}
}

func TestAMirrorWhosePublicLogLagsIsOnlyBehind(t *testing.T) {
	h := keeping(1)
	old := h.Log.Files()
	s, a := setup(t, h, h)
	poll(t, s)
	h.Publish(trusttest.Now, trusttest.Files(listID, 2))
	s, a = setupWith(t, a, h, serve(h, old))
	poll(t, s)
	if p := s.Health().Problem; len(a.refusals) != 0 || !strings.Contains(p, "shorter than this operator has seen it") {
		t.Errorf("refusals %+v, problem %q", a.refusals, p)
	}
	s, a = setupWith(t, a, h, h, serve(h, old))
	poll(t, s)
	if p := s.Health().Problem; p != "" || !slices.Equal(a.published, []uint64{1, 2}) {
		t.Errorf("published %v, problem %q", a.published, p)
	}
}

func TestWhatWasSeenOutlivesARestart(t *testing.T) {
	h := keeping(2)
	s, _ := setup(t, h, h)
	poll(t, s)
	again, err := OpenHeads(s.c.Heads.dir)
	if err != nil || again.seen[h.ID].head != h.Log.Head(2) {
		t.Fatalf("got %+v, %v", again, err)
	}
	name := filepath.Join(s.c.Heads.dir, "hotline-one.json")
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for what, bad := range map[string][]byte{
		"cut off": b[:len(b)/2], "another size": bytes.Replace(b, []byte(`\n2\n`), []byte(`\n3\n`), 1), "empty": {}, "endless": make([]byte, maxSeenFile+1),
	} {
		if err := os.WriteFile(name, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := OpenHeads(s.c.Heads.dir); err == nil || !strings.Contains(err.Error(), "hotline-one.json is damaged") {
			t.Errorf("%s: got %v", what, err)
		}
	}
}
