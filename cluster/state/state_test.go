package state_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"testing"
	"time"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/command"
	"github.com/cordon-project/cordon/cluster/state"
	"github.com/cordon-project/cordon/listsync/trust"
	"github.com/cordon-project/cordon/listsync/trust/trusttest"
)

func TestReplicasStartWithTheSameLeaves(t *testing.T) {
	w := newWorld(t)
	a, b := w.state().View(), w.state().View()
	if a.Root != b.Root || a.Size != 5 {
		t.Errorf("size %d root %x, other %x; want 5 equal leaves: three members, an edge, an anchor", a.Size, a.Root[:4], b.Root[:4])
	}
	if len(a.Edges) != 1 || a.Edges[0].Name != "edge-1" {
		t.Errorf("edges %+v, want edge-1 of the cluster file", a.Edges)
	}
}

func TestASignedListWithAQuorumOfVerdictsComesIntoForce(t *testing.T) {
	w, s := newWorld(t), (*state.State)(nil)
	s = w.state()
	res := apply(t, s, w.good(listMain, 1))
	v := s.View()
	l, ok := v.InForce.List(listMain)
	if !ok || l.Seq != 1 || l.Leaf != res.Leaf {
		t.Fatalf("in force %+v, want seq 1 of leaf %d", v.InForce.Lists, res.Leaf)
	}
	p, at, ok := v.Publish(listMain)
	if !ok || at.Unix() != w.now || len(p.Verdicts) != 2 {
		t.Errorf("publish leaf %+v at %v, want two verdicts at %d", p, at, w.now)
	}
	h, _ := v.Hotline("hotline-one")
	if h.High.List != 1 || h.Metadata != l.Metadata || len(h.High.Seqs) != 1 {
		t.Errorf("high water %+v metadata %x, want version 1 and %x", h.High, h.Metadata[:4], l.Metadata[:4])
	}
	if b, err := v.Metadata(l.Metadata); err != nil || len(b) == 0 {
		t.Errorf("metadata of the list in force: %v", err)
	}
	if _, err := v.Metadata([32]byte{1}); !errors.Is(err, state.ErrNotFound) {
		t.Errorf("unknown metadata: %v, want ErrNotFound", err)
	}
}

