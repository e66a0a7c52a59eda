package cluster

import (
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"time"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/listsync/brake"
	"github.com/cordon-project/cordon/listsync/list"
	"github.com/cordon-project/cordon/listsync/trust"
	"github.com/cordon-project/cordon/resolver/match"
)

// Judgement is what this node found when it checked a version of a list: counts, ids and words, never a name. Program-readable.
type Judgement struct {
	List       match.ListID      `json:"list"`
	Seq        uint64            `json:"seq"`
	Edge       string            `json:"edge"`        // SHA-256 of its edge list, hex
	Result     string            `json:"result"`      // ok, or the word of the verdict
	Overrule   bool              `json:"overrule"`    // two officers can let it pass
	NeverBlock string            `json:"never_block"` // hash of the names it was asked about, hex
	At         time.Time         `json:"at"`
	Before     uint64            `json:"before"`     // the version in force that it was compared with; 0: none
	Difference *brake.Difference `json:"difference"` // null when it could not be read, or what is in force is not here
	Held       []brake.Held      `json:"held"`       // of each brake at most MaxHeldEntries entries
	Approved   int               `json:"approved"`   // entries that officers have approved for this version
	Notes      []string          `json:"notes"`

	index [32]byte // hash of the index it compiles to; zero when it was not compiled
}

// MaxHeldEntries bounds the entries of a brake that a Judgement names: as many as one approval can.
const MaxHeldEntries = 3000

// judgement checks a version whose files are here. It keeps what it found.
func (n *Node) judgement(ctx context.Context, v *trust.Verified, t trust.ListTarget) (Judgement, error) {
	j := Judgement{
		List: t.List, Seq: t.Seq, Edge: hex.EncodeToString(t.Edge.SHA256[:]), NeverBlock: hex.EncodeToString(n.neverBlock[:]), At: n.c.Clock().UTC(),
		Held: []brake.Held{}, Notes: []string{},
	}
	var err error
	if j.Result, err = n.judge(ctx, v, t, &j); err != nil {
		return j, err
	}
	j.Overrule = holdable(j.Result)
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.judged) >= audit.MaxLists {
		clear(n.judged)
	}
	n.judged[t.List] = j
	return j, nil
}

// Judged is what this node found about this very version since it started.
func (n *Node) Judged(list match.ListID, seq uint64, edge [32]byte) (Judgement, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	j, ok := n.judged[list]
	return j, ok && j.Seq == seq && j.Edge == hex.EncodeToString(edge[:])
}

// Simulate checks a version as a verdict would and says what it would change. Nothing is signed and nothing is proposed. Its files must
// be in Config.Files. It waits for its turn among the lists that are being staged. An error says why there is nothing to check.
func (n *Node) Simulate(ctx context.Context, m trust.Metadata, id match.ListID) (Judgement, error) {
	fail := func(err error) (Judgement, error) {
		return Judgement{}, fmt.Errorf("simulate list %s: %w", id, err)
	}
	h, ok := n.fsm.view().Hotline(trust.HotlineID(id.Hotline()))
	if !ok {
		return fail(fmt.Errorf("%w: its hotline is not in the cluster file, and not pinned", ErrRequest))
	}
	v, err := n.verify(h, h.Roots.Complete(m))
	if err != nil {
		return fail(err)
	}
	i := slices.IndexFunc(v.Lists, func(t trust.ListTarget) bool { return t.List == id })
	if i < 0 {
		return fail(fmt.Errorf("%w: the hotline publishes no such list", ErrRequest))
	}
	select {
	case n.staging <- struct{}{}:
	case <-ctx.Done():
		return fail(ctx.Err())
	}
	defer func() { <-n.staging }()
	j, err := n.judgement(ctx, v, v.Lists[i])
	if err != nil {
		return fail(err)
	}
	return j, nil
}

// askBrakes asks the brakes about a version, but for what officers have approved, and gives the first that holds.
func (n *Node) askBrakes(ctx context.Context, index brake.List, e *list.Edge, t trust.ListTarget, now time.Time, j *Judgement) (string, error) {
	q := &brake.Question{List: index, Names: n.names, Limits: n.c.Limits.Filled()}
	cur, first := n.inForceOf(t.List, j)
	defer cur.close()
	var err error
	if q.Numbers, err = n.numbers(ctx, e, t, now, cur, first, j); err != nil {
		return "", err
	}
	if cur.stopped != nil {
		q.Before = cur.stopped
	}
	if a, ok := n.fsm.view().Approved(t.List, t.Seq, t.Edge.SHA256); ok && a.NeverBlock == n.neverBlock {
		j.Approved = len(a.Entries)
		approved := make(map[match.EntryID]bool, len(a.Entries))
		for _, id := range a.Entries {
			approved[id] = true
		}
		q.Waived = func(w brake.Word) bool { return slices.Contains(a.Brakes, string(w)) }
		q.Exempt = func(w brake.Word, id match.EntryID) bool { return approved[id] && q.Waived(w) }
	}
	r, err := brake.Ask(ctx, q)
	if err != nil {
		return "", err
	}
	if stale := n.names.Popularity().Stale(now); stale != "" {
		r.Notes = append(r.Notes, stale)
	}
	j.Notes = append(j.Notes, r.Notes...)
	for _, h := range r.Held {
		n.log.WarnContext(ctx, "brake holds", slog.Any("list", t.List), slog.Uint64("seq", t.Seq), slog.String("brake", string(h.Brake)), slog.String("what", h.Text))
		if len(h.Entries) > MaxHeldEntries {
			h.Entries = h.Entries[:MaxHeldEntries:MaxHeldEntries]
		}
		j.Held = append(j.Held, h)
	}
	if w := r.First(); w != "" {
		return string(w), nil
	}
	return audit.ResultOK, nil
}

