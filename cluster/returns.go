package cluster

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/audit/order"
	"github.com/cordon-project/cordon/cluster/command"
	"github.com/cordon-project/cordon/cluster/state"
	"github.com/cordon-project/cordon/listsync/fetch"
	"github.com/cordon-project/cordon/listsync/list"
	"github.com/cordon-project/cordon/resolver/match"
)

// WayBack is the order that would bring an earlier version of a list back, for officers to sign: which versions it is about, and everything
// that the newest one has left out. ErrRequest for a version that is none of those kept, or when more was left out than an order can name.
func (n *Node) WayBack(ctx context.Context, id match.ListID, seq uint64) (order.Return, error) {
	l, ok := n.fsm.view().InForce.List(id)
	if !ok {
		return order.Return{}, fmt.Errorf("return: list %s is not in force: %w", id, ErrRequest)
	}
	to, ok := l.Version(seq)
	if !ok || seq == l.Seq {
		var kept []string
		for _, v := range l.Versions {
			if v.Seq != l.Seq {
				kept = append(kept, fmt.Sprint(v.Seq))
			}
		}
		if len(kept) == 0 {
			kept = []string{"none: no other version was in force here"}
		}
		return order.Return{}, fmt.Errorf("return: version %d of list %s is not one to go back to; those are: %s: %w", seq, id, strings.Join(kept, ", "), ErrRequest)
	}
	high, _ := l.Version(l.High())
	if then, err := n.filterOf(to); err != nil {
		return order.Return{}, fmt.Errorf("return: %w", err)
	} else if seq != high.Seq && !then.Within(l.Filter) {
		return order.Return{}, fmt.Errorf("return: the hotline's charter allowed more when version %d of list %s came into force than it does in version %d: %w", seq, id, l.Seq, ErrRequest)
	}
	b := order.Return{List: id, Seq: seq, Edge: to.Edge, High: high.Seq, HighEdge: high.Edge}
	var err error
	if b.Entries, err = n.leftOut(ctx, b); err != nil {
		return order.Return{}, fmt.Errorf("return: %w", err)
	}
	if len(b.Entries) > order.MaxEntries {
		return order.Return{}, fmt.Errorf("return: version %d of list %s has %d entries that version %d left out, an order names %d at most: ask the hotline for a corrected version: %w",
			seq, id, len(b.Entries), high.Seq, order.MaxEntries, ErrRequest)
	}
	return b, nil
}

// filterOf is the charter's filter of a version that was published here.
func (n *Node) filterOf(v audit.ListVersion) (audit.Filter, error) {
	b, err := n.fsm.view().Tree().Leaf(v.Leaf)
	if err != nil {
		return audit.Filter{}, err
	}
	leaf, err := audit.DecodeLeaf(b)
	if err != nil {
		return audit.Filter{}, err
	}
	body, err := leaf.Body()
	if err != nil {
		return audit.Filter{}, err
	}
	p, ok := body.(audit.Publish)
	if !ok {
		return audit.Filter{}, fmt.Errorf("leaf %d publishes nothing: %w", v.Leaf, audit.ErrMismatch)
	}
	return p.Filter, nil
}

// leftOut are the entries of the version to go back to that the newest one does not have, from the files this node holds.
func (n *Node) leftOut(ctx context.Context, b order.Return) ([]match.EntryID, error) {
	var ids [2][]match.EntryID
	for i, hash := range [][32]byte{b.Edge, b.HighEdge} {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		var err error
		if ids[i], err = n.entriesIn(hash); err != nil {
			return nil, fmt.Errorf("edge list %x: %w", hash[:8], err)
		}
	}
	return list.LeftOut(ids[0], ids[1]), nil
}

func (n *Node) entriesIn(hash [32]byte) ([]match.EntryID, error) {
	b, closer, err := n.c.Files.Map(hash)
	if err != nil {
		return nil, err
	}
	defer func() { _ = closer.Close() }()
	if sha256.Sum256(b) != hash {
		return nil, fetch.ErrHash
	}
	e, err := list.OpenEdge(b)
	if err != nil {
		return nil, err
	}
	return list.EntryIDs(e), nil
}

// Return answers Peers.Return: compares both files itself and signs that the order names all that was left out. An order that officers have
// not signed, that names anything else or for whose files this node has no room is an error. Only a caller proved to be a control node
// may reach it. One at a time: it takes as much memory as staging.
func (n *Node) Return(ctx context.Context, statement []byte) (audit.SignedReturnVerdict, error) {
	none := audit.SignedReturnVerdict{}
	o, _, err := order.Verify(n.c.Cluster.Officers, n.id, statement, n.c.Clock())
	if err != nil {
		return none, fmt.Errorf("return: %w: %w", ErrRequest, err)
	}
	b, ok := o.Body.(order.Return)
	if !ok {
		return none, fmt.Errorf("return: %s order: %w", o.Body.Kind(), ErrRequest)
	}
	select {
	case n.staging <- struct{}{}:
	case <-ctx.Done():
		return none, ctx.Err()
	}
	defer func() { <-n.staging }()
	out, err := n.leftOut(ctx, b)
	if err != nil {
		return none, fmt.Errorf("return: %w", err)
	}
	if !slices.Equal(out, b.Entries) {
		return none, fmt.Errorf("return: version %d of list %s has %d entries that version %d left out, and the order names others: %w", b.Seq, b.List, len(out), b.High, ErrRequest)
	}
	return audit.SignReturnVerdict(audit.ReturnVerdict{
		Cluster: n.id, Node: n.c.Name, List: b.List, Edge: b.Edge, HighEdge: b.HighEdge, Entries: audit.EntriesHash(b.Entries),
	}, n.c.Key), nil
}

// goBack gathers the members' word about a return and proposes it.
func (n *Node) goBack(ctx context.Context, statement []byte) (state.Result, error) {
	type answer struct {
		member string
		signed audit.SignedReturnVerdict
		err    error
	}
	members := n.c.Cluster.Members
	answers := make(chan answer, len(members))
	for _, m := range members {
		n.spawn(func(run context.Context) {
			run, cancel := context.WithTimeout(run, n.c.Timeouts.Stage)
			defer cancel()
			a := answer{member: m.Name}
			if m.Name == n.c.Name {
				a.signed, a.err = n.Return(run, statement)
			} else {
				a.signed, a.err = n.c.Peers.Return(run, m.Name, statement)
				n.contact(m.Name, a.err)
			}
			answers <- a
		})
	}
	c := command.Return{Statement: statement}
	var failed []error
	for range members {
		select {
		case <-ctx.Done():
			return state.Result{}, fmt.Errorf("return: %w: %w", ErrNoQuorum, ctx.Err())
		case <-n.stopped:
			return state.Result{}, fmt.Errorf("return: %w: node is stopping", ErrNoQuorum)
		case a := <-answers:
			if a.err != nil {
				failed = append(failed, fmt.Errorf("%s: %w", a.member, a.err))
				continue
			}
			c.Verdicts = append(c.Verdicts, a.signed)
		}
		if len(c.Verdicts) >= n.quorum.Need {
			return n.Propose(ctx, command.Command{Body: c})
		}
	}
	return state.Result{}, fmt.Errorf("return: %w: %d of %d members say that it names all that was left out: %w", ErrNoQuorum, len(c.Verdicts), len(members), errors.Join(failed...))
}
