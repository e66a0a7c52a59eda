// Package monitor watches a cluster from outside, for as long as it runs: it asks control nodes for their checkpoints, verifies what is new
// in the log, holds all nodes to one history, and says what happened, once.
//
// In come the trust file, nodes and a directory; out come events, and evidence on disk when a lie is proven. It believes a node no more than a
// bundle file. What it has verified it may cosign for others (Hand): it is a witness that read everything.
package monitor

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/cordon-project/cordon/cluster/audit"
)

// Source asks nodes. Errors are outages, to be tried again at the next round.
type Source interface {
	// Checkpoint is the node's latest note, at most audit.MaxCheckpoint.
	Checkpoint(ctx context.Context, node string) ([]byte, error)
	// Bundle opens the node's bundle of this part; the caller closes it.
	Bundle(ctx context.Context, node string, part audit.Part) (io.ReadCloser, error)
}

// Config is what a Monitor is made of.
type Config struct {
	Trust  []byte // the trust file
	Dir    string // its own: what was verified, open problems, evidence
	Nodes  []string
	Source Source
	Every  time.Duration // between rounds, a tenth more or less
	MaxAge time.Duration // of a checkpoint, before that is a problem
	Clock  func() time.Time
	Tell   func(Event) // called by one goroutine at a time
	// Patience is for a node when another has answered well in the same round; 0: Every, at least minPatience.
	Patience time.Duration
}

const minPatience = 30 * time.Second

// Event is one thing that happened.
type Event struct {
	At   time.Time `json:"at"`
	Kind string    `json:"kind"` // one of the constants below
	Node string    `json:"node,omitempty"`
	What string    `json:"what,omitempty"` // of a problem: a stable word
	Text string    `json:"text"`
}

// Kinds of events.
const (
	Verified = "verified" // new leaves were looked at, and everything passed
	Leaf     = "leaf"     // one of them that is more than a receipt or a renewal
	Problem  = "problem"  // begins
	Ended    = "ended"    // a problem is no more
	Lie      = "lie"      // proven, with the evidence written
)

// Words for problems.
const (
	Unreachable = "unreachable" // no answer, or one that breaks off
	Unsigned    = "unsigned"    // a checkpoint that the trusted quorum did not sign
	Stale       = "stale"       // a checkpoint that is too old
	Broken      = "broken"      // a bundle that is not in its form
)

// ErrLie ends a monitor: a lie was proven, its evidence is on disk.
var ErrLie = errors.New("a lie was proven")

// Monitor is one watch. Run and Round are for one goroutine; Hand and what it gives may be used beside them.
type Monitor struct {
	c      Config
	quorum audit.Quorum
	open   []trouble // problems that have begun, by node and word

	mu    sync.Mutex // guards both
	visit *audit.Visit
	roots *audit.Roots

	note []byte // the checkpoint of what was verified last
}

// Open reads what the directory holds, which it makes if needed. A damaged file is named and not used.
func Open(c Config) (*Monitor, error) {
	tf, err := audit.ParseTrustFile(c.Trust)
	if err != nil {
		return nil, err
	}
	m := &Monitor{c: c, quorum: tf.Quorum(), roots: new(audit.Roots)}
	if err := m.load(tf.Cluster.ID()); err != nil {
		return nil, err
	}
	return m, nil
}

// Run asks all nodes, again and again, until the context ends (nil), a lie is proven (ErrLie) or the directory cannot be written.
func (m *Monitor) Run(ctx context.Context) error {
	for {
		if _, err := m.Round(ctx); err != nil {
			return err
		}
		wait := m.c.Every + time.Duration((rand.Float64()-0.5)/5*float64(m.c.Every))
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C:
		}
	}
}

// Round asks each node once, those with a problem last, and returns how many problems there are now. A node that takes its time keeps nobody from
// what the others have that is new: once one has answered well, those behind it have so much patience.
func (m *Monitor) Round(ctx context.Context) (problems int, err error) {
	var found []trouble
	nodes := slices.Clone(m.c.Nodes)
	slices.SortStableFunc(nodes, func(a, b string) int { return cmp.Compare(m.troubles(a), m.troubles(b)) })
	well := false
	for _, node := range nodes {
		limited, cancel := ctx, func() {}
		if well {
			limited, cancel = context.WithTimeout(ctx, cmp.Or(m.c.Patience, max(m.c.Every, minPatience)))
		}
		t, err := m.look(limited, node)
		cancel()
		well = well || t == nil && err == nil
		if ctx.Err() != nil {
			return len(m.open), nil
		}
		if err != nil {
			return len(m.open), err
		}
		if t != nil {
			found = append(found, *t)
		}
	}
	return len(found), m.settle(found)
}

// troubles is how many problems of a node are open.
func (m *Monitor) troubles(node string) (n int) {
	for _, t := range m.open {
		if t.Node == node {
			n++
		}
	}
	return n
}

// look asks one node. What is wrong and no lie is the trouble.
func (m *Monitor) look(ctx context.Context, node string) (*trouble, error) {
	note, err := m.c.Source.Checkpoint(ctx, node)
	if err != nil {
		return m.trouble(node, Unreachable, err.Error()), nil
	}
	cp, _, fresh, err := m.quorum.Open(note)
	if err != nil {
		return m.trouble(node, Unsigned, err.Error()), nil
	}
	if root, known := m.roots.At(cp.Size); known {
		if root != cp.Root {
			return nil, m.lie(node, note, fmt.Sprintf("fork: node %s shows another history: at %d leaves its root is %x, the log that was verified had %x", node, cp.Size, cp.Root[:8], root[:8]), nil)
		}
		if err := m.mend(cp, note); err != nil {
			return nil, err
		}
	} else if t, err := m.verify(ctx, node); t != nil || err != nil {
		return t, err
	}
	if age := m.c.Clock().Sub(fresh); m.c.MaxAge > 0 && age > m.c.MaxAge {
		return m.trouble(node, Stale, fmt.Sprintf("a quorum signed its checkpoint of %d leaves last at %s, more than %v ago", cp.Size, fresh.Format(time.RFC3339), m.c.MaxAge)), nil
	}
	return nil, nil
}

