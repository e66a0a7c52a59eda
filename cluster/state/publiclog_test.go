package state_test

import (
	"errors"
	"testing"
	"time"

	"github.com/cordon-project/cordon/cluster/command"
	"github.com/cordon-project/cordon/cluster/state"
	"github.com/cordon-project/cordon/listsync/publiclog"
	"github.com/cordon-project/cordon/listsync/publiclog/publiclogtest"
	"github.com/cordon-project/cordon/listsync/trust"
	"github.com/cordon-project/cordon/listsync/trust/trusttest"
)

// accepted takes the head of the hotline's public log from a view: what the next proof goes on from.
func (w *world) accepted(v *state.View) {
	h, _ := v.Hotline(w.hotline.ID)
	w.logged = h.PublicLog
}

// logged is a world whose hotline keeps a public log that these witnesses cosign and the cluster wants them to.
func logged(t *testing.T, cosigners ...publiclogtest.Cosigner) *world {
	w := newWorld(t)
	w.hotline.KeepLog().Cosigners = cosigners
	if len(cosigners) > 0 {
		w.desc.LogWitnesses = publiclogtest.Policy(cosigners...).String()
		if err := w.desc.Check(); err != nil {
			t.Fatal(err)
		}
		w.id = w.desc.ID()
	}
	return w
}

// version publishes a version at the hotline and gives the command for it, with a proof that change has had its way with.
func (w *world) version(seq uint64, change func(m trust.Metadata, proof []byte) []byte) []byte {
	w.t.Helper()
	l := trusttest.Files(listMain, seq)
	m := w.metadata(l)
	b, err := m.Encode()
	if err != nil {
		w.t.Fatal(err)
	}
	proof := w.hotline.PublicProof(m, listMain, w.logged)
	if change != nil {
		proof = change(m, proof)
	}
	return w.command(command.Publish{Metadata: b, List: listMain, Verdicts: w.verdicts(l, "control-1", "control-2"), PublicProof: proof})
}

