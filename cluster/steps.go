package cluster

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"sync"

	"github.com/google/renameio/v2"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/listsync/brake"
	"github.com/cordon-project/cordon/resolver/match"
)

// steps remembers what the versions that this node judged really added, so that many small steps can be summed up. The log says only
// what hotlines signed about that. It is this node's own memory and no truth of the cluster: without it the node is milder, and a
// quorum of others is not.
type steps struct {
	path string
	log  *slog.Logger

	mu sync.Mutex // guards by
	by map[match.ListID][]step
}

// step is one judged version.
type step struct {
	Seq  uint64 `json:"seq"`
	Edge string `json:"edge"` // SHA-256 of its edge list, hex
	// Came: it was in force when the next one was judged. What was refused or held adds nothing.
	Came bool `json:"came"`
	brake.Step
}

const (
	stepsFile = "steps.json"
	// maxStepsKept bounds a list's steps: a version every half an hour for a week.
	maxStepsKept = 336
	// maxStepLists bounds the lists: more than any cluster has in force.
	maxStepLists = 2 * audit.MaxLists
)

func openSteps(path string, log *slog.Logger) *steps {
	s := &steps{path: path, log: log, by: map[match.ListID][]step{}}
	b, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(b, &s.by)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		log.Error("what earlier versions added is not known any more: the brake on many small steps begins anew", slog.Any("error", err))
		s.by = map[match.ListID][]step{}
	}
	return s
}

// recent are the steps of a hotline's lists that came into force: inForce says which ones have.
func (s *steps) recent(hotline string, inForce []audit.InForceList) []brake.Step {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []brake.Step
	for id, all := range s.by {
		if id.Hotline() != hotline {
			continue
		}
		for i := range all {
			one := &all[i]
			one.Came = one.Came || slices.ContainsFunc(inForce, func(l audit.InForceList) bool {
				return l.List == id && l.Seq == one.Seq && one.Edge == hex.EncodeToString(l.Edge[:])
			})
			if one.Came {
				out = append(out, one.Step)
			}
		}
	}
	return out
}

// note keeps what a version adds, in the place of what was noted about the same before.
func (s *steps) note(list match.ListID, seq uint64, edge [32]byte, made brake.Step) {
	s.mu.Lock()
	defer s.mu.Unlock()
	name := hex.EncodeToString(edge[:])
	all := slices.DeleteFunc(slices.Clone(s.by[list]), func(one step) bool {
		return one.Seq == seq && one.Edge == name || !one.Came && one.Seq < seq || made.At.Sub(one.At) > brake.Span
	})
	if all = append(all, step{Seq: seq, Edge: name, Step: made}); len(all) > maxStepsKept {
		all = all[len(all)-maxStepsKept:]
	}
	if _, known := s.by[list]; !known && len(s.by) >= maxStepLists {
		clear(s.by)
	}
	s.by[list] = all
	b, err := json.Marshal(s.by)
	if err == nil {
		err = renameio.WriteFile(s.path, append(b, '\n'), 0o600)
	}
	if err != nil {
		s.log.Error("what a version adds is not kept: after a restart the brake on many small steps begins anew", slog.Any("error", err))
	}
}
