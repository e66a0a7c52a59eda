package state_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/fxamacker/cbor/v2"
	"pgregory.net/rapid"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/command"
	"github.com/cordon-project/cordon/cluster/state"
	"github.com/cordon-project/cordon/listsync/trust/trusttest"
	"github.com/cordon-project/cordon/resolver/match"
)

// story draws commands, good and bad ones, that follow one another.
type story struct {
	w       *world
	seqs    map[match.ListID]uint64
	numbers uint64
	counter uint64
	past    [][]byte
}

func (y *story) next(t *rapid.T, v *state.View) []byte {
	w := y.w
	w.now += rapid.Int64Range(-20, 4000).Draw(t, "seconds")
	w.accepted(v)
	id := rapid.SampledFrom([]match.ListID{listMain, listOther}).Draw(t, "list")
	cmd := func() []byte {
		switch rapid.IntRange(0, 11).Draw(t, "what") {
		case 0, 1:
			y.seqs[id]++
			l := trusttest.Files(id, y.seqs[id])
			members := rapid.SampledFrom([][]string{
				{"control-1", "control-2"}, {"control-2", "control-3", "control-1"}, {"control-2"}, {"control-1", "edge-1"},
			}).Draw(t, "members")
			return w.publish(w.metadata(l), id, w.verdicts(l, members...))
		case 2:
			if y.seqs[id] == 0 {
				return w.command(command.Tick{})
			}
			return w.publish(w.metadata(), id, nil) // a renewal
		case 3:
			y.numbers += rapid.Uint64Range(0, 1).Draw(t, "step")
			officers := rapid.SampledFrom([][]int{{0}, {1}, {0, 1}}).Draw(t, "officers")
			return w.withdraw(w.withdrawal(id, max(y.numbers, 1), rapid.IntRange(1, 25).Draw(t, "entries"), officers...))
		case 4:
			y.counter += rapid.Uint64Range(0, 2).Draw(t, "counter")
			return w.command(command.Receipts{Items: []audit.SignedReceipt{
				w.receipt("edge-1", y.counter, v), w.receipt(rapid.SampledFrom([]string{"edge-1", "edge-2"}).Draw(t, "edge"), y.counter+1, v),
			}})
		case 5:
			m := command.Member{Action: rapid.SampledFrom([]string{"add", "remove"}).Draw(t, "action"), Role: "edge", Name: "edge-2", By: "control-1"}
			if m.Action == "add" {
				m.Key = public("edge-2")
			}
			return w.command(m)
		case 6:
			return w.command(command.Reject{
				Hotline: "hotline-one", Object: bytes.Repeat([]byte{rapid.Byte().Draw(t, "object")}, 32),
				Stage: "fetch", Reason: "format", Node: "control-1",
			})
		case 7:
			return rapid.SliceOfN(rapid.Byte(), 1, 40).Draw(t, "garbage")
		case 8:
			cp := audit.Checkpoint{Origin: w.desc.Origin, Size: v.Size, Root: v.Root}
			return w.command(command.Assert{Size: v.Size, Root: v.Root[:], Checkpoint: w.note(cp, "control-3", "control-1")})
		case 9:
			ref := rapid.Byte().Draw(t, "ref")
			if rapid.Bool().Draw(t, "decided") {
				return w.admin("control-1", w.ruling(ref, rapid.SampledFrom([]string{"ada", "mallory"}).Draw(t, "officer")))
			}
			return w.admin("control-2", w.appeal(ref))
		case 10:
			digest := rapid.ByteRange(1, 3).Draw(t, "digest")
			return w.admin("control-3", audit.Builds{Items: []audit.SignedBuild{
				w.build(audit.RoleControl, "control-3", digest), w.build(audit.RoleEdge, rapid.SampledFrom([]string{"edge-1", "edge-2"}).Draw(t, "edge"), digest),
			}})
		default:
			if len(y.past) == 0 {
				return w.command(command.Tick{})
			}
			return rapid.SampledFrom(y.past).Draw(t, "old command again")
		}
	}()
	y.past = append(y.past, cmd)
	return cmd
}

// TestReplicasHoldTheSameBytesAndRestoreAnywhere is promise P12: two replicas
// apply the same commands, one of them is made anew from its own snapshot at
// random moments, and all bytes stay equal. What is in force only ever follows
// the leaves.
func TestReplicasHoldTheSameBytesAndRestoreAnywhere(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(t)
		if rapid.Bool().Draw(rt, "public log") {
			w.hotline.KeepLog()
		}
		y := &story{w: w, seqs: map[match.ListID]uint64{}}
		a, b := w.state(), w.state()
		for range rapid.IntRange(1, 14).Draw(rt, "commands") {
			before := a.View()
			cmd := y.next(rt, before)
			ra, rb := a.Apply(cmd), b.Apply(cmd)
			va, vb := a.View(), b.View()
			if va.Halted != nil {
				if !errors.Is(va.Halted, command.ErrUnknown) || vb.Halted == nil {
					rt.Fatalf("halted: %v and %v", va.Halted, vb.Halted)
				}
				return
			}
			if ra.Leaf != rb.Leaf || ra.Logged != rb.Logged || ra.Duplicate != rb.Duplicate || (ra.Err == nil) != (rb.Err == nil) {
				rt.Fatalf("results differ: %+v and %+v", ra, rb)
			}
			if va.Root != vb.Root || va.Time < before.Time || va.Size < before.Size || va.Size > before.Size+2 {
				rt.Fatalf("size %d time %d root %x after size %d time %d; other root %x", va.Size, va.Time, va.Root[:4], before.Size, before.Time, vb.Root[:4])
			}
			checkLast(rt, va)
			sa, sb := bytesOf(t, a), bytesOf(t, b)
			if !bytes.Equal(sa, sb) {
				rt.Fatalf("snapshots differ after %x", cmd)
			}
			if rapid.IntRange(0, 3).Draw(rt, "restore") == 0 {
				r, err := state.Restore(w.desc, sb)
				if err != nil {
					rt.Fatalf("restore: %v", err)
				}
				b = r
			}
		}
	})
}