func TestWhatIsWrongWithAPublicationIsALeafAndChangesNothing(t *testing.T) {
	members := []string{"control-1", "control-2"}
	for _, c := range []struct {
		name   string
		reason string
		cmd    func(w *world) []byte
	}{
		{"one verdict of three members", state.ReasonVerdicts, func(w *world) []byte {
			l := trusttest.Files(listMain, 2)
			return w.publish(w.metadata(l), listMain, w.verdicts(l, "control-1"))
		}},
		{"one member twice", state.ReasonVerdicts, func(w *world) []byte {
			l := trusttest.Files(listMain, 2)
			return w.publish(w.metadata(l), listMain, w.verdicts(l, "control-1", "control-1"))
		}},
		{"a verdict of no member", state.ReasonVerdicts, func(w *world) []byte {
			l := trusttest.Files(listMain, 2)
			return w.publish(w.metadata(l), listMain, w.verdicts(l, "control-1", "edge-1"))
		}},
		{"a verdict about another file", state.ReasonVerdicts, func(w *world) []byte {
			l := trusttest.Files(listMain, 2)
			other := l
			other.Edge = []byte("something else")
			return w.publish(w.metadata(l), listMain, append(w.verdicts(l, "control-1"), w.verdicts(other, "control-2")...))
		}},
		{"two verdicts of different indexes", state.ReasonIndex, func(w *world) []byte {
			l := trusttest.Files(listMain, 2)
			return w.publish(w.metadata(l), listMain, append(w.verdicts(l, "control-1"), w.of(l, "control-2", sha256.Sum256([]byte("another")))))
		}},
		{"a verdict of no index", state.ReasonVerdicts, func(w *world) []byte {
			l := trusttest.Files(listMain, 2)
			return w.publish(w.metadata(l), listMain, append(w.verdicts(l, "control-1"), w.of(l, "control-1", [32]byte{})))
		}},
		{"an objecting verdict", state.ReasonVerdicts, func(w *world) []byte {
			l := trusttest.Files(listMain, 2)
			return w.publish(w.metadata(l), listMain, append(w.verdicts(l, "control-1"), w.verdict(l, "control-2", "empty")))
		}},
		{"a verdict for another cluster", state.ReasonVerdicts, func(w *world) []byte {
			l := trusttest.Files(listMain, 2)
			own := w.id
			w.id = "00112233445566778899aabbccddeeff"
			foreign := w.verdicts(l, "control-2")
			w.id = own
			return w.publish(w.metadata(l), listMain, append(w.verdicts(l, "control-1"), foreign...))
		}},
		{"one officer of two", "threshold", func(w *world) []byte {
			w.hotline.Break(trusttest.ListSigners(0))
			l := trusttest.Files(listMain, 2)
			return w.publish(w.metadata(l), listMain, w.verdicts(l, members...))
		}},
		{"another scope", "scope", func(w *world) []byte {
			w.hotline.Break(trusttest.Scope("copyright"))
			l := trusttest.Files(listMain, 2)
			return w.publish(w.metadata(l), listMain, w.verdicts(l, members...))
		}},
		{"expired at the command's time", "expired", func(w *world) []byte {
			l := trusttest.Files(listMain, 2)
			m := w.metadata(l)
			w.now += int64(40 * 24 * time.Hour / time.Second)
			return w.publish(m, listMain, w.verdicts(l, members...))
		}},
		{"a list that is not in the metadata", state.ReasonUnknownList, func(w *world) []byte {
			l := trusttest.Files(listMain, 2)
			return w.publish(w.metadata(l), listOther, w.verdicts(l, members...))
		}},
		{"a hotline that is not in the cluster file", state.ReasonUnknownHotline, func(w *world) []byte {
			l := trusttest.Files(listMain, 2)
			return w.publish(w.metadata(l), "hotline-two/main", w.verdicts(l, members...))
		}},
		{"not a list id", state.ReasonUnknownList, func(w *world) []byte {
			l := trusttest.Files(listMain, 2)
			return w.publish(w.metadata(l), "main", w.verdicts(l, members...))
		}},
		{"a predecessor older than what is in force", state.ReasonSequence, func(w *world) []byte {
			l := trusttest.Files(listMain, 2)
			l.Target.Prev = 0
			return w.publish(w.metadata(l), listMain, w.verdicts(l, members...))
		}},
		{"other files under the version in force", state.ReasonEquivocation, func(w *world) []byte {
			l := trusttest.Files(listMain, 1)
			l.Edge = []byte("quietly changed")
			return w.publish(w.metadata(l), listMain, w.verdicts(l, members...))
		}},
		{"metadata that is none", "format", func(w *world) []byte {
			return w.command(command.Publish{Metadata: []byte{1, 2, 3}, List: listMain})
		}},
		{"an authority of throw-away keys", "signature", func(w *world) []byte {
			w.hotline = trusttest.New("another authority", "hotline-one", trusttest.Now, trusttest.Development())
			l := trusttest.Files(listMain, 2)
			return w.publish(w.metadata(l), listMain, w.verdicts(l, members...))
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			s := w.state()
			apply(t, s, w.good(listMain, 1))
			cmd := c.cmd(w)
			refused(t, s, cmd, c.reason)
			size := s.View().Size
			if res := s.Apply(cmd); res.Err == nil || res.Logged || s.View().Size != size {
				t.Errorf("refused again: %+v, want no second leaf", res)
			}
			if got := s.View().Refused; got != 2 {
				t.Errorf("refusals counted %d, want 2", got)
			}
		})
	}
}

func TestDevelopmentKeysNeedADevelopmentCluster(t *testing.T) {
	for _, development := range []bool{false, true} {
		w := newWorld(t)
		w.hotline = trusttest.New("throw-away", "hotline-one", trusttest.Now, trusttest.Development())
		w.desc.Hotlines[0].Root, w.desc.Development = w.hotline.Pinned, development
		w.id = w.desc.ID()
		s := w.state()
		if cmd := w.good(listMain, 1); development {
			apply(t, s, cmd)
		} else {
			refused(t, s, cmd, "development")
		}
	}
}

func TestNewerMetadataOfTheSameVersionIsARenewal(t *testing.T) {
	w := newWorld(t)
	s := w.state()
	l := trusttest.Files(listMain, 1)
	m := w.metadata(l)
	apply(t, s, w.publish(m, listMain, w.verdicts(l, "control-1", "control-2")))
	force := s.View().InForce.Hash()
	if res := s.Apply(w.publish(m, listMain, nil)); !res.Duplicate || res.Logged || res.Err != nil {
		t.Errorf("the same again: %+v, want a duplicate", res)
	}
	w.now += 3600
	renewed := w.metadata()
	apply(t, s, w.publish(renewed, listMain, nil))
	v := s.View()
	h, _ := v.Hotline("hotline-one")
	if v.InForce.Hash() != force || h.Metadata != renewed.Hash() || h.High.Timestamp != 2 {
		t.Errorf("metadata %x timestamp %d, want the renewed one and nothing else in force", h.Metadata[:4], h.High.Timestamp)
	}
	refused(t, s, w.publish(m, listMain, nil), "rollback")
}

