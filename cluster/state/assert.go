package state

import (
	"crypto/sha256"
	"fmt"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/command"
)

// assert holds this replica to what a quorum of members has cosigned. The
// quorum's signatures are in the command: without them a leader that computes
// something else could stop all the others.
func (s *State) assert(t int64, c command.Assert) Result {
	cp, _, _, err := s.quorum.Open(c.Checkpoint)
	if err != nil || cp.Size != c.Size || cp.Root != [32]byte(c.Root) {
		return s.reject(t, audit.Reject{Object: sha256.Sum256(c.Checkpoint), Stage: "apply", Reason: ReasonCheckpoint})
	}
	own, err := s.tree.RootAt(cp.Size)
	switch {
	case err != nil:
		return s.halt(fmt.Errorf("%w: it has %d leaves, this replica %d", ErrDiverged, cp.Size, s.tree.Size()))
	case own != cp.Root:
		return s.halt(fmt.Errorf("%w: at size %d", ErrDiverged, cp.Size))
	}
	return Result{}
}