// checkLast holds the last leaf's hash to what the view says is in force.
func checkLast(t *rapid.T, v *state.View) {
	raw, err := v.Tree().Leaf(v.Size - 1)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := audit.DecodeLeaf(raw)
	if err != nil || leaf.F != v.InForce.Hash() || leaf.N != v.Size-1 {
		t.Fatalf("last leaf %d (%v) says in force %x, view %x", leaf.N, err, leaf.F[:4], v.InForce.Hash())
	}
}

// rich is a state with a leaf of every kind.
func rich(t testing.TB) (*world, *state.State) {
	w := newWorld(t)
	s := w.state()
	apply(t, s, w.good(listMain, 1))
	apply(t, s, w.withdraw(w.withdrawal(listMain, 1, 3, 0)))
	apply(t, s, w.command(command.Receipts{Items: []audit.SignedReceipt{w.receipt("edge-1", 1, s.View())}}))
	apply(t, s, w.command(command.Member{Action: "add", Role: "edge", Name: "edge-2", Key: public("edge-2"), By: "control-1"}))
	w.now += 60
	apply(t, s, w.publish(w.metadata(), listMain, nil))
	refused(t, s, []byte("garbage"), state.ReasonCommand)
	apply(t, s, w.admin("control-1", w.appeal(1)))
	apply(t, s, w.admin("control-1", w.ruling(1, "ada")))
	apply(t, s, w.admin("control-1", audit.Builds{Items: []audit.SignedBuild{w.build(audit.RoleEdge, "edge-1", 1)}}))
	w.now += 60
	apply(t, s, w.good(listOther, 1))
	s.Apply(w.command(command.Tick{}))
	return w, s
}

func TestARestoredReplicaGoesOnAsTheOthers(t *testing.T) {
	w, s := rich(t)
	r, err := state.Restore(w.desc, bytesOf(t, s))
	if err != nil {
		t.Fatal(err)
	}
	for _, cmd := range [][]byte{
		w.good(listMain, 2), w.withdraw(w.withdrawal(listMain, 2, 19, 0)), []byte("garbage"), w.good(listMain, 3),
		w.command(command.Receipts{Items: []audit.SignedReceipt{w.receipt("edge-1", 1, s.View())}}),
	} {
		s.Apply(cmd)
		r.Apply(cmd)
		if !bytes.Equal(bytesOf(t, s), bytesOf(t, r)) {
			t.Fatalf("bytes differ")
		}
	}
}