func encoded(t *testing.T, p publiclog.Proof) []byte {
	t.Helper()
	b, err := p.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestAVersionComesInWithTheProofOfItsPublicLog(t *testing.T) {
	w := logged(t, publiclogtest.Cosigner{Name: "one.test/w", Key: key("witness"), At: time.Unix(1780000000, 0)})
	s := w.state()
	for seq := uint64(1); seq <= 3; seq++ {
		res := apply(t, s, w.version(seq, nil))
		w.accepted(s.View())
		if w.logged != w.hotline.Log.Head(seq) {
			t.Fatalf("version %d: accepted %+v of the public log, want size %d", seq, w.logged, seq)
		}
		p, _, ok := s.View().Publish(listMain)
		if !ok || len(p.PublicProof) == 0 || res.Leaf == 0 {
			t.Fatalf("version %d: its leaf has no proof", seq)
		}
		r, err := state.Restore(w.desc, bytesOf(t, s))
		if err != nil {
			t.Fatal(err)
		}
		if h, _ := r.View().Hotline(w.hotline.ID); h.PublicLog != w.logged {
			t.Fatalf("restored: %+v, want %+v", h.PublicLog, w.logged)
		}
	}
	apply(t, s, w.publish(w.metadata(), listMain, nil)) // a renewal is no version
	w.accepted(s.View())
	if w.logged.Size != 3 {
		t.Errorf("a renewal moved the public log to %d", w.logged.Size)
	}
}

func TestAVersionWithoutItsProofIsRefused(t *testing.T) {
	at := time.Unix(1780000000, 0)
	one, two := publiclogtest.Cosigner{Name: "one.test/w", Key: key("witness 1"), At: at}, publiclogtest.Cosigner{Name: "two.test/w", Key: key("witness 2"), At: at}
	leafOf := func(m trust.Metadata) publiclog.Leaf {
		spec, err := trust.ReadList(m.List, "hotline-one")
		if err != nil {
			t.Fatal(err)
		}
		l, err := publiclog.LeafOf(m.List, spec.Lists[0])
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	for name, change := range map[string]func(w *world, m trust.Metadata, proof []byte) []byte{
		"none":      func(*world, trust.Metadata, []byte) []byte { return nil },
		"no proof":  func(*world, trust.Metadata, []byte) []byte { return []byte("no proof") },
		"oversized": func(*world, trust.Metadata, []byte) []byte { return make([]byte, publiclog.MaxProof) },
		"cut off":   func(_ *world, _ trust.Metadata, proof []byte) []byte { return proof[:len(proof)-1] },
		"of another version": func(w *world, _ trust.Metadata, _ []byte) []byte {
			return encoded(t, w.hotline.Log.Proof(0, 2, w.logged))
		},
		"of a log of the thief's own": func(w *world, m trust.Metadata, _ []byte) []byte {
			thief := publiclogtest.New(w.hotline.Log.Origin, key("thief"))
			thief.Cosigners = w.hotline.Log.Cosigners
			thief.Append(leafOf(m).Encode())
			p := thief.Proof(0, 1, publiclog.Head{})
			p.Log, p.From = w.hotline.Log.VKey(), 1
			return encoded(t, p)
		},
		"of a log rewritten since the version before": func(w *world, m trust.Metadata, _ []byte) []byte {
			lie := w.hotline.Log.Fork(0)
			lie.Append([]byte("another history"))
			lie.Append(leafOf(m).Encode())
			return encoded(t, lie.Proof(1, 2, lie.Head(1)))
		},
		"seen by one witness of two": func(w *world, _ trust.Metadata, _ []byte) []byte {
			w.hotline.Log.Cosigners = []publiclogtest.Cosigner{one}
			return encoded(t, w.hotline.Log.Proof(1, 2, w.logged))
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := logged(t, one, two)
			s := w.state()
			apply(t, s, w.version(1, nil))
			w.accepted(s.View())
			refused(t, s, w.version(2, func(m trust.Metadata, proof []byte) []byte { return change(w, m, proof) }), "public_log")
			if h, _ := s.View().Hotline("hotline-one"); h.PublicLog != w.logged {
				t.Errorf("the refused proof moved the public log to %+v", h.PublicLog)
			}
			if _, err := state.Restore(w.desc, bytesOf(t, s)); err != nil {
				t.Errorf("restore: %v", err)
			}
		})
	}
}

// Two leaves for one seq stand in the log for everybody; a cluster takes the one that its metadata is about.
func TestTwoLeavesForOneSeqAreBothThere(t *testing.T) {
	w := logged(t)
	s := w.state()
	apply(t, s, w.version(1, nil))
	w.accepted(s.View())
	other := trusttest.Files(listMain, 2)
	other.Audit = []byte("another auditor list")
	w.metadata(other)
	apply(t, s, w.version(2, nil))
	w.accepted(s.View())
	if w.logged.Size != 3 {
		t.Errorf("size of the public log: got %d, want 3", w.logged.Size)
	}
}

func TestAProofThatAnotherVersionOvertookIsNoRefusal(t *testing.T) {
	w := logged(t)
	s := w.state()
	apply(t, s, w.version(1, nil))
	w.accepted(s.View())
	late := w.version(2, nil)
	b := trusttest.Files(listOther, 1)
	apply(t, s, w.publish(w.metadata(b), listOther, w.verdicts(b, "control-1", "control-2")))
	before := s.View()
	var r *state.Refusal
	if res := s.Apply(late); !errors.As(res.Err, &r) || r.Reason == "public_log" || res.Logged && r.Reason == state.ReasonStale {
		t.Fatalf("got %+v", res)
	}
	w.accepted(s.View())
	if w.logged.Size != 4 {
		t.Fatalf("size of the public log: got %d", w.logged.Size)
	}
	// The same version with a proof that was made before the other one came in.
	l := trusttest.Files(listMain, 2)
	m := w.metadata(l)
	enc, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	stale := encoded(t, w.hotline.Log.Proof(4, 5, w.hotline.Log.Head(1)))
	res := s.Apply(w.command(command.Publish{Metadata: enc, List: listMain, Verdicts: w.verdicts(l, "control-1", "control-2"), PublicProof: stale}))
	if !errors.As(res.Err, &r) || r.Reason != state.ReasonStale || res.Logged {
		t.Fatalf("a stale proof: got %+v after size %d", res, before.Size)
	}
	apply(t, s, w.publish(m, listMain, w.verdicts(l, "control-1", "control-2")))
}

func TestACharterSaysWhetherThereIsAPublicLog(t *testing.T) {
	w := newWorld(t)
	s := w.state()
	refused(t, s, w.version(1, func(trust.Metadata, []byte) []byte { return []byte("a proof that nobody asked for") }), "public_log")
	apply(t, s, w.good(listMain, 2))
	log := w.hotline.KeepLog()
	w.hotline.Accredit(time.Unix(w.now, 0))
	apply(t, s, w.version(3, nil)) // from size 0
	w.accepted(s.View())
	// A new key under a new charter begins at 0; the old log's proofs are worth nothing.
	w.hotline.Log = publiclogtest.New(log.Origin, key("new log key"))
	w.hotline.Log.Leaves = log.Leaves
	w.hotline.Charter.Log = w.hotline.Log.VKey()
	w.hotline.Accredit(time.Unix(w.now, 0))
	refused(t, s, w.version(4, func(m trust.Metadata, proof []byte) []byte {
		return encoded(t, log.Proof(0, 1, publiclog.Head{}))
	}), "public_log")
	apply(t, s, w.version(5, nil))
	if h, _ := s.View().Hotline("hotline-one"); h.PublicLog.Log != w.hotline.Log.VKey() {
		t.Errorf("the log in use: got %q", h.PublicLog.Log)
	}
}

func TestASnapshotCannotInventAProof(t *testing.T) {
	w := logged(t)
	s := w.state()
	apply(t, s, w.version(1, nil))
	good := bytesOf(t, s)
	bad := 0
	for i := range good { // a bit anywhere in the proof
		if i%97 != 0 {
			continue
		}
		b := append([]byte(nil), good...)
		b[i] ^= 1
		if _, err := state.Restore(w.desc, b); err == nil {
			bad++
		}
	}
	if bad > 0 {
		t.Errorf("%d altered snapshots were taken", bad)
	}
}
