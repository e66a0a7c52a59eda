package cluster

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/raft"

	"github.com/cordon-project/cordon/cluster/audit/strict"
	"github.com/cordon-project/cordon/cluster/command"
	"github.com/cordon-project/cordon/cluster/state"
	"github.com/cordon-project/cordon/listsync/trust"
)

// Propose has a command agreed and applied, through the leader wherever it
// is. The command's time is the leader's, and no other's. An error means that
// nothing is known to be decided: ErrNoLeader (the command may still be
// applied later; every command may be repeated), ErrSkew (this node leads with
// a clock that no quorum confirms, and nobody took over in time) or ErrHalted.
// What was decided, a refusal too, is in the Result.
func (n *Node) Propose(ctx context.Context, c command.Command) (state.Result, error) {
	if err := n.fsm.view().Halted; err != nil {
		return state.Result{}, fmt.Errorf("propose: %w: %w", ErrHalted, err)
	}
	ctx, cancel := context.WithTimeout(ctx, n.c.Timeouts.Apply)
	defer cancel()
	var last error
	for {
		changed := n.LeaderChanged()
		res, err := n.try(ctx, c)
		switch {
		case err == nil:
			return res, nil
		case !errors.Is(err, ErrNoLeader) && !errors.Is(err, ErrSkew):
			return state.Result{}, err
		case last == nil || ctx.Err() == nil:
			last = err
		}
		pause := time.NewTimer(retryPause)
		select {
		case <-ctx.Done():
			pause.Stop()
			return state.Result{}, fmt.Errorf("propose: %w", last)
		case <-changed:
		case <-pause.C:
		}
		pause.Stop()
	}
}

// retryPause spaces the tries at a leader that cannot be reached.
const retryPause = 200 * time.Millisecond

func (n *Node) try(ctx context.Context, c command.Command) (state.Result, error) {
	_, leader := n.raft.LeaderWithID()
	if leader == raft.ServerID(n.c.Name) || n.raft.State() == raft.Leader {
		return n.apply(ctx, c)
	}
	if leader == "" {
		return state.Result{}, ErrNoLeader
	}
	c.Time = 0 // the leader's business
	b, err := command.Encode(c)
	if err != nil {
		return state.Result{}, err
	}
	out, err := n.c.Peers.Forward(ctx, string(leader), b)
	if err != nil {
		return state.Result{}, fmt.Errorf("forward to %s: %w: %w", leader, ErrNoLeader, err)
	}
	return decodeResult(out)
}

// apply is the leader's part.
func (n *Node) apply(ctx context.Context, c command.Command) (state.Result, error) {
	var err error
	if c.Time, err = n.stamp(ctx); err != nil {
		return state.Result{}, err
	}
	b, err := command.Encode(c)
	if err != nil {
		return state.Result{}, err
	}
	timeout := n.c.Timeouts.Apply
	if end, ok := ctx.Deadline(); ok {
		timeout = min(timeout, max(time.Until(end), time.Millisecond))
	}
	future := n.raft.Apply(b, timeout)
	done := make(chan error, 1)
	go func() { done <- future.Error() }() // ends with the entry or with Raft
	select {
	case err = <-done:
	case <-ctx.Done():
		return state.Result{}, fmt.Errorf("%w: no quorum in time", ErrNoLeader)
	}
	if err != nil {
		return state.Result{}, fmt.Errorf("%w: %w", ErrNoLeader, err)
	}
	res, ok := future.Response().(state.Result)
	if !ok {
		return state.Result{}, fmt.Errorf("%w: entry has no result", ErrNoLeader)
	}
	if errors.Is(res.Err, state.ErrHalted) {
		return state.Result{}, fmt.Errorf("%w: %w", ErrHalted, res.Err)
	}
	return res, nil
}

// Forwarded answers Peers.Forward: the encoded command of another member, on
// the leader. Only a caller proved to be a control node may reach it. On any
// other node it is ErrNoLeader: a command is forwarded once. Bytes that are no
// command are command.ErrFormat, ErrUnknown or ErrTooLarge, on any node.
func (n *Node) Forwarded(ctx context.Context, cmd []byte) ([]byte, error) {
	c, err := command.Decode(cmd)
	if err != nil {
		return nil, fmt.Errorf("forwarded command: %w", err)
	}
	if n.raft.State() != raft.Leader {
		return nil, fmt.Errorf("forwarded command: %w here", ErrNoLeader)
	}
	if err := n.fsm.view().Halted; err != nil {
		return nil, fmt.Errorf("forwarded command: %w: %w", ErrHalted, err)
	}
	ctx, cancel := context.WithTimeout(ctx, n.c.Timeouts.Apply)
	defer cancel()
	res, err := n.apply(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("forwarded command: %w", err)
	}
	return encodeResult(res)
}

