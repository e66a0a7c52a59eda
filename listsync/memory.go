package listsync

import (
	"crypto/sha256"
	"errors"
	"time"
)

const (
	// patience is how many polls a node that does not lead waits before it proposes what the leader has not.
	patience = 3
	// retryRefused is after what time something refused is offered to the cluster once more: a wrong clock may have been set right.
	retryRefused = 10 * time.Minute
	// retryLater is the same for what time alone will change.
	retryLater = time.Minute
	// memoryMax bounds each map; when one is full it is forgotten, which costs a command the cluster knows already.
	memoryMax = 256
)

// memory is what a poll remembers of earlier ones, by the hash of what was offered. It is owned by one goroutine.
type memory struct {
	clock    func() time.Time
	refused  map[[32]byte]verdict
	recorded map[[32]byte]bool // objects whose refusal is in the log
	waiting  map[[32]byte]int  // polls for which news was seen while another node leads
}

type verdict struct {
	err   error
	until time.Time
}

func newMemory(clock func() time.Time) memory {
	return memory{clock: clock, refused: map[[32]byte]verdict{}, recorded: map[[32]byte]bool{}, waiting: map[[32]byte]int{}}
}

// standing is the refusal of an object that still holds, or nil.
func (m *memory) standing(hash [32]byte) error {
	v, ok := m.refused[hash]
	if !ok || m.clock().After(v.until) {
		return nil
	}
	return v.err
}

// keep remembers err when it is a decision; after any other error the next poll tries again.
func (m *memory) keep(hash [32]byte, err error) error {
	for sentinel, wait := range map[error]time.Duration{ErrRefused: retryRefused, ErrLater: retryLater} {
		if errors.Is(err, sentinel) {
			if len(m.refused) >= memoryMax {
				clear(m.refused)
			}
			m.refused[hash] = verdict{err, m.clock().Add(wait)}
		}
	}
	return err
}

// myTurn is true at once on the leader; elsewhere after patience polls in which the news stayed undecided.
func (m *memory) myTurn(hash [32]byte, leading bool) bool {
	if leading {
		delete(m.waiting, hash)
		return true
	}
	if len(m.waiting) >= memoryMax {
		clear(m.waiting)
	}
	m.waiting[hash]++
	return m.waiting[hash] > patience
}

func hashOf(b []byte) [32]byte { return sha256.Sum256(b) }
