package state

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/listsync/trust"
)

const (
	// MaxSnapshot bounds a snapshot that Restore reads. Snapshot never makes a
	// larger one: Apply refuses with log_full what would not fit.
	MaxSnapshot = 1 << 30
	// ReceiptsUntil is the percentage of the log's room from which on receipts
	// are refused: the last quarter belongs to what changes what is in force.
	ReceiptsUntil = 75

	// othersUntil is the same for other leaves that change nothing in force
	// (refusals, renewals, edges that come and go), and publishUntil for
	// publications: what must not be blocked can be withdrawn to the last.
	othersUntil  = 87
	publishUntil = 95
	// pending is what a publication adds beside its leaf: metadata, marks.
	pending = 256 << 10
	// frame is more than a snapshot's fixed parts take.
	frame = 4 << 10
	// head is more than CBOR writes before a string of less than 4 GiB.
	head = 5
)

// room is how large a log may become: constants, except in tests.
type room struct {
	bytes  int    // MaxSnapshot
	leaves uint64 // audit.MaxLeaves
}

// weight is at least the length of the present state's snapshot, and never
// more than a few bytes for each leaf above it.
func (s *State) weight() int {
	n := frame + s.leafBytes + s.archive.weight()
	for _, h := range s.hotlines {
		n += 256
		for _, m := range h.high.Seqs {
			n += len(m.List) + 32
		}
	}
	return n
}

// filled is how many percent of the log's room are used.
func (s *State) filled() int {
	return max(s.weight()/(s.room.bytes/100), int(s.tree.Size()/(s.room.leaves/100)))
}

// fits says whether a leaf of this length may still be appended.
func (s *State) fits(body audit.Body, length int) bool {
	until, kept := othersUntil, uint64(reserve)
	switch b := body.(type) {
	case audit.Withdraw:
		until, kept = 100, 0
	case audit.Ordered:
		until, kept = 100, 0
	case audit.Publish, audit.Rekey, audit.Hold, audit.Returned:
		until, kept = publishUntil, reserve/4
	case audit.Reject:
		if b.Reason == audit.ReasonSuperseded { // goes before a publication
			until, kept = publishUntil, reserve/4
		}
	}
	return s.tree.Size()+kept < s.room.leaves && s.weight()+length+head+pending <= s.room.bytes/100*until
}

// snapshotFile is a snapshot: everything that is not a pure function of the
// leaves, and the leaves. Long lists are cut into chunks, so that no array in
// it is longer than any other of this project's formats allows.
type snapshotFile struct {
	V       int           `cbor:"v"` // 1
	Cluster string        `cbor:"cluster"`
	Time    int64         `cbor:"time"`
	Refused uint64        `cbor:"refused"`
	High    []highOf      `cbor:"high"` // by hotline; only those with accepted metadata
	Metas   [][]metaParts `cbor:"metas"`
	Files   [][][]byte    `cbor:"files"`
	Leaves  [][][]byte    `cbor:"leaves"`
}

type highOf struct {
	Hotline trust.HotlineID `cbor:"hotline"`
	High    trust.HighWater `cbor:"high"`
}

const (
	snapshotVersion = 1
	chunk           = 4096
)

// Snapshot is one moment of a State, cheap to take: it holds references to
// what never changes. Encode may run while the State applies on.
type Snapshot struct{ file snapshotFile }

// Snapshot takes the state as it is. A halted state has none: its replica
// must not cut away the log that shows why it stopped.
func (s *State) Snapshot() (*Snapshot, error) {
	if s.halted != nil {
		return nil, fmt.Errorf("take snapshot: %w: %w", ErrHalted, s.halted)
	}
	if n := s.weight(); n > s.room.bytes {
		return nil, fmt.Errorf("take snapshot of %d bytes: no replica would read it: %w", n, ErrSnapshot)
	}
	f := snapshotFile{V: snapshotVersion, Cluster: s.id, Time: s.time, Refused: s.refused}
	for _, h := range s.hotlines {
		if h.verified != nil {
			f.High = append(f.High, highOf{h.id, h.high})
		}
	}
	files, metas := s.archive.dump()
	leaves := make([][]byte, s.tree.Size())
	for i := range leaves {
		b, err := s.tree.Leaf(uint64(i))
		if err != nil {
			return nil, fmt.Errorf("take snapshot: %w", err)
		}
		leaves[i] = b
	}
	f.Metas = slices.Collect(slices.Chunk(metas, chunk))
	f.Files = slices.Collect(slices.Chunk(files, chunk))
	f.Leaves = slices.Collect(slices.Chunk(leaves, chunk))
	return &Snapshot{f}, nil
}

