package state_test

import (
	"crypto/sha256"
	"flag"
	"os"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/audit/order"
	"github.com/cordon-project/cordon/cluster/command"
	"github.com/cordon-project/cordon/cluster/state"
	"github.com/cordon-project/cordon/listsync/list"
	"github.com/cordon-project/cordon/listsync/list/listtest"
	"github.com/cordon-project/cordon/listsync/trust"
	"github.com/cordon-project/cordon/listsync/trust/trusttest"
	"github.com/cordon-project/cordon/resolver/canon"
	"github.com/cordon-project/cordon/resolver/match"
)

// files are a version's files and what an edge makes of them.
type files struct {
	l      trusttest.List
	hash   [32]byte
	epoch  uint32
	member match.Member // from the whole file
	delta  match.Member // through a delta from the version before, where there is one
}

// lists is the story: a hotline that publishes small real lists, three replicas, and the model beside them.
type lists struct {
	*world
	rt       *rapid.T
	replicas [3]*state.State
	commands [][]byte
	model    plain
	byEdge   map[[32]byte]*files
	bySeq    map[uint64]*files
	last     *files // the hotline's newest
	pending  *plainVersion
	numbers  map[order.Kind]uint64
	withdraw uint64
	alone    []byte // a statement that one officer has signed
}

func newLists(t *testing.T, rt *rapid.T) *lists {
	m := &lists{world: newWorld(t), rt: rt, byEdge: map[[32]byte]*files{}, bySeq: map[uint64]*files{}, numbers: map[order.Kind]uint64{}}
	m.hotline.Charter.Jurisdictions = []string{"AA", "ZZ"}
	m.hotline.KeepLog()
	m.model = plain{now: -1, suppressed: map[int]int64{}, left: map[uint64]map[int]bool{}}
	for i := range m.replicas {
		m.replicas[i] = m.state()
	}
	return m
}

func (m *lists) must(err error) {
	if err != nil {
		m.rt.Fatalf("model: %v", err)
	}
}

// apply applies a command to every replica: the same result everywhere. It says whether the command was accepted.
func (m *lists) apply(what string, cmd []byte, refusals ...string) bool {
	m.commands = append(m.commands, cmd)
	results := make([]state.Result, len(m.replicas))
	for i, s := range m.replicas {
		results[i] = s.Apply(cmd)
		if results[i].Leaf != results[0].Leaf || results[i].Logged != results[0].Logged || results[i].Duplicate != results[0].Duplicate {
			m.rt.Fatalf("%s: replica %d says %+v, replica 0 %+v", what, i, results[i], results[0])
		}
	}
	var reason string
	if r, ok := results[0].Err.(*state.Refusal); ok {
		reason = r.Reason
	} else if results[0].Err != nil {
		m.rt.Fatalf("%s: %v", what, results[0].Err)
	}
	if reason != "" && !slices.Contains(refusals, reason) {
		m.rt.Fatalf("%s: refused with %q, want one of %q", what, reason, refusals)
	}
	return reason == ""
}

// build makes the files of the hotline's next version: a few entries come and go, now and then all keys change.
func (m *lists) build() (*files, plainVersion) {
	v := plainVersion{seq: 1, epoch: 1, entries: map[int]bool{}}
	if m.last != nil {
		v.seq, v.epoch = m.last.l.Target.Seq+1, m.last.epoch
		for i := range m.pending.entries {
			v.entries[i] = true
		}
		if rapid.IntRange(0, 4).Draw(m.rt, "rekey") == 0 {
			v.epoch++
		}
	}
	for _, i := range rapid.SliceOfNDistinct(rapid.IntRange(1, modelNames), 1, 6, rapid.ID[int]).Draw(m.rt, "entries that change") {
		if v.entries[i] {
			delete(v.entries, i)
		} else {
			v.entries[i] = true
		}
	}
	entries := listtest.Entries(1, 1) // the canary
	for i := 1; i <= modelNames; i++ {
		if v.entries[i] {
			e := entries[0]
			e.ID, e.Expression, e.Canary, e.Kind = listtest.ID(i, 1), listtest.Name(i), false, canon.KindDomain
			entries = append(entries, e)
		}
	}
	keys := listtest.Keys(int64(v.epoch))
	version := list.Version{List: listMain, Seq: v.seq, Epoch: v.epoch, CanonID: canon.ID()}
	edge, aud, _, err := list.Build(version, entries, nil, keys, listtest.OpenKey(int64(v.epoch)))
	m.must(err)
	prev := uint64(0)
	if m.last != nil {
		prev = m.last.l.Target.Seq
	}
	f := &files{l: trusttest.Built(edge, aud, prev, listtest.Canary), hash: sha256.Sum256(edge), epoch: v.epoch}
	e, err := list.OpenEdge(edge)
	m.must(err)
	f.member = m.member(e, keys)
	f.delta = f.member
	if m.last != nil && m.last.epoch == v.epoch {
		f.delta = m.throughDelta(m.last.delta, e, aud, keys)
	}
	m.byEdge[f.hash], m.bySeq[v.seq] = f, f
	m.last, m.pending = f, &v
	return f, v
}