// Withdraw proposes an officer's signed withdrawal statement. An error is
// ErrRefused with *state.Refusal, or nothing was decided; see Propose. A
// statement that was accepted before is no error.
func (n *Node) Withdraw(ctx context.Context, statement []byte) error {
	res, err := n.Propose(ctx, command.Command{Body: command.Withdraw{Statement: statement}})
	if err != nil {
		return fmt.Errorf("withdraw: %w", err)
	}
	return refused("withdraw", res)
}

// Open proposes a hotline's signed statement that it showed entries to a reviewer, as Withdraw does.
func (n *Node) Open(ctx context.Context, statement []byte) error {
	res, err := n.Propose(ctx, command.Command{Body: command.Open{Statement: statement}})
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	return refused("open", res)
}

// Fork proposes evidence that a hotline's public log has signed two histories, as Withdraw does.
func (n *Node) Fork(ctx context.Context, h trust.HotlineID, vkey string, first, second []byte) error {
	res, err := n.Propose(ctx, command.Command{Body: command.Fork{Hotline: string(h), Log: vkey, First: first, Second: second, Node: n.c.Name}})
	if err != nil {
		return fmt.Errorf("fork: %w", err)
	}
	return refused("fork", res)
}

// Refuse has a refusal recorded that was found before anything was proposed.
// Node and, when empty, Stage are filled in.
func (n *Node) Refuse(ctx context.Context, r command.Reject) error {
	r.Node = n.c.Name
	if r.Stage == "" {
		r.Stage = "fetch"
	}
	r.Detail = plainText(r.Detail)
	res, err := n.Propose(ctx, command.Command{Body: r})
	if err != nil {
		return fmt.Errorf("record refusal: %w", err)
	}
	return refused("record refusal", res)
}

// refused turns a decision against a command into an error.
func refused(what string, res state.Result) error {
	if res.Err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w: %w", what, ErrRefused, res.Err)
}

// plainText keeps what a command's text may hold.
func plainText(s string) string {
	b := []byte(s[:min(len(s), command.MaxDetail)])
	for i, c := range b {
		if c < 0x20 || c > 0x7e {
			b[i] = '?'
		}
	}
	return string(b)
}

// wireResult is a Result on its way back from the leader.
type wireResult struct {
	Leaf      uint64 `cbor:"leaf"`
	Logged    bool   `cbor:"logged"`
	Duplicate bool   `cbor:"duplicate"`
	Reason    string `cbor:"reason"`
	Detail    string `cbor:"detail"`
}

const maxResult = 4 << 10

func encodeResult(r state.Result) ([]byte, error) {
	w := wireResult{Leaf: r.Leaf, Logged: r.Logged, Duplicate: r.Duplicate}
	var refusal *state.Refusal
	if errors.As(r.Err, &refusal) {
		w.Reason, w.Detail = refusal.Reason, refusal.Detail
	} else if r.Err != nil {
		return nil, r.Err
	}
	b, err := encMode.Marshal(w)
	if err != nil {
		return nil, fmt.Errorf("encode result: %w", err)
	}
	return b, nil
}

func decodeResult(b []byte) (state.Result, error) {
	var w wireResult
	if err := strictDecode(b, maxResult, &w); err != nil {
		return state.Result{}, fmt.Errorf("decode result: %w: %w", ErrNoLeader, err)
	}
	r := state.Result{Leaf: w.Leaf, Logged: w.Logged, Duplicate: w.Duplicate}
	if w.Reason != "" {
		r.Err = &state.Refusal{Reason: w.Reason, Detail: w.Detail}
	}
	return r, nil
}

var (
	encMode = strict.Encoding
	decMode = strict.Decoding(strict.Options(4096, 64))
)

var errFormat = errors.New("malformed")

// strictDecode reads the one encoding of v.
func strictDecode(b []byte, limit int, v any) error {
	if len(b) > limit {
		return fmt.Errorf("%d bytes, at most %d: %w", len(b), limit, errFormat)
	}
	if err := decMode.Unmarshal(b, v); err != nil {
		return fmt.Errorf("%w: %v", errFormat, err)
	}
	again, err := encMode.Marshal(v)
	if err != nil || string(again) != string(b) {
		return fmt.Errorf("not the canonical encoding: %w", errFormat)
	}
	return nil
}