// Encode is the snapshot's one encoding: equal states, equal bytes.
func (s *Snapshot) Encode() []byte { return encode(s.file) }

// Restore makes a state from a snapshot's bytes and believes none of it: the
// first leaves must be the cluster file's own, every later leaf must follow
// from what is in force before it, every receipt, withdrawal and quorum of
// verdicts is verified again, and so is the metadata of each hotline and of
// each list in force, at the time of its leaf. A snapshot with an invented
// state is ErrSnapshot.
func Restore(c audit.Cluster, b []byte) (*State, error) {
	s, err := restore(c, b)
	if err != nil && !errors.Is(err, ErrSnapshot) {
		err = fmt.Errorf("%w: %w", ErrSnapshot, err)
	}
	if err != nil {
		return nil, fmt.Errorf("restore state: %w", err)
	}
	return s, nil
}

func restore(c audit.Cluster, b []byte) (*State, error) {
	if len(b) > MaxSnapshot {
		return nil, fmt.Errorf("%d bytes: %w", len(b), ErrSnapshot)
	}
	var f snapshotFile
	if err := decMode.Unmarshal(b, &f); err != nil {
		return nil, fmt.Errorf("%w: %v", ErrSnapshot, err)
	}
	s, err := New(c)
	if err != nil {
		return nil, err
	}
	if f.V != snapshotVersion || f.Cluster != s.id {
		return nil, fmt.Errorf("version %d of cluster %q: %w", f.V, f.Cluster, ErrSnapshot)
	}
	if s.archive, err = load(slices.Concat(f.Files...), slices.Concat(f.Metas...)); err != nil {
		return nil, err
	}
	leaves := slices.Concat(f.Leaves...)
	if len(leaves) > audit.MaxLeaves || uint64(len(leaves)) < s.tree.Size() {
		return nil, fmt.Errorf("%d leaves: %w", len(leaves), ErrSnapshot)
	}
	p := prover{s: s, genesis: s.tree.Size(), seen: map[verifiedAs]*trust.Verified{}}
	for i, leaf := range leaves {
		if err := p.replay(uint64(i), leaf); err != nil {
			return nil, fmt.Errorf("leaf %d: %w", i, err)
		}
	}
	if err := p.finish(f); err != nil {
		return nil, err
	}
	s.publishView()
	again, err := s.Snapshot()
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(again.Encode(), b) {
		return nil, fmt.Errorf("it is not what its leaves make: %w", ErrSnapshot)
	}
	return s, nil
}

// prover replays a snapshot's leaves into a fresh state.
type prover struct {
	s       *State
	genesis uint64 // leaves that New has made
	seen    map[verifiedAs]*trust.Verified
	rejects uint64
}

// verifiedAs is metadata verified as one hotline's: it is no other's.
type verifiedAs struct {
	hotline trust.HotlineID
	accepted
}