// TestASnapshotThatLiesIsRefused is attack 13: a member hands out a snapshot
// with an invented state.
func TestASnapshotThatLiesIsRefused(t *testing.T) {
	w, s := rich(t)
	good := bytesOf(t, s)
	type file struct {
		V       int               `cbor:"v"`
		Cluster string            `cbor:"cluster"`
		Time    int64             `cbor:"time"`
		Refused uint64            `cbor:"refused"`
		High    []cbor.RawMessage `cbor:"high"`
		Metas   []cbor.RawMessage `cbor:"metas"`
		Files   [][][]byte        `cbor:"files"`
		Leaves  [][][]byte        `cbor:"leaves"`
	}
	enc, err := cbor.CoreDetEncOptions().EncMode()
	if err != nil {
		t.Fatal(err)
	}
	remake := func(change func(f *file)) []byte {
		var f file
		if err := cbor.Unmarshal(good, &f); err != nil {
			t.Fatal(err)
		}
		change(&f)
		b, err := enc.Marshal(f)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	if !bytes.Equal(remake(func(*file) {}), good) {
		t.Fatalf("the test does not write snapshots as the state does")
	}
	leaf := func(n int, f *file) audit.Leaf {
		l, err := audit.DecodeLeaf(f.Leaves[0][n])
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	put := func(n int, f *file, l audit.Leaf) {
		b, err := audit.EncodeLeaf(l)
		if err != nil {
			t.Fatal(err)
		}
		f.Leaves[0][n] = b
	}
	reject := func(f *file) audit.Leaf {
		last := leaf(len(f.Leaves[0])-1, f)
		l, err := audit.NewLeaf(last.N+1, last.T, audit.Reject{Hotline: "hotline-one", Stage: "apply", Reason: "format"})
		if err != nil {
			t.Fatal(err)
		}
		l.F = last.F
		return l
	}
	for _, c := range []struct {
		name string
		b    []byte
	}{
		{"empty", nil},
		{"cut short", good[:len(good)-1]},
		{"trailing byte", append(bytes.Clone(good), 0)},
		{"another cluster", remake(func(f *file) { f.Cluster = "00112233445566778899aabbccddeeff" })},
		{"no genesis", remake(func(f *file) { f.Leaves[0] = f.Leaves[0][:3] })},
		{"another genesis", remake(func(f *file) { f.Leaves[0][0] = f.Leaves[0][1] })},
		{"a leaf left out", remake(func(f *file) { f.Leaves[0] = append(f.Leaves[0][:6:6], f.Leaves[0][7:]...) })},
		{"a leaf too many, in force invented", remake(func(f *file) {
			l := reject(f)
			l.F[0] ^= 1
			f.Leaves[0] = append(f.Leaves[0], nil)
			put(len(f.Leaves[0])-1, f, l)
		})},
		{"a publish leaf without its verdicts", remake(func(f *file) {
			l := leaf(5, f)
			body, err := l.Body()
			if err != nil {
				t.Fatal(err)
			}
			p := body.(audit.Publish)
			p.Verdicts = p.Verdicts[:1]
			n, err := audit.NewLeaf(l.N, l.T, p)
			if err != nil {
				t.Fatal(err)
			}
			n.F = l.F
			put(5, f, n)
		})},
		{"an earlier time than its leaves", remake(func(f *file) { f.Time = 1 })},
		{"fewer refusals than its leaves", remake(func(f *file) { f.Refused = 0 })},
		{"no high water", remake(func(f *file) { f.High = f.High[:0] })},
		{"no metadata", remake(func(f *file) { f.Metas, f.Files = f.Metas[:0], f.Files[:0] })},
		{"a file too many", remake(func(f *file) { f.Files[0] = append(f.Files[0], []byte("x")) })},
		{"an altered file", remake(func(f *file) { f.Files[0][0] = append(f.Files[0][0], 'x') })},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := state.Restore(w.desc, c.b); !errors.Is(err, state.ErrSnapshot) {
				t.Errorf("restore: %v, want ErrSnapshot", err)
			}
		})
	}
	if _, err := state.Restore(w.desc, remake(func(f *file) {
		l := reject(f)
		f.Leaves[0] = append(f.Leaves[0], nil)
		put(len(f.Leaves[0])-1, f, l)
		f.Refused++
	})); err != nil {
		t.Errorf("an honest further leaf: %v; the cases above prove nothing", err)
	}
}

func FuzzRestore(f *testing.F) {
	w, s := rich(f)
	f.Add(bytesOf(f, s))
	f.Add(bytesOf(f, w.state()))
	f.Add([]byte{0xa0})
	desc := w.desc
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := state.Restore(desc, b)
		if err != nil {
			return
		}
		if got := bytesOf(t, r); !bytes.Equal(got, b) {
			t.Fatalf("restored %d bytes, its snapshot has %d others", len(b), len(got))
		}
	})
}

func FuzzApply(f *testing.F) {
	w := newWorld(f)
	f.Add(w.good(listMain, 1))
	f.Add(w.withdraw(w.withdrawal(listMain, 1, 1, 0)))
	f.Add(w.command(command.Tick{}))
	desc := w.desc
	f.Fuzz(func(t *testing.T, cmd []byte) {
		var replicas [2]*state.State
		for i := range replicas {
			s, err := state.New(desc)
			if err != nil {
				t.Fatal(err)
			}
			replicas[i] = s
		}
		a, b := replicas[0], replicas[1]
		a.Apply(cmd)
		b.Apply(cmd)
		if a.View().Root != b.View().Root {
			t.Fatalf("roots differ")
		}
	})
}

// BenchmarkRestore measures what a restart costs for each thousand leaves.
func BenchmarkRestore(b *testing.B) {
	w := newWorld(b)
	s := w.state()
	apply(b, s, w.good(listMain, 1))
	for i := range 1000 {
		w.now += 60
		apply(b, s, w.command(command.Receipts{Items: []audit.SignedReceipt{w.receipt("edge-1", uint64(i+1), s.View())}}))
	}
	snap, err := s.Snapshot()
	if err != nil {
		b.Fatal(err)
	}
	raw := snap.Encode()
	b.SetBytes(int64(len(raw)))
	b.ResetTimer()
	for b.Loop() {
		if _, err := state.Restore(w.desc, raw); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkPublish measures Apply of a publication, TUF verification included.
func BenchmarkPublish(b *testing.B) {
	w := newWorld(b)
	s := w.state()
	var cmds [][]byte
	for i := range 200 {
		cmds = append(cmds, w.good(listMain, uint64(i+1)))
	}
	n := 0
	for b.Loop() {
		if n == len(cmds) {
			s, n = w.state(), 0
		}
		apply(b, s, cmds[n])
		n++
	}
}
