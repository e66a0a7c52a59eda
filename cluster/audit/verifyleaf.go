package audit

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

// moment is one leaf, as the checks that look at leaves see it.
type moment struct {
	leaf   Leaf
	body   Body
	before InForce // what was in force before it
	after  InForce
	orders Orders      // before it
	by     []MemberKey // control nodes before it

	ahead *ahead // what was found before its turn

	head [32]byte // of a publish leaf: what the hotline signed as the head of the edge list; zero when its metadata could not be used
	keys [32]byte // likewise: the file with the list's keys, sealed for this cluster

	signed bool // head and keys are what the hotline signed
}

// looks are the checks that look at each leaf, in this order; each is called once for each leaf, in the log's order. By then the leaf is in
// its place, decoded, and replay has followed it. See history for where a check keeps what it knows of earlier leaves.
var looks = []func(*verifier, *moment){
	(*verifier).lookPin,
	(*verifier).lookMetadata,
	(*verifier).lookFork,
	(*verifier).lookWithdrawal,
	(*verifier).lookOpening,
	(*verifier).lookRekey,
	(*verifier).lookVerdicts,
	(*verifier).lookVersion,
	(*verifier).lookReceipts,
	(*verifier).lookAdmin,
	(*verifier).lookCertificate,
}

// ends says what passed, after the last leaf. A check that has failed stays failed.
func (v *verifier) ends() {
	v.endReplay()
	v.endMetadata()
	v.endHotlines()
	v.endAdmin()
	v.endPublicLog()
	v.endForks()
	v.endOpenings()
	v.endRekey()
	v.pass(CheckVerdicts, "each version was checked and signed by a quorum of members")
}

// tile follows the leaves of one entry bundle. It returns an error when the context has ended; a log that cannot be followed is a failed
// check and v.broken.
func (v *verifier) tile(leaves [][]byte, from uint64) error {
	if err := v.ctx.Err(); err != nil {
		return err
	}
	if err := v.keepLeaves(leaves); err != nil {
		return err
	}
	var known []ahead
	if !v.broken && from+uint64(len(leaves)) > v.began {
		known = v.lookAhead(leaves)
	}
	for i, raw := range leaves {
		n := from + uint64(i)
		if n < v.began { // the last visit has followed it
			if tlog.RecordHash(raw) != v.seenLeaf(n) {
				v.broken, v.why = true, "the log is not the one of the last visit"
			}
			if v.since > 0 {
				continue
			}
		}
		v.tree.add(raw)
		if n >= v.began && !v.broken && v.leaf(raw, &known[i]) != nil {
			v.broken = true
		}
	}
	if !v.broken && from >= v.began {
		v.unnamed()
	}
	return nil
}

// leaf follows one leaf. errStop: it could not be followed.
func (v *verifier) leaf(raw []byte, a *ahead) error {
	const why = "the log is not the checkpoint's"
	n := v.h.Size
	l := a.leaf
	if a.err != nil {
		return v.stop(CheckLog, why, "leaf %d: %v", n, a.err)
	}
	if l.N != n {
		return v.stop(CheckLog, why, "position %d holds a leaf numbered %d", n, l.N)
	}
	if l.T < v.h.Time {
		return v.stop(CheckLog, why, "leaf %d is dated %s, before the leaf in front of it (%s)", n, stamp(l.T), stamp(v.h.Time))
	}
	if n < uint64(len(v.genesis)) && !bytes.Equal(raw, v.genesis[n]) {
		return v.stop(CheckLog, why, "leaf %d is not the one that the trusted cluster file begins with", n)
	}
	v.lookBack(l)
	m := &moment{leaf: l, body: a.body, ahead: a, before: v.h.InForce, orders: v.h.Orders, by: v.h.Members}
	if err := v.replay(m); err != nil {
		return err
	}
	for _, look := range looks {
		look(v, m)
	}
	v.h.Size, v.h.Time = n+1, l.T
	if last := &v.h.States[len(v.h.States)-1]; last.Size == n+1 {
		last.State = v.h.state(last.InForce)
	}
	if !v.o.Lean || v.began > 0 {
		v.leaves = append(v.leaves, l)
	}
	return nil
}