// replay checks one leaf against the state before it and enters it.
func (p *prover) replay(n uint64, encoded []byte) error {
	s := p.s
	if n < p.genesis {
		own, err := s.tree.Leaf(n)
		if err != nil || !bytes.Equal(own, encoded) {
			return fmt.Errorf("not the cluster's genesis: %w", ErrSnapshot)
		}
		return nil
	}
	leaf, err := audit.DecodeLeaf(encoded)
	if err != nil {
		return err
	}
	if leaf.N != n || leaf.T < s.time {
		return fmt.Errorf("number %d at time %d, after time %d: %w", leaf.N, leaf.T, s.time, ErrSnapshot)
	}
	body, err := leaf.Body()
	if err != nil {
		return err
	}
	if err := p.proven(leaf, body); err != nil {
		return err
	}
	next, err := s.inForce.Apply(leaf)
	if err != nil {
		return err
	}
	force := s.force
	if s.inForce.Changes(leaf) {
		force = next.Hash()
	}
	if leaf.F != force {
		return fmt.Errorf("in-force hash: %w", ErrSnapshot)
	}
	return s.enter(leaf, body, encoded)
}

// proven checks what a leaf's body must carry its own proof of.
func (p *prover) proven(leaf audit.Leaf, body audit.Body) error {
	s := p.s
	switch b := body.(type) {
	case audit.Publish:
		if s.hotline(b.Hotline) == nil {
			return fmt.Errorf("hotline %q: %w", b.Hotline, ErrSnapshot)
		}
		if got := s.approvals(b.Verdicts, b); len(got) < s.quorum.Need || len(got) != len(b.Verdicts) {
			return fmt.Errorf("%d of %d verdicts: %w", len(got), len(b.Verdicts), ErrSnapshot)
		}
		if err := p.publicLog(b); err != nil {
			return err
		}
		if err := p.rekeyed(leaf, b); err != nil {
			return err
		}
		return p.follow(b.Hotline, b.Metadata)
	case audit.Trust:
		if s.hotline(b.Hotline) == nil {
			return fmt.Errorf("hotline %q: %w", b.Hotline, ErrSnapshot)
		}
		return p.follow(b.Hotline, b.Metadata)
	case audit.Withdraw:
		return p.withdraw(leaf, b)
	case audit.Receipts:
		last := map[string]audit.Receipt{} // looked up, never ranged over
		for _, item := range b.Items {
			r, err := checkReceipt(s.id, s.edges, s.tree, s.tree.Size(), item)
			if err == nil {
				err = follows(last[r.Edge], r)
			}
			if err != nil {
				return err
			}
			last[r.Edge] = r
		}
		return nil
	case audit.Member:
		if b.Role != audit.RoleEdge {
			return fmt.Errorf("role %s: %w", b.Role, ErrSnapshot)
		}
		return nil
	case audit.Rekey:
		return nil // the publication behind it is held to it
	case audit.Reject:
		p.rejects++
		return nil
	case audit.Fork:
		return p.fork(b)
	case audit.Open:
		return p.open(leaf, b)
	case audit.Ordered, audit.Returned, audit.Hold:
		return nil // enter verifies them, by audit.Orders
	case audit.Admin:
		return nil // likewise, by audit.Register
	}
	return fmt.Errorf("leaf of kind %s: %w", leaf.K, ErrSnapshot)
}

// follow takes the steps of a hotline's roots that its metadata took.
func (p *prover) follow(id trust.HotlineID, metadata [32]byte) error {
	m, err := p.s.archive.get(metadata)
	if err != nil {
		return err
	}
	h := p.s.hotline(id)
	roots, err := h.roots.Follow(m.Roots)
	if err != nil {
		return fmt.Errorf("hotline %q: %w", id, err)
	}
	h.roots = roots
	return nil
}

func (p *prover) withdraw(leaf audit.Leaf, b audit.Withdraw) error {
	h := p.s.hotline(b.Hotline)
	if h == nil || h.last.metadata == ([32]byte{}) {
		return fmt.Errorf("withdrawal of hotline %q: %w", b.Hotline, ErrSnapshot)
	}
	v, err := p.verified(h, h.last)
	if err != nil {
		return err
	}
	w, signers, err := trust.VerifyWithdrawal(v.Officers, b.Statement, time.Unix(leaf.T, 0).UTC())
	if err != nil {
		return err
	}
	as := &hotline{id: h.id, verified: v}
	if !bytes.Equal(encode(withdrawLeaf(as, w, signers, b.Statement)), encode(b)) {
		return fmt.Errorf("withdrawal leaf: %w", ErrSnapshot)
	}
	return nil
}