func (m *lists) member(e *list.Edge, keys *match.Keys) match.Member {
	b, err := match.Compile(e)
	m.must(err)
	x, err := match.Open(b)
	m.must(err)
	return match.Member{Edge: e, Index: x, Filter: m.hotline.Charter.Filter(), Keys: keys}
}

// throughDelta is what an edge has that took only the difference.
func (m *lists) throughDelta(from match.Member, to *list.Edge, aud []byte, keys *match.Keys) match.Member {
	a, err := list.OpenAudit(aud)
	m.must(err)
	d, err := list.Diff(from.Edge, to, a)
	m.must(err)
	b, err := d.Encode()
	m.must(err)
	d, err = list.OpenDelta(b)
	m.must(err)
	e, err := d.Apply(from.Edge, match.Memory{})
	m.must(err)
	m.must(e.Verify())
	index, err := d.Recompile(from.Index, from.Edge, e)
	m.must(err)
	x, err := match.Open(index)
	m.must(err)
	return match.Member{Edge: e, Index: x, Filter: from.Filter, Keys: keys}
}

// orderFor signs the next order of its kind, for a time.
func (m *lists) orderFor(life int64, b order.Body, by ...string) []byte {
	return m.signOrder(order.Order{Cluster: m.id, Number: m.numbers[b.Kind()] + 1, Issued: m.now - 1, Expires: m.now + life, Reason: "error", Body: b}, by...)
}

// decide applies an order of both officers that must stand.
func (m *lists) decide(life int64, b order.Body) {
	m.apply(string(b.Kind()), m.ordered(m.orderFor(life, b, "ada", "grace")))
	m.numbers[b.Kind()]++
}

func (m *lists) publication(f *files) []byte {
	m.accepted(m.replicas[0].View())
	return m.publish(m.metadata(f.l), listMain, m.verdicts(f.l, "control-1", "control-2"))
}

// comes says that a version is in force now.
func (m *lists) comes(v plainVersion) {
	m.model.versions = append(m.model.versions, v)
	m.model.now = len(m.model.versions) - 1
}