// trouble begins now. Its words may be a stranger's: they are bounded, and so is what is kept of them.
func (m *Monitor) trouble(node, what, text string) *trouble {
	return &trouble{node, what, audit.Escape(text), m.c.Clock()}
}

// verify looks at what is new at a node, and at all of its log where that fails.
func (m *Monitor) verify(ctx context.Context, node string) (*trouble, error) {
	before := m.visit
	r, err := m.bundle(ctx, node, before)
	if err == nil && !r.Pass && before != nil && before.Passed() {
		if r, err = m.bundle(ctx, node, before.Bare()); err == nil {
			r.Keep(before)
		}
	}
	if err != nil {
		return m.trouble(node, Unreachable, err.Error()), nil
	}
	if r.Pass {
		return nil, m.keep(node, r)
	}
	c := cause(r)
	switch c.Name {
	case audit.CheckBundle, audit.CheckTrust:
		return m.trouble(node, Broken, c.Detail), nil
	case audit.CheckCheckpoint:
		return m.trouble(node, Unsigned, c.Detail), nil
	}
	return nil, m.lie(node, r.Note(), c.Name+": "+c.Detail, r)
}

// cause is the first check that failed: a lie before what is only missing.
func cause(r *audit.Report) audit.Check {
	failed := slices.DeleteFunc(slices.Clone(r.Checks), func(c audit.Check) bool { return c.Pass || c.Skipped })
	weight := func(c audit.Check) int {
		switch c.Name {
		case audit.CheckBundle, audit.CheckTrust, audit.CheckCheckpoint:
			return 1
		}
		return 0
	}
	slices.SortStableFunc(failed, func(a, b audit.Check) int { return cmp.Compare(weight(a), weight(b)) })
	if len(failed) == 0 {
		return audit.Check{Name: audit.CheckBundle, Detail: "checks could not be made"}
	}
	return failed[0]
}

func (m *Monitor) bundle(ctx context.Context, node string, before *audit.Visit) (*audit.Report, error) {
	var part audit.Part
	if before != nil {
		part.Since = before.Verified(m.c.Trust)
	}
	b, err := m.c.Source.Bundle(ctx, node, part)
	if err != nil {
		return nil, err
	}
	defer b.Close()
	return audit.Verify(ctx, b, m.c.Trust, audit.Options{Now: m.c.Clock(), Before: before, Lean: true})
}

// keep takes in a visit that passed, and says what is new.
func (m *Monitor) keep(node string, r *audit.Report) error {
	known := m.roots.Size()
	roots, err := r.Visit().Roots()
	if err != nil {
		return err
	}
	if err := m.save(r.Visit(), r.Note()); err != nil {
		return err
	}
	m.mu.Lock()
	m.visit, m.roots = r.Visit(), roots
	m.mu.Unlock()
	m.note = r.Note()
	m.tell(Event{Kind: Verified, Node: node, Text: fmt.Sprintf("%d new leaves, %d in all, every check passed", roots.Size()-known, roots.Size())})
	for _, l := range r.Leaves() {
		if l.K != audit.KindReceipts && l.K != audit.KindTrust {
			m.tell(Event{Kind: Leaf, Node: node, Text: fmt.Sprintf("leaf %d, %s: %s", l.N, l.K, l.Describe())})
		}
	}
	return nil
}

// mend writes the checkpoint of what was verified, when a crash came before it.
func (m *Monitor) mend(cp audit.Checkpoint, note []byte) error {
	if cp.Size != m.roots.Size() {
		return nil
	}
	if have, err := audit.PeekCheckpoint(m.note); err == nil && have.Size >= cp.Size {
		return nil
	}
	m.note = note
	return write(filepath.Join(m.c.Dir, checkpointName), note)
}

// maxSaid is how much of a lie is said in the event, so that the evidence's place still fits; the report has all of it.
const maxSaid = 200

// lie writes the evidence, says so and ends the monitor.
func (m *Monitor) lie(node string, note []byte, text string, r *audit.Report) error {
	var report bytes.Buffer
	fmt.Fprintf(&report, "%s\n\nnode %s\n", audit.Escape(text), node)
	if r != nil {
		if err := r.WriteText(&report); err != nil {
			return err
		}
	}
	where := "; evidence in "
	dir, err := m.evidence(text, note, report.Bytes())
	if err != nil { // a full disk does not hide a lie
		where, dir = "; its evidence could not be written: ", err.Error()
	}
	said := []rune(audit.Escape(text))
	if len(said) > maxSaid {
		said = append(said[:maxSaid], '…')
	}
	m.tell(Event{Kind: Lie, Node: node, Text: string(said) + where + dir})
	return fmt.Errorf("%s: %w", audit.Escape(text), ErrLie)
}

func (m *Monitor) tell(e Event) {
	e.At, e.Text = m.c.Clock().UTC().Truncate(time.Second), audit.Escape(e.Text)
	m.c.Tell(e)
}
