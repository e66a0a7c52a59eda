package listsync

import (
	"crypto/sha256"
	"errors"
	"slices"
	"sync"
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

// memory is what a poll remembers of earlier ones, by the hash of what was offered. A slow repository's goroutine may use it beside the next
// one's.
type memory struct {
	clock func() time.Time

	mu       sync.Mutex // guards what follows
	refused  map[[32]byte]verdict
	recorded map[[32]byte]bool // objects whose refusal is in the log
	waiting  map[[32]byte]int  // polls for which news was seen while another node leads
	spent    []time.Time       // when forged statements were recorded, of late
}

type verdict struct {
	err   error
	until time.Time
}

func newMemory(clock func() time.Time) *memory {
	return &memory{clock: clock, refused: map[[32]byte]verdict{}, recorded: map[[32]byte]bool{}, waiting: map[[32]byte]int{}}
}

// standing is the refusal of an object that still holds, or nil.
func (m *memory) standing(hash [32]byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	v, ok := m.refused[hash]
	if !ok || m.clock().After(v.until) {
		return nil
	}
	return v.err
}

// keep remembers err when it is a decision; after any other error the next poll tries again.
func (m *memory) keep(hash [32]byte, err error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
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
	m.mu.Lock()
	defer m.mu.Unlock()
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

// known reports whether the object's refusal (or agreement) is in the log already.
func (m *memory) known(object [32]byte) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.recorded[object]
}

// note remembers that it is. When the memory is full it is forgotten: the cluster does not log the same refusal twice.
func (m *memory) note(object [32]byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.recorded) >= memoryMax {
		clear(m.recorded)
	}
	m.recorded[object] = true
}

// forgeries bounds how many forged statements have the log say so in an hour: whoever can forge one can forge a thousand.
const forgeries = 16

// mayRecord takes one of them.
func (m *memory) mayRecord() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.clock()
	m.spent = slices.DeleteFunc(m.spent, func(at time.Time) bool { return now.Sub(at) >= time.Hour })
	if len(m.spent) >= forgeries {
		return false
	}
	m.spent = append(m.spent, now)
	return true
}

func hashOf(b []byte) [32]byte { return sha256.Sum256(b) }
