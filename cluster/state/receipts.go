package state

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"slices"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/command"
)

// receipts records what edges signed. Each one is verified here; bad ones are
// dropped into a refusal, and the good ones of the same command stay good.
// They are the first to go when the log fills up, without a leaf that says so.
func (s *State) receipts(t int64, c command.Receipts) Result {
	if s.filled() >= ReceiptsUntil {
		s.refused++
		return Result{Err: &Refusal{Reason: ReasonLogFull, Detail: errFull.Error()}}
	}
	var good []audit.SignedReceipt
	last := map[string]audit.Receipt{} // looked up, never ranged over
	var bad *audit.Reject
	same := 0
	for _, item := range c.Items {
		r, err := s.CheckReceipt(item)
		if err == nil {
			err = follows(last[r.Edge], r)
		}
		switch {
		case err == nil:
			last[r.Edge] = r
			good = append(good, item)
		case errors.Is(err, errRepeated):
			same++
		case bad == nil:
			bad = &audit.Reject{
				Object: sha256.Sum256(item.Encode()), Stage: "apply", Reason: ReasonReceipt, Detail: receiptDetail(err),
			}
		}
	}
	var res Result
	if len(good) > 0 {
		var err error
		if res, err = s.append(t, audit.Receipts{Items: good}); err != nil {
			bad = &audit.Reject{Object: sha256.Sum256(encode(c)), Stage: "apply", Reason: leafReason(err)}
		}
	}
	if bad != nil {
		refused := s.reject(t, *bad)
		if len(good) > 0 && res.Logged {
			return Result{Leaf: max(res.Leaf, refused.Leaf), Logged: true, Err: refused.Err}
		}
		return refused
	}
	res.Duplicate = len(good) == 0 && same > 0
	return res
}

var (
	errRepeated = errors.New("receipt is the edge's last one again")
	errStale    = errors.New("counter is not higher than the edge's last")
	errShorter  = errors.New("log is shorter than that of the edge's last")
	errEnrolled = errors.New("edge is not enrolled")
	errFuture   = errors.New("size is beyond the log")
	errOther    = errors.New("receipt is of another cluster")
	errRoot     = errors.New("root is not the log's at that size")
	errFull     = errors.New("the log has no room for receipts any more")
)

// Repeated reports whether CheckReceipt's error says that nothing is wrong:
// the edge has sent its last receipt again.
func Repeated(err error) bool { return errors.Is(err, errRepeated) }

// receiptDetail is fixed text: see reject.
func receiptDetail(err error) string {
	for _, known := range []error{errStale, errShorter, errEnrolled, errFuture, errOther, errRoot, audit.ErrSignature} {
		if errors.Is(err, known) {
			return known.Error()
		}
	}
	return "malformed"
}

// CheckReceipt says whether a receipt would be accepted now: of this cluster,
// signed by an enrolled edge's key, with a counter above its last one, about a
// log that this one continues and that has room for it. It is for the State's
// owner.
func (s *State) CheckReceipt(item audit.SignedReceipt) (audit.Receipt, error) {
	if s.filled() >= ReceiptsUntil {
		return audit.Receipt{}, errFull
	}
	return checkReceipt(s.id, s.edges, s.tree, s.tree.Size(), item)
}

func checkReceipt(cluster string, edges []Edge, tree *audit.Tree, size uint64, item audit.SignedReceipt) (audit.Receipt, error) {
	r, err := item.Receipt()
	if err != nil {
		return r, err
	}
	if r.Cluster != cluster {
		return r, errOther
	}
	i, ok := findEdge(edges, r.Edge)
	if !ok {
		return r, errEnrolled
	}
	e := edges[i]
	if _, err := audit.VerifyReceipt(item, e.Key); err != nil {
		return r, err
	}
	if e.Receipt != nil && bytes.Equal(e.Receipt.Body, item.Body) {
		return r, errRepeated
	}
	if err := follows(audit.Receipt{Counter: e.Counter, Size: e.Size}, r); err != nil {
		return r, err
	}
	if r.Size > size {
		return r, errFuture
	}
	root, err := tree.RootAt(r.Size)
	if err != nil {
		return r, errFuture
	}
	if root != r.Root {
		return r, errRoot
	}
	return r, nil
}

// follows says what is wrong with a receipt after the edge's last one: an auditor takes either for a lie of the edge's.
func follows(last, r audit.Receipt) error {
	switch {
	case r.Counter <= last.Counter:
		return errStale
	case r.Size < last.Size:
		return errShorter
	}
	return nil
}

func (s *State) enterReceipts(b audit.Receipts) {
	edges := slices.Clone(s.edges)
	for _, item := range b.Items {
		r, err := item.Receipt()
		if err != nil {
			continue // the leaf's own check has read it
		}
		if i, ok := findEdge(edges, r.Edge); ok {
			edges[i].Counter, edges[i].Size, edges[i].Receipt = r.Counter, r.Size, &item
		}
	}
	s.edges = edges
}