// actions are the steps; each does what it can in the present state, or nothing.
func (m *lists) actions() map[string]func() {
	inForce := func() (plainVersion, bool) {
		if m.model.now < 0 {
			return plainVersion{}, false
		}
		return m.model.versions[m.model.now], true
	}
	some := func(what string) []int {
		return rapid.SliceOfNDistinct(rapid.IntRange(1, modelNames), 1, 3, rapid.ID[int]).Draw(m.rt, what)
	}
	ids := func(entries []int) []match.EntryID {
		var out []match.EntryID
		for _, i := range entries {
			out = append(out, listtest.ID(i, 1))
		}
		return order.SortEntries(out)
	}
	return map[string]func(){
		"publish": func() {
			f, v := m.build()
			m.apply("publish", m.publication(f))
			m.comes(v)
		},
		"a version that is never offered here, then the next": func() {
			m.build()
			f, v := m.build()
			m.apply("publish", m.publication(f))
			m.comes(v)
		},
		"hold, and approve or not": func() {
			f, v := m.build()
			m.apply("hold", m.hold(f.l, "growth", "control-1", "control-3"))
			m.apply("publish held", m.publication(f), "held")
			if rapid.Bool().Draw(m.rt, "approve") {
				m.decide(3600, order.Approve{List: listMain, Seq: v.seq, Edge: f.hash, Brakes: []string{"growth"}})
				m.now++
				m.apply("publish approved", m.publication(f))
				m.comes(v)
			}
		},
		"renew": func() {
			if _, ok := inForce(); ok && m.model.versions[len(m.model.versions)-1].seq == m.last.l.Target.Seq {
				m.apply("renew", m.publish(m.metadata(), listMain, nil))
			}
		},
		"withdraw": func() {
			v, ok := inForce()
			if !ok {
				return
			}
			entries := some("withdrawn")
			m.withdraw++
			w := trust.Withdrawal{
				List: listMain, Entries: ids(entries), SeqFrom: 1, SeqTo: v.seq + rapid.Uint64Range(0, 2).Draw(m.rt, "versions more"),
				Number: m.withdraw, Issued: m.now - 1, Expires: m.now + 3600, Reason: "error",
			}
			officers := rapid.SampledFrom([][]int{{0, 1}, {0}}).Draw(m.rt, "officers")
			raw := m.hotline.Withdraw(w, officers...)
			if m.apply("withdraw", m.world.withdraw(raw), state.ReasonLimit) {
				m.model.withdrawn = append(m.model.withdrawn, plainRange{entries, w.SeqFrom, w.SeqTo})
			}
			if m.alone = nil; len(officers) == 1 {
				m.alone = raw
			}
		},
		"the second officer signs": func() {
			if m.alone == nil {
				return
			}
			both, err := trust.CosignWithdrawal(m.alone, m.hotline.Officers[1])
			m.must(err)
			claimed, err := trust.DecodeWithdrawal(m.alone)
			m.must(err)
			m.alone = nil
			before := m.replicas[0].View().InForce
			if m.apply("second signature", m.world.withdraw(both), "expired", state.ReasonSequence) && before.Hash() != m.replicas[0].View().InForce.Hash() {
				// it was over an officer's day alone: now it counts
				var entries []int
				for i := 1; i <= modelNames; i++ {
					if slices.Contains(claimed.Entries, listtest.ID(i, 1)) {
						entries = append(entries, i)
					}
				}
				m.model.withdrawn = append(m.model.withdrawn, plainRange{entries, claimed.SeqFrom, claimed.SeqTo})
			}
		},
		"suppress": func() {
			if v, ok := inForce(); ok {
				entries, life := some("suppressed"), rapid.Int64Range(60, 9000).Draw(m.rt, "life")
				m.decide(life, order.Suppress{List: listMain, Epoch: v.epoch, Entries: ids(entries)})
				for _, i := range entries {
					m.model.suppressed[i] = m.now + life - 1
				}
			}
		},
		"lift a suppression": func() {
			v, ok := inForce()
			for i := 1; ok && i <= modelNames; i++ {
				if until, there := m.model.suppressed[i]; there && m.now <= until {
					m.decide(60, order.Suppress{List: listMain, Epoch: v.epoch, Entries: ids([]int{i}), Lift: true})
					delete(m.model.suppressed, i)
					return
				}
			}
		},
		"bypass": func() {
			if _, ok := inForce(); ok {
				life := rapid.Int64Range(60, 9000).Draw(m.rt, "life")
				m.decide(life, order.Bypass{})
				m.model.bypass = m.now + life - 1
			}
		},
		"end the bypass": func() {
			if m.now <= m.model.bypass {
				m.decide(60, order.Bypass{Lift: true})
				m.model.bypass = 0
			}
		},
		"exempt analysts": func() {
			life := rapid.Int64Range(60, 9000).Draw(m.rt, "life")
			x := order.Exempt{Hash: [32]byte{byte(rapid.IntRange(1, 255).Draw(m.rt, "file"))}, Count: uint64(rapid.IntRange(1, order.MaxExempt).Draw(m.rt, "prefixes"))}
			m.decide(life, x)
			m.model.exempt = audit.Exemption{Hash: x.Hash, Count: x.Count, Until: m.now + life - 1}
		},
		"end the exemption": func() {
			if m.model.exempt.Count > 0 && m.now <= m.model.exempt.Until {
				m.decide(60, order.Exempt{Lift: true})
				m.model.exempt = audit.Exemption{}
			}
		},
		"return": func() { m.goBack() },
		"one person alone": func() {
			if v, ok := inForce(); ok {
				one := order.Suppress{List: listMain, Epoch: v.epoch, Entries: ids(some("never suppressed"))}
				m.apply("suppression of one officer", m.ordered(m.orderFor(3600, one, "ada")), "threshold")
				m.apply("bypass of one officer", m.ordered(m.orderFor(3600, order.Bypass{}, "grace")), "threshold")
			}
		},
		"time passes": func() { m.now += rapid.Int64Range(30, 4000).Draw(m.rt, "seconds") },
		"restart from the log": func() {
			s := m.state()
			for _, cmd := range m.commands {
				s.Apply(cmd)
			}
			m.replicas[1] = s
		},
		"restore from a snapshot": func() {
			snap, err := m.replicas[0].Snapshot()
			m.must(err)
			s, err := state.Restore(m.desc, snap.Encode())
			m.must(err)
			m.replicas[2] = s
		},
	}
}

