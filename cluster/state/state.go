// Package state applies commands: the pure heart of a control node. The same
// commands in the same order give the same bytes on every machine. Apply uses
// the time inside the command, the cluster file and what it applied before;
// no clock, disk, network, randomness or map order.
package state

import "errors"

var (
	// ErrHalted: the state has met a command it does not know or has proof
	// that it differs from the quorum; it applies nothing any more.
	ErrHalted = errors.New("state has stopped applying")
	// ErrDiverged: a quorum-cosigned checkpoint names another root.
	ErrDiverged = errors.New("own log differs from the quorum's")
	// ErrSnapshot: a snapshot that is malformed, of another cluster, or
	// claims what its own leaves do not prove.
	ErrSnapshot = errors.New("snapshot refused")
)

// Result is what became of one command.
type Result struct {
	Leaf      uint64 // number of the last leaf appended; valid when Logged
	Logged    bool   // a leaf was appended
	Duplicate bool   // already so: nothing was appended, nothing is wrong
	Err       error  // *Refusal when refused, ErrHalted when the state has stopped
}

// Refusal says that a command was well-formed and is not accepted.
type Refusal struct {
	Reason string // stable word, also in the reject leaf
	Detail string // for people
}

func (r *Refusal) Error() string {
	if r.Detail == "" {
		return "refused: " + r.Reason
	}
	return "refused: " + r.Reason + ": " + r.Detail
}
