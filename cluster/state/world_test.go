package state_test

import (
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"testing"
	"time"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/audit/order"
	"github.com/cordon-project/cordon/cluster/command"
	"github.com/cordon-project/cordon/cluster/state"
	"github.com/cordon-project/cordon/listsync/publiclog"
	"github.com/cordon-project/cordon/listsync/trust"
	"github.com/cordon-project/cordon/listsync/trust/trusttest"
	"github.com/cordon-project/cordon/resolver/match"
)

// world is a cluster of three members, an edge and a hotline, and the
// commands they could send.
type world struct {
	t       testing.TB
	desc    audit.Cluster
	id      string
	hotline *trusttest.Hotline
	now     int64
	logged  publiclog.Head // of the hotline's public log, as the cluster has accepted it
}

const (
	listMain  = match.ListID("hotline-one/main")
	listOther = match.ListID("hotline-one/other")
)

func key(name string) ed25519.PrivateKey { return trusttest.Key("state test", name) }

func public(name string) ed25519.PublicKey { return key(name).Public().(ed25519.PublicKey) }

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{t: t, now: trusttest.Now.Unix()}
	w.hotline = trusttest.New("state test", "hotline-one", trusttest.Now)
	w.desc = audit.Cluster{
		V: 1, Name: "isp.example", Origin: "isp.example/cordon", Created: w.now - 10, Recipient: "age1qqqq",
		Hotlines: []audit.HotlineAnchor{{ID: "hotline-one", Root: w.hotline.Pinned}},
		Edges:    []audit.EdgeKey{{Name: "edge-1", Key: public("edge-1")}},
	}
	for _, m := range []string{"control-1", "control-2", "control-3"} {
		w.desc.Members = append(w.desc.Members, audit.MemberKey{Name: m, Key: public(m)})
	}
	for _, name := range officers {
		w.desc.Officers = append(w.desc.Officers, order.Officer{Name: name, Key: public(name)})
	}
	if err := w.desc.Check(); err != nil {
		t.Fatalf("cluster: %v", err)
	}
	w.id = w.desc.ID()
	return w
}

func (w *world) state() *state.State {
	w.t.Helper()
	s, err := state.New(w.desc)
	if err != nil {
		w.t.Fatalf("new state: %v", err)
	}
	return s
}

func (w *world) command(b command.Body) []byte {
	w.t.Helper()
	out, err := command.Encode(command.Command{Time: w.now, Body: b})
	if err != nil {
		w.t.Fatalf("encode %T: %v", b, err)
	}
	return out
}

// metadata publishes these lists at the hotline.
func (w *world) metadata(lists ...trusttest.List) trust.Metadata {
	return w.hotline.Publish(time.Unix(w.now, 0), lists...)
}

// verdicts are these members' approvals of a list's files.
func (w *world) verdicts(l trusttest.List, members ...string) []audit.SignedVerdict {
	var out []audit.SignedVerdict
	for _, m := range members {
		out = append(out, w.verdict(l, m, audit.ResultOK))
	}
	return out
}

func (w *world) verdict(l trusttest.List, member, result string) audit.SignedVerdict {
	return audit.SignVerdict(audit.Verdict{
		Cluster: w.id, Node: member, List: l.Target.List, Seq: l.Target.Seq,
		Edge: sha256.Sum256(l.Edge), Audit: sha256.Sum256(l.Audit), EntriesRoot: l.Target.EntriesRoot, Index: sha256.Sum256(append([]byte("index\n"), l.Edge...)), Result: result,
	}, key(member))
}

// of is a member's approval that names this index.
func (w *world) of(l trusttest.List, member string, index [32]byte) audit.SignedVerdict {
	v, err := w.verdict(l, member, audit.ResultOK).Verdict()
	if err != nil {
		w.t.Fatal(err)
	}
	v.Index = index
	return audit.SignVerdict(v, key(member))
}

func (w *world) publish(m trust.Metadata, id match.ListID, verdicts []audit.SignedVerdict) []byte {
	w.t.Helper()
	b, err := m.Encode()
	if err != nil {
		w.t.Fatalf("encode metadata: %v", err)
	}
	return w.command(command.Publish{Metadata: b, List: id, Verdicts: verdicts, PublicProof: w.hotline.PublicProof(m, id, w.logged)})
}

// good is a publication that must be accepted.
func (w *world) good(id match.ListID, seq uint64) []byte {
	l := trusttest.Files(id, seq)
	return w.publish(w.metadata(l), id, w.verdicts(l, "control-1", "control-3"))
}

func (w *world) withdrawal(id match.ListID, number uint64, n int, officers ...int) []byte {
	return w.hotline.Withdraw(w.statement(id, number, n), officers...)
}

func (w *world) statement(id match.ListID, number uint64, n int) trust.Withdrawal {
	s := trust.Withdrawal{
		List: id, SeqFrom: 1, SeqTo: 1000, Number: number, Issued: w.now - 5, Expires: w.now + 3600, Reason: "error",
	}
	for i := range n {
		var e match.EntryID
		e[0], e[1], e[2] = byte(number), byte(i>>8), byte(i)+1
		s.Entries = append(s.Entries, e)
	}
	return s
}

func (w *world) receipt(edge string, counter uint64, v *state.View) audit.SignedReceipt {
	return audit.SignReceipt(audit.Receipt{
		Cluster: w.id, Edge: edge, Counter: counter, Size: v.Size, Root: v.Root, Time: w.now,
	}, key(edge))
}

// apply applies a command that must be accepted and logged.
func apply(t testing.TB, s *state.State, cmd []byte) state.Result {
	t.Helper()
	res := s.Apply(cmd)
	if res.Err != nil || !res.Logged {
		t.Fatalf("apply: %+v, want a leaf and no error", res)
	}
	return res
}

// refused applies a command that must end as a reject leaf with this reason
// and change nothing in force.
func refused(t testing.TB, s *state.State, cmd []byte, reason string) {
	t.Helper()
	before := s.View()
	res := s.Apply(cmd)
	var r *state.Refusal
	if !errors.As(res.Err, &r) || r.Reason != reason {
		t.Fatalf("apply: %+v, want refusal %q", res, reason)
	}
	after := s.View()
	if !res.Logged || after.Size != before.Size+1 {
		t.Fatalf("refusal %q: logged %t, size %d after %d, want one leaf", reason, res.Logged, after.Size, before.Size)
	}
	if after.InForce.Hash() != before.InForce.Hash() {
		t.Fatalf("refusal %q changed what is in force", reason)
	}
	b, err := after.Tree().Leaf(before.Size)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := audit.DecodeLeaf(b)
	if err != nil {
		t.Fatalf("reject leaf: %v", err)
	}
	body, err := leaf.Body()
	if rej, ok := body.(audit.Reject); err != nil || !ok || rej.Reason != reason {
		t.Fatalf("leaf is %+v (%v), want a reject with reason %q", body, err, reason)
	}
}

func bytesOf(t testing.TB, s *state.State) []byte {
	t.Helper()
	snap, err := s.Snapshot()
	if err != nil {
		t.Fatalf("snapshot: %v", err)
	}
	return snap.Encode()
}