func TestOneVersionNumberWithTwoContentsIsRefused(t *testing.T) {
	w := newWorld(t)
	s := w.state()
	apply(t, s, w.good(listMain, 1))
	// The online keys are stolen: the same versions, signed once more with another expiry.
	twin := newWorld(t)
	twin.now = w.now + 60
	m := twin.metadata(trusttest.Files(listMain, 1))
	w.now += 60
	refused(t, s, w.publish(m, listMain, nil), state.ReasonEquivocation)
}

func TestRootRotationIsFollowedAndAnotherChainIsNot(t *testing.T) {
	w := newWorld(t)
	s := w.state()
	apply(t, s, w.good(listMain, 1))
	w.hotline.RotateRoot(time.Unix(w.now, 0))
	apply(t, s, w.good(listMain, 2))
	h, _ := s.View().Hotline("hotline-one")
	if h.High.Root != 2 || h.Roots.Version() != 2 || !bytes.Equal(h.Roots.Newest(), h.Verified.Root) {
		t.Fatalf("root %d, chain up to %d; want version 2", h.High.Root, h.Roots.Version())
	}
	// Whoever holds the first root's keys makes a second root 2 and 3.
	twin := newWorld(t)
	twin.now = w.now
	apply(t, twin.state(), twin.good(listMain, 1))
	twin.metadata()
	twin.hotline.Break(trusttest.Expires("root", time.Unix(w.now, 0).Add(99*time.Hour)))
	twin.hotline.RotateRoot(time.Unix(twin.now, 0))
	refused(t, s, twin.good(listMain, 3), "signature")
}

// Nodes pin one root for ever: the chain grows by what they accept, and a snapshot restores it.
func TestMoreRootsThanOneVerifyFollows(t *testing.T) {
	w := newWorld(t)
	s := w.state()
	seq := uint64(1)
	apply(t, s, w.good(listMain, seq))
	for range 3 * trust.MaxRootSteps {
		w.hotline.RotateRoot(time.Unix(w.now, 0))
		seq++
		apply(t, s, w.good(listMain, seq))
	}
	h, _ := s.View().Hotline("hotline-one")
	if want := int64(1 + 3*trust.MaxRootSteps); h.Roots.Version() != want {
		t.Fatalf("chain up to root %d, want %d", h.Roots.Version(), want)
	}
	snap, err := s.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	again, err := state.Restore(w.desc, snap.Encode())
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := again.View().Hotline("hotline-one"); !bytes.Equal(got.Roots.Newest(), h.Roots.Newest()) {
		t.Error("the restored state has another newest root")
	}
	// Nine steps at once are more than one publication carries; eight are not.
	for range trust.MaxRootSteps {
		w.hotline.RotateRoot(time.Unix(w.now, 0))
	}
	ahead := w.good(listMain, seq+1)
	w.hotline.RotateRoot(time.Unix(w.now, 0))
	refused(t, again, w.good(listMain, seq+2), "rollback")
	apply(t, again, ahead)
}

// Who is revoked signs nothing new; what was accepted before stays in force.
func TestRevokedKeysSignNothingNew(t *testing.T) {
	for _, c := range []struct {
		name   string
		revoke func(w *world)
		reason string
	}{
		{"an officer's, together with one who stayed", func(w *world) {
			thief := w.hotline.Officers[0]
			w.hotline.Officers[0] = trusttest.Key("officer who came")
			w.hotline.Accredit(time.Unix(w.now, 0))
			w.hotline.Break(trusttest.ListSignedBy(thief, w.hotline.Officers[1]))
		}, "threshold"},
		{"two officers'", func(w *world) {
			thieves := w.hotline.Officers[:2:2]
			w.hotline.Officers = []ed25519.PrivateKey{trusttest.Key("one who came"), trusttest.Key("another"), w.hotline.Officers[2]}
			w.hotline.Accredit(time.Unix(w.now, 0))
			w.hotline.Break(trusttest.ListSignedBy(thieves...))
		}, "signature"},
		{"an accreditation key's", func(w *world) {
			w.hotline.Accreditation = []ed25519.PrivateKey{trusttest.Key("accreditation who came"), w.hotline.Accreditation[1], w.hotline.Accreditation[2]}
			w.hotline.RotateRoot(time.Unix(w.now, 0)) // the targets of before carry the revoked key's signature
		}, "threshold"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			s := w.state()
			apply(t, s, w.good(listMain, 1))
			w.now += 60
			c.revoke(w)
			refused(t, s, w.good(listMain, 2), c.reason)
			if l, ok := s.View().InForce.List(listMain); !ok || l.Seq != 1 {
				t.Errorf("in force: %+v, want version 1", l)
			}
			w.hotline.Mend()
			w.hotline.Accredit(time.Unix(w.now, 0))
			w.now += 60
			apply(t, s, w.good(listMain, 3))
		})
	}
}