// replay recomputes what is in force after a leaf.
func (v *verifier) replay(m *moment) error {
	const why = "the log could not be replayed"
	l, h := m.leaf, &v.h
	body := m.body
	switch b := body.(type) {
	case Member:
		v.enrol(l, b)
	case Reject:
		if b.Reason == ReasonSuperseded {
			h.Skipped = skipAt{l.N, b.List, b.Seq}
		}
	case Publish:
		v.sequence(h.InForce, l, b)
	case Unknown:
		return v.stop(CheckReplay, why, "leaf %d is of kind %q, which this version cannot replay", l.N, string(b.Kind))
	}
	h.Orders = v.order(h.Orders, h.InForce, l, body)
	next, err := h.InForce.Apply(l)
	if errors.Is(err, ErrRollback) { // the cause is with the versions
		v.why = fmt.Sprintf("a list was rolled back at leaf %d", l.N)
		return errStop
	}
	if err != nil {
		return v.stop(CheckReplay, why, "leaf %d: %v", l.N, err)
	}
	if h.InForce.Changes(l) {
		h.InForce, v.hash, h.Changed = next, next.Hash(), l.N+1
		h.States = append(h.States, stateAt{Size: l.N + 1, Whole: true, InForce: next})
	}
	m.after = h.InForce
	if l.F != v.hash {
		v.fail(CheckReplay, "leaf %d (%s) says that %x is in force after it, replay yields %x%s", l.N, l.K, l.F[:8], v.hash[:8], v.mischief(m.before, next, l))
	}
	return nil
}

func (v *verifier) endReplay() {
	f := v.h.InForce
	v.pass(CheckOrders, "%d orders of the operator, each signed by two officers; %d versions held back now", v.h.Tally.Orders, len(v.h.Orders.Held))
	if f.Bypass != 0 {
		v.note("BYPASS: everything passes until %s", stamp(f.Bypass))
	}
	if e := f.Exempt; e != nil {
		v.note("exemption %d: lists are not enforced towards %d prefixes of analysts until %s; ask the operator for the file with SHA-256 %x", e.Number, e.Count, stamp(e.Until), e.Hash)
	}
	v.pass(CheckReplay, "%d lists, %d removals and %d suppressions in force, as every leaf says", len(f.Lists), len(f.Removals), len(f.Suppressions))
}

// enrol follows who is a member.
func (v *verifier) enrol(l Leaf, m Member) {
	h := &v.h
	if m.Role == RoleEdge {
		i, ok := h.edge(m.Name)
		switch {
		case m.Action == ActionAdd && ok:
			h.Edges[i].Key = m.Key
		case m.Action == ActionAdd:
			h.Edges = slices.Insert(h.Edges, i, enrolled{m.Name, m.Key})
		case ok:
			h.Edges = slices.Delete(h.Edges, i, i+1)
		}
		return
	}
	h.Members = slices.DeleteFunc(slices.Clone(h.Members), func(k MemberKey) bool { return k.Name == m.Name }) // moments keep the old one
	if m.Action == ActionAdd {
		h.Members = append(h.Members, MemberKey{Name: m.Name, Key: m.Key[:]})
	}
	if int(l.N) >= len(v.trust.Cluster.Members) {
		v.note("leaf %d: control node %s, %s since the trust file was made", l.N, m.Name, map[string]string{ActionAdd: "added", ActionDrop: "removed"}[m.Action])
	}
}

// lookVersion keeps what the files of a version must be held to, and forgets those that can no longer be in force.
func (v *verifier) lookVersion(m *moment) {
	p, ok := m.body.(Publish)
	if !ok {
		return
	}
	h := &v.h
	h.Tally.Versions++
	at := version{
		Leaf: m.leaf.N, Time: m.leaf.T, List: p.List, Seq: p.Seq, Epoch: p.Epoch, Canon: p.Canon,
		Edge: p.Edge, EdgeSize: p.EdgeSize, Audit: p.Audit, AuditSize: p.AuditSize, EntriesRoot: p.EntriesRoot, Counts: p.Counts, Index: p.Index, Bases: p.Bases, Head: m.head,
	}
	v.versions = append(v.versions, at)
	cur, _ := m.after.List(p.List)
	h.Versions = slices.DeleteFunc(h.Versions, func(x version) bool {
		_, kept := cur.Version(x.Seq)
		return x.List == p.List && !kept
	})
	h.Versions = append(h.Versions, at)
}

// verdicts counts, for a version, the members of that time who had checked its files.
func (v *verifier) lookVerdicts(m *moment) {
	p, ok := m.body.(Publish)
	if !ok {
		return
	}
	admitted := slices.DeleteFunc(slices.Clone(p.Verdicts), func(s SignedVerdict) bool {
		said, err := s.Verdict()
		return err != nil || !m.orders.Admits(said)
	})
	by, need := Approvals(admitted, v.cluster, m.by, p), Majority(len(m.by))
	if len(by) < need {
		against := ""
		if len(admitted) < len(p.Verdicts) {
			against = " against the never-block list that the officers decided on"
		}
		v.fail(CheckVerdicts, "leaf %d, list %s: checked and signed%s by %d of %d members (%s), %d are needed",
			m.leaf.N, listSeq(p.List, p.Seq), against, len(by), len(m.by), strings.Join(by, ", "), need)
	}
}