// goBack returns to one of the versions kept, honestly, and before that with an order that names too little.
func (m *lists) goBack() {
	kept := m.model.kept()
	if len(kept) < 2 {
		return
	}
	to := rapid.SampledFrom(kept).Draw(m.rt, "version to go back to")
	high := kept[len(kept)-1]
	b := order.Return{List: listMain, Seq: to.seq, Edge: m.bySeq[to.seq].hash, High: high.seq, HighEdge: m.bySeq[high.seq].hash}
	a, z := list.EntryIDs(m.bySeq[to.seq].member.Edge), list.EntryIDs(m.bySeq[high.seq].member.Edge)
	b.Entries = list.LeftOut(a, z)
	word := func(b order.Return, members ...string) []audit.SignedReturnVerdict {
		var out []audit.SignedReturnVerdict
		for _, name := range members {
			out = append(out, audit.SignReturnVerdict(audit.ReturnVerdict{
				Cluster: m.id, Node: name, List: b.List, Edge: b.Edge, HighEdge: b.HighEdge, Entries: audit.EntriesHash(b.Entries),
			}, key(name)))
		}
		return out
	}
	inForce := to.seq == m.model.versions[m.model.now].seq
	if len(b.Entries) > 0 && !inForce { // members that compared the files have signed for all of them, not for fewer
		less := b
		less.Entries = b.Entries[1:]
		m.apply("return that names too little", m.command(command.Return{Statement: m.orderFor(600, less, "ada", "grace"), Verdicts: word(b, "control-1", "control-2", "control-3")}), state.ReasonVerdicts)
	}
	cmd := m.command(command.Return{Statement: m.orderFor(3600, b, "ada", "grace"), Verdicts: word(b, "control-1", "control-3")})
	if inForce {
		m.apply("return to what is in force", cmd, state.ReasonOrder)
		return
	}
	m.apply("return", cmd)
	m.numbers[order.KindReturn]++
	m.model.now = slices.IndexFunc(m.model.versions, func(v plainVersion) bool { return v.seq == to.seq })
	if m.model.left[to.seq] == nil {
		m.model.left[to.seq] = map[int]bool{}
	}
	for i := range to.entries {
		if !high.entries[i] {
			m.model.left[to.seq][i] = true
		}
	}
}

// TestWhatIsInForceIsWhatThePlainModelSays is the model test of lists, keys, removals, suppressions, returns and the kill switch, with
// restarts and restores, in random order: on three replicas the same bytes, on edges the same state, no entry in force that should not be
// and none missing. CORDON_MODEL_CHECKS=1000 makes it as long as one likes.
func TestWhatIsInForceIsWhatThePlainModelSays(t *testing.T) {
	checks := os.Getenv("CORDON_MODEL_CHECKS")
	if checks == "" {
		checks = "40"
	}
	f := flag.Lookup("rapid.checks")
	before := f.Value.String()
	if err := f.Value.Set(checks); err != nil {
		t.Fatalf("CORDON_MODEL_CHECKS: %v", err)
	}
	defer func() { _ = f.Value.Set(before) }()
	rapid.Check(t, func(rt *rapid.T) {
		m := newLists(t, rt)
		actions := m.actions()
		names := make([]string, 0, len(actions))
		for name := range actions {
			names = append(names, name)
		}
		slices.Sort(names)
		actions["publish"]()
		m.check()
		for range rapid.IntRange(4, modelSteps).Draw(rt, "steps") {
			m.now += rapid.Int64Range(1, 30).Draw(rt, "seconds")
			what := rapid.SampledFrom(names).Draw(rt, "step")
			actions[what]()
			m.check()
		}
	})
}
