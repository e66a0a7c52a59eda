package cluster

import (
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/audit/certificate"
	"github.com/cordon-project/cordon/cluster/audit/order"
	"github.com/cordon-project/cordon/cluster/command"
	"github.com/cordon-project/cordon/cluster/state"
)

// Certificate is the document that this node's log yields for a span of time, for officers to sign. ErrRequest for a span that is none or is
// not over yet. One is made at a time: it takes a second or two for a log of a hundred thousand leaves.
func (n *Node) Certificate(ctx context.Context, from, to time.Time) (certificate.Document, error) {
	view := n.past(ctx, to)
	if to.Unix() > view.Time {
		return certificate.Document{}, fmt.Errorf("the time until %s is not over by the cluster's clock (%s): %w",
			to.UTC().Format(time.RFC3339), time.Unix(view.Time, 0).UTC().Format(time.RFC3339), ErrRequest)
	}
	select {
	case n.certifying <- struct{}{}:
		defer func() { <-n.certifying }()
	case <-ctx.Done():
		return certificate.Document{}, fmt.Errorf("certificate: %w", ctx.Err())
	}
	d, err := certificate.Of(n.c.Cluster, leavesOf(ctx, view), from, to)
	switch {
	case ctx.Err() != nil:
		return d, fmt.Errorf("certificate: %w", ctx.Err())
	case err != nil:
		return d, fmt.Errorf("certificate: %w: %w", ErrRequest, err)
	}
	return d, nil
}

// past gives the view once the cluster's time has come to t, which is when no leaf before t can come any more. The cluster's time moves with
// its commands: when t is over by this node's clock, it has it moved. The view is an earlier one when that could not be had within catchUpTime.
func (n *Node) past(ctx context.Context, t time.Time) *state.View {
	ctx, cancel := context.WithTimeout(ctx, catchUpTime)
	defer cancel()
	for asked := false; ; {
		grown := n.fsm.grown()
		view := n.fsm.view()
		if view.Time >= t.Unix() || n.c.Clock().Before(t) {
			return view
		}
		if !asked {
			asked = true
			if _, err := n.Propose(ctx, command.Command{Body: command.Tick{}}); err != nil {
				return view
			}
			continue
		}
		select {
		case <-grown:
		case <-ctx.Done():
			return view
		}
	}
}

// yields holds an order about a certificate to this node's own log.
func (n *Node) yields(ctx context.Context, o order.Certificate) error {
	d, err := n.Certificate(ctx, time.Unix(o.From, 0), time.Unix(o.To, 0))
	if err != nil {
		return err
	}
	if d.End.Size != o.Size || d.Hash() != o.Hash {
		return fmt.Errorf("%w: %w", ErrRefused, &state.Refusal{Reason: "certificate", Detail: certificate.ErrYields.Error()})
	}
	return nil
}

// leavesOf are a view's leaves; the sequence ends early with the context, or at a leaf that cannot be read.
func leavesOf(ctx context.Context, view *state.View) iter.Seq[audit.Leaf] {
	return func(yield func(audit.Leaf) bool) {
		for i := range view.Size {
			b, err := view.Tree().Leaf(i)
			if err != nil || ctx.Err() != nil {
				return
			}
			leaf, err := audit.DecodeLeaf(b)
			if err != nil || !yield(leaf) {
				return
			}
		}
	}
}
