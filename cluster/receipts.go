package cluster

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/command"
	"github.com/cordon-project/cordon/cluster/state"
)

const (
	// maxQueued bounds the edges whose receipt waits. When it is full
	// AddReceipt says ErrBusy and the edge comes again.
	maxQueued = 4096
	// maxBatch receipts of about 300 bytes stay below a command's 64 KiB; maxBatchBytes
	// holds when some name withdrawals beyond the log.
	maxBatch      = 150
	maxBatchBytes = 56 << 10
	// receiptEvery spaces one edge's receipts in the log: an edge that signs
	// as fast as it can adds 40 bytes a second to it.
	receiptEvery = 10 * time.Second
)

// AddReceipt queues an edge's signed receipt for the log; of several that
// wait the edge's newest is kept. A receipt that this replica can already see
// is not acceptable is refused at once (ErrRefused). ErrBusy, to be repeated
// later, when the queue is full or one of the edge's receipts entered the log
// less than ten seconds ago, unless this one is of a newer state of what is in
// force. nil means queued, not yet logged; the edge's last receipt sent again
// is nil too.
func (n *Node) AddReceipt(r audit.SignedReceipt) error {
	view := n.fsm.view()
	receipt, err := view.CheckReceipt(r)
	if state.Repeated(err) {
		return nil
	}
	n.receiptMu.Lock()
	defer n.receiptMu.Unlock()
	if err != nil {
		n.receiptStatus.Dropped++
		return fmt.Errorf("receipt: %w: %w", ErrRefused, err)
	}
	q := queued{receipt, r}
	if i := slices.IndexFunc(n.queue, func(o queued) bool { return o.Edge == q.Edge }); i >= 0 {
		if n.queue[i].Counter < q.Counter {
			n.queue[i] = q
		}
		return nil
	}
	if left := n.notBefore(view, receipt); left > 0 {
		n.receiptStatus.Dropped++
		return fmt.Errorf("receipt of %s: one every %s is logged, repeat it in %s: %w", receipt.Edge, receiptEvery, left.Round(time.Millisecond), ErrBusy)
	}
	if len(n.queue) >= maxQueued {
		n.receiptStatus.Dropped++
		return fmt.Errorf("receipt of %s: %w", receipt.Edge, ErrBusy)
	}
	n.queue = append(n.queue, q)
	return nil
}

// queued is a receipt that waits.
type queued struct {
	audit.Receipt
	signed audit.SignedReceipt
}

// logged is an edge's last receipt in the log and when this node saw it enter.
type logged struct {
	receipt *audit.SignedReceipt
	at      time.Time // zero: before this node started
}

// noteLogged keeps n.logged up with the log; under receiptMu.
func (n *Node) noteLogged(e state.Edge) logged {
	l := n.logged[e.Name]
	if e.Receipt != l.receipt {
		l = logged{e.Receipt, n.c.Clock()}
		n.logged[e.Name] = l
	}
	return l
}

// noteAllLogged looks at every edge; under receiptMu.
func (n *Node) noteAllLogged(view *state.View) {
	for _, e := range view.Edges {
		n.noteLogged(e)
	}
	if len(n.logged) <= len(view.Edges) {
		return
	}
	for name := range n.logged {
		if _, enrolled := view.Edge(name); !enrolled {
			delete(n.logged, name)
		}
	}
}

// notBefore is how long a receipt must wait until it may enter the log, 0 when
// it may now; under receiptMu.
func (n *Node) notBefore(view *state.View, r audit.Receipt) time.Duration {
	e, _ := view.Edge(r.Edge)
	l := n.noteLogged(e)
	left := receiptEvery - n.c.Clock().Sub(l.at)
	if left <= 0 || left > receiptEvery { // the latter: the clock was set back
		return 0
	}
	if l.receipt == nil {
		return left // sent, and not yet seen here
	}
	// An edge that has switched says so at once; one that names older states
	// again and again does not get further than the log does.
	if last, err := l.receipt.Receipt(); err == nil && r.Size > last.Size && forceAt(view, r.Size) != forceAt(view, last.Size) {
		return 0
	}
	return left
}

// forceAt is the digest of what was in force when the log had size leaves.
func forceAt(view *state.View, size uint64) [32]byte {
	if size == 0 {
		return [32]byte{}
	}
	b, err := view.Tree().Leaf(size - 1)
	if err != nil {
		return [32]byte{}
	}
	leaf, err := audit.DecodeLeaf(b)
	if err != nil {
		return [32]byte{}
	}
	return leaf.F
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
		n.receiptMu.Lock()
		n.noteAllLogged(n.fsm.view())
		n.receiptMu.Unlock()
		for n.sendBatch(ctx) {
		}
	}
}

// sendBatch proposes one batch and reports whether another may follow. What
// could not be decided stays queued, an edge's newest receipt each.
func (n *Node) sendBatch(ctx context.Context) bool {
	batch := n.batch()
	if len(batch) == 0 {
		return false
	}
	items := make([]audit.SignedReceipt, len(batch))
	for i, q := range batch {
		items[i] = q.signed
	}
	c := command.Command{Body: command.Receipts{Items: items}}
	_, err := command.Encode(c)
	undecidable := err != nil // bytes that are no command never will be
	var res state.Result
	if !undecidable {
		if res, err = n.Propose(ctx, c); err != nil {
			n.log.DebugContext(ctx, "receipts wait", slog.Int("count", len(items)), slog.Any("error", err))
			return false
		}
		err = res.Err
	}
	if err != nil {
		n.log.WarnContext(ctx, "receipts refused", slog.Int("count", len(items)), slog.Any("error", err))
	}
	n.receiptMu.Lock()
	defer n.receiptMu.Unlock()
	n.remove(batch)
	if undecidable || !res.Logged {
		n.receiptStatus.Dropped += uint64(len(items))
		return true // the next batch is empty when nothing is left
	}
	n.receiptStatus.Accepted += uint64(len(items))
	now := n.c.Clock()
	for _, q := range batch {
		l := n.logged[q.Edge]
		l.at = now
		n.logged[q.Edge] = l
	}
	return true // the next batch is empty when nothing is left
}

// batch picks queued receipts that may enter the log now, and drops those that
// never will: another member was quicker, or the edge is gone.
func (n *Node) batch() []queued {
	view := n.fsm.view()
	n.receiptMu.Lock()
	defer n.receiptMu.Unlock()
	var due, gone []queued
	size := 0
	for _, q := range n.queue {
		if size += len(q.signed.Body) + len(q.signed.Sig) + 32; len(due) == maxBatch || size > maxBatchBytes {
			break
		}
		if n.notBefore(view, q.Receipt) > 0 {
			continue
		}
		switch _, err := view.CheckReceipt(q.signed); {
		case err == nil:
			due = append(due, q)
		case state.Repeated(err): // it was logged though nobody said so
			gone = append(gone, q)
			n.receiptStatus.Accepted++
		default:
			gone = append(gone, q)
			n.receiptStatus.Dropped++
		}
	}
	n.remove(gone)
	return due
}

// remove takes these receipts, and not newer ones of the same edges, from the
// queue; under receiptMu.
func (n *Node) remove(batch []queued) {
	n.queue = slices.DeleteFunc(n.queue, func(q queued) bool {
		return slices.ContainsFunc(batch, func(o queued) bool { return o.Edge == q.Edge && o.Counter >= q.Counter })
	})
}
