package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/command"
	"github.com/cordon-project/cordon/cluster/state"
)

const (
	// maxQueued bounds the receipts that wait: two for each edge of a large
	// cluster. When it is full AddReceipt says ErrBusy and the edge comes again.
	maxQueued = 4096
	// maxBatch receipts of about 300 bytes stay below a command's 64 KiB.
	maxBatch = 150
)

// AddReceipt queues an edge's signed receipt for the log. A receipt that this
// replica can already see is not acceptable is refused at once (ErrRefused);
// ErrBusy when the queue is full. nil means queued, not yet logged; the edge's
// last receipt sent again is nil too.
func (n *Node) AddReceipt(r audit.SignedReceipt) error {
	receipt, err := n.fsm.view().CheckReceipt(r)
	if state.Repeated(err) {
		return nil
	}
	if err != nil {
		n.receiptMu.Lock()
		n.receiptStatus.Dropped++
		n.receiptMu.Unlock()
		return fmt.Errorf("receipt: %w: %w", ErrRefused, err)
	}
	n.receiptMu.Lock()
	defer n.receiptMu.Unlock()
	if len(n.queue) >= maxQueued {
		n.receiptStatus.Dropped++
		return fmt.Errorf("receipt of %s: %w", receipt.Edge, ErrBusy)
	}
	for _, q := range n.queue {
		if q.edge == receipt.Edge && q.counter >= receipt.Counter {
			return nil // the same, or a newer one, is on its way
		}
	}
	n.queue = append(n.queue, queued{receipt.Edge, receipt.Counter, r})
	return nil
}

type queued struct {
	edge    string
	counter uint64
	signed  audit.SignedReceipt
}

// sendReceipts proposes what has queued up, every Timeouts.Receipts.
func (n *Node) sendReceipts(ctx context.Context) {
	tick := time.NewTicker(n.c.Timeouts.Receipts)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for n.sendBatch(ctx) {
		}
	}
}

// sendBatch proposes one batch and reports whether more waits.
func (n *Node) sendBatch(ctx context.Context) bool {
	n.receiptMu.Lock()
	batch := n.queue[:min(len(n.queue), maxBatch)]
	items := make([]audit.SignedReceipt, len(batch))
	for i, q := range batch {
		items[i] = q.signed
	}
	n.receiptMu.Unlock()
	if len(items) == 0 {
		return false
	}
	_, err := n.Propose(ctx, command.Command{Body: command.Receipts{Items: items}})
	if errors.Is(err, ErrNoLeader) || errors.Is(err, ErrHalted) || ctx.Err() != nil {
		return false // they stay queued
	}
	n.receiptMu.Lock()
	defer n.receiptMu.Unlock()
	// AddReceipt appends only: the batch is still the queue's beginning.
	n.queue = append([]queued(nil), n.queue[len(items):]...)
	if err != nil {
		n.receiptStatus.Dropped += uint64(len(items))
		n.log.WarnContext(ctx, "receipts dropped", slog.Int("count", len(items)), slog.Any("error", err))
	} else {
		n.receiptStatus.Accepted += uint64(len(items))
	}
	return len(n.queue) > 0
}