// numbers compares a version with the one in force. It counts for itself where it can: what the hotline says it added is the word of
// whoever signed the version. A new list of a hotline that has others is compared with all of these together: else whoever holds the
// hotline's keys would put in a new list what the brakes keep out of the old one.
func (n *Node) numbers(ctx context.Context, e *list.Edge, t trust.ListTarget, now time.Time, cur *current, first bool, j *Judgement) (brake.Numbers, error) {
	view := n.fsm.view()
	var total, totalBroad int
	for _, l := range view.InForce.Lists {
		if p, _, ok := view.Publish(l.List); ok && l.List.Hotline() == t.List.Hotline() {
			total, totalBroad = total+int(entriesOf(p)), totalBroad+broadOf(p)
		}
	}
	q := brake.Numbers{Entries: int(entries(e.Counts())), Broad: int(e.Counts().Host + e.Counts().Domain), First: total == 0, Now: now}
	if cur.edge != nil || first {
		d, err := brake.Compare(ctx, cur.edge, e)
		if err != nil {
			return q, err
		}
		j.Difference = d
		q.Added, q.Removed, q.BroadAdded = d.Stops.Entries, d.Frees.Entries, d.Stops.Broad
	}
	switch {
	case first:
		q.Before, q.BroadBefore = total, totalBroad
	case cur.edge != nil:
		q.Before, q.BroadBefore = int(entries(cur.edge.Counts())), int(cur.edge.Counts().Host+cur.edge.Counts().Domain)
	default:
		// This node was away when that version came into force. Others that hold it count; this one goes by what is signed.
		j.Notes = append(j.Notes, fmt.Sprintf("version %d, which is in force, is not on this node's disk: numbers are those that the hotline signed", cur.Seq))
		if p, _, ok := view.Publish(t.List); ok {
			q.Before, q.BroadBefore = int(entriesOf(p)), broadOf(p)
		}
		q.Added, q.Removed = max(t.Added, q.Entries-q.Before), max(t.Removed, q.Before-q.Entries)
		q.BroadAdded = max(0, q.Broad-q.BroadBefore)
	}
	q.Recent = n.steps.recent(t.List.Hotline(), view.InForce.Lists)
	a, _ := view.Approved(t.List, t.Seq, t.Edge.SHA256)
	seen := slices.ContainsFunc(a.Brakes, func(w string) bool { return brake.Word(w).AtOperator() == brake.Version })
	n.steps.note(t.List, t.Seq, t.Edge.SHA256, brake.Step{At: now, Before: total, Added: q.Added, Seen: seen})
	return q, nil
}

// broadOf is the number of whole sites of a publish leaf.
func broadOf(p audit.Publish) int {
	n := 0
	for _, c := range p.Counts {
		if c.Kind == "host" || c.Kind == "domain" {
			n += int(c.N)
		}
	}
	return n
}

// current is the version of a list that is in force, as far as it is here.
type current struct {
	audit.InForceList
	edge    *list.Edge   // nil when it is not here
	stopped *brake.Index // nil when it or its keys are not here
	closers []io.Closer
}

func (c *current) close() {
	for _, f := range c.closers {
		_ = f.Close()
	}
}

// inForceOf opens the version of a list that is in force. first: none is.
func (n *Node) inForceOf(id match.ListID, j *Judgement) (cur *current, first bool) {
	cur = &current{}
	view := n.fsm.view()
	l, ok := view.InForce.List(id)
	if !ok {
		return cur, true
	}
	cur.InForceList, j.Before = l, l.Seq
	b, closer, err := n.c.Files.Map(l.Edge)
	if err != nil {
		return cur, false
	}
	cur.closers = append(cur.closers, closer)
	if cur.edge, err = list.OpenEdge(b); err != nil {
		cur.edge = nil
		return cur, false
	}
	filter, err := l.Filter.Match()
	if err != nil {
		return cur, false
	}
	keys, err := n.EpochKeys(id, l.Epoch)
	if err != nil {
		return cur, false // stricter: what is stopped already holds the version back too
	}
	cur.closers = append(cur.closers, keys)
	removed := map[match.EntryID]bool{}
	for _, r := range view.InForce.Overlay() {
		// A suppression ends by itself: what it takes out for a time is not newly stopped by the next version.
		if r.List == id && r.Kind != match.RemovalSuppress {
			removed[r.Entry] = true
		}
	}
	now := uint32(n.c.Clock().Unix())
	cur.stopped = brake.NewStopped(cur.edge, keys.Keys, func(r *match.Record) bool {
		return !removed[r.EntryID] && now <= r.ReviewBy && filter.Allows(r.Meta)
	})
	return cur, false
}