// verified verifies metadata at the time of its leaf, once.
func (p *prover) verified(h *hotline, a accepted) (*trust.Verified, error) {
	as := verifiedAs{h.id, a}
	if v, ok := p.seen[as]; ok {
		return v, nil
	}
	m, err := p.s.archive.get(a.metadata)
	if err != nil {
		return nil, err
	}
	start, err := h.roots.Start(m)
	if err != nil {
		return nil, err
	}
	v, err := trust.Verify(start, trust.HighWater{}, m, time.Unix(a.at, 0).UTC())
	if err != nil {
		return nil, err
	}
	if v.Hotline != h.id || v.Development && !p.s.cluster.Development {
		return nil, fmt.Errorf("metadata of hotline %q: %w", v.Hotline, ErrSnapshot)
	}
	p.seen[as] = v
	return v, nil
}

// finish verifies what is in force at the end and takes over what no leaf says.
func (p *prover) finish(f snapshotFile) error {
	s := p.s
	for _, l := range s.inForce.Lists {
		if err := p.inForce(l); err != nil {
			return fmt.Errorf("list %s: %w", l.List, err)
		}
	}
	for _, h := range s.hotlines {
		if h.last.metadata == ([32]byte{}) {
			continue
		}
		i := slices.IndexFunc(f.High, func(o highOf) bool { return o.Hotline == h.id })
		if i < 0 {
			return fmt.Errorf("hotline %s: no high-water mark: %w", h.id, ErrSnapshot)
		}
		v, err := p.verified(h, h.last)
		if err != nil {
			return fmt.Errorf("hotline %s: %w", h.id, err)
		}
		if err := holds(f.High[i].High, v.High); err != nil {
			return fmt.Errorf("hotline %s: %w", h.id, err)
		}
		own := *v
		own.High = f.High[i].High
		h.high, h.verified = own.High, &own
		if h.metadata, err = s.archive.get(h.last.metadata); err != nil {
			return err
		}
	}
	if f.Time < s.time || f.Refused < p.rejects {
		return fmt.Errorf("time %d, %d refusals: %w", f.Time, f.Refused, ErrSnapshot)
	}
	s.time, s.refused = f.Time, f.Refused
	return nil
}

// inForce checks that a list in force is what its hotline signed.
func (p *prover) inForce(l audit.InForceList) error {
	b, err := p.s.tree.Leaf(l.Leaf)
	if err != nil {
		return err
	}
	leaf, err := audit.DecodeLeaf(b)
	if err != nil {
		return err
	}
	body, err := leaf.Body()
	if err != nil {
		return err
	}
	pub, ok := body.(audit.Publish)
	if !ok {
		return fmt.Errorf("leaf %d publishes nothing: %w", l.Leaf, ErrSnapshot)
	}
	v, err := p.verified(p.s.hotline(pub.Hotline), accepted{pub.Metadata, leaf.T})
	if err != nil {
		return err
	}
	for _, t := range v.Lists {
		if t.List != pub.List {
			continue
		}
		want := audit.NewPublish(v, t, pub.Metadata, pub.Verdicts)
		want.Index, want.PublicProof = pub.Index, pub.PublicProof
		if bytes.Equal(encode(want), encode(pub)) {
			return nil
		}
	}
	return fmt.Errorf("leaf %d is not what the hotline signed: %w", l.Leaf, ErrSnapshot)
}

// holds compares a snapshot's high-water mark with what the metadata itself
// says; marks of lists that are no longer published only restrict.
func holds(stored, signed trust.HighWater) error {
	if audit.VersionsOf(stored) != audit.VersionsOf(signed) {
		return fmt.Errorf("high-water mark: %w", ErrSnapshot)
	}
	for _, m := range signed.Seqs {
		if !slices.Contains(stored.Seqs, m) {
			return fmt.Errorf("high-water mark of list %s: %w", m.List, ErrSnapshot)
		}
	}
	return nil
}