func TestTimeNeverDecreases(t *testing.T) {
	w := newWorld(t)
	s := w.state()
	w.now += 100
	s.Apply(w.command(command.Tick{}))
	late := s.View().Time
	w.now -= 90
	apply(t, s, w.good(listMain, 1))
	if _, at, _ := s.View().Publish(listMain); s.View().Time != late || at.Unix() != late {
		t.Errorf("time %d, leaf at %v, want %d", s.View().Time, at, late)
	}
}

func TestAnUnknownCommandStopsTheReplica(t *testing.T) {
	w := newWorld(t)
	s := w.state()
	apply(t, s, w.good(listMain, 1))
	before := s.View()
	unknown := []byte("\xa4\x61b\xa0\x61k\x67feature\x61t\x01\x61v\x01")
	if res := s.Apply(unknown); !errors.Is(res.Err, state.ErrHalted) || !errors.Is(res.Err, command.ErrUnknown) {
		t.Fatalf("unknown command: %+v, want ErrHalted and ErrUnknown", res)
	}
	if res := s.Apply(w.good(listMain, 2)); !errors.Is(res.Err, state.ErrHalted) {
		t.Errorf("after it: %+v, want ErrHalted", res)
	}
	after := s.View()
	if after.Halted == nil || after.Root != before.Root {
		t.Errorf("halted %v root %x, want the log as it was (%x)", after.Halted, after.Root[:4], before.Root[:4])
	}
	if _, err := s.Snapshot(); !errors.Is(err, state.ErrHalted) {
		t.Errorf("snapshot of a halted state: %v, want ErrHalted", err)
	}
}

func TestAssertionOfTheQuorumStopsAReplicaThatDiffers(t *testing.T) {
	w := newWorld(t)
	s, other := w.state(), w.state()
	apply(t, s, w.good(listMain, 1))
	other.Apply(w.command(command.Reject{Hotline: "hotline-one", Object: make([]byte, 32), Stage: "fetch", Reason: "format", Node: "control-1"}))
	v := s.View()
	cp := audit.Checkpoint{Origin: w.desc.Origin, Size: v.Size, Root: v.Root}
	note := w.note(cp, "control-1", "control-2")
	cmd := w.command(command.Assert{Size: v.Size, Root: v.Root[:], Checkpoint: note})
	if res := s.Apply(cmd); res.Err != nil || res.Logged {
		t.Errorf("own root asserted: %+v, want nothing", res)
	}
	if res := other.Apply(cmd); !errors.Is(res.Err, state.ErrDiverged) || !errors.Is(other.View().Halted, state.ErrDiverged) {
		t.Errorf("another root asserted: %+v, want ErrDiverged", res)
	}
	// A leader that computes something else has no quorum for it.
	cp.Root[0] ^= 1
	lie := w.command(command.Assert{Size: v.Size, Root: cp.Root[:], Checkpoint: w.note(cp, "control-1")})
	refused(t, s, lie, state.ReasonCheckpoint)
	if s.View().Halted != nil {
		t.Errorf("one member's assertion stopped a replica: %v", s.View().Halted)
	}
}

func (w *world) note(cp audit.Checkpoint, members ...string) []byte {
	w.t.Helper()
	var note []byte
	for i, m := range members {
		s, err := audit.NewSigner(w.desc.Origin, m, key(m))
		if err != nil {
			w.t.Fatal(err)
		}
		if i == 0 {
			note, err = s.Sign(cp, time.Unix(w.now, 0))
		} else {
			var line []byte
			if line, err = s.Cosign(cp, time.Unix(w.now, 0)); err == nil {
				note, err = w.desc.Quorum().Assemble(note, line)
			}
		}
		if err != nil {
			w.t.Fatal(err)
		}
	}
	return note
}
