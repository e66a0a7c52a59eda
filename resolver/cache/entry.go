package cache

import (
	"sync/atomic"
	"unsafe"

	"github.com/cordon-project/cordon/resolver/prefetch"
	"github.com/cordon-project/cordon/resolver/wire"
)

// Entry is one cached answer. All but its stamp and its use mark is immutable; a reader may keep it as long as it likes.
//
// It is the head of one piece of memory that holds no pointer: behind it lie the offsets of the TTL fields, the key and the message. So a
// look-up follows one pointer, and the collector, which must visit every entry, reads none of them: it takes a third of the time that three pieces
// an entry took (BenchmarkCollecting).
type Entry struct {
	hash    uint64
	stamp   atomic.Uint64
	stored  uint32 // clock second of Put
	expires uint32
	held    atomic.Uint32 // clock second until which it is served stale
	used    atomic.Uint32 // rounds of the eviction's hand left: set by hits
	message uint32        // bytes; 0: a failure
	ttls    uint16        // how many
	keys    uint16        // bytes of the key
	ede     uint16        // of a failure
	due     atomic.Uint32 // 1: somebody was told that it is
}

const (
	headSize = unsafe.Sizeof(Entry{})

	slotShare = 24 // bytes of a bucket for each of its slots, as buckets are half full
)

// newEntry makes room. No field of it is set but the sizes.
func newEntry(key, message, ttls int) *Entry {
	words := make([]uint64, (int(headSize)+2*ttls+key+message+7)/8)
	e := (*Entry)(unsafe.Pointer(unsafe.SliceData(words)))
	e.message, e.ttls, e.keys = uint32(message), uint16(ttls), uint16(key)
	return e
}

// NewEntry packs an answer into an entry that is in no cache, for writing one reply with it.
func NewEntry(key, msg []byte, sum *wire.Summary, maxTTL, now uint32) *Entry {
	e := newEntry(len(key), sum.Cut, len(sum.TTLs))
	e.stored = now
	copy(e.TTLs(), sum.TTLs)
	copy(e.key(), key)
	copy(e.Message(), msg)
	wire.Trim(e.Message(), sum.Cut)
	if sum.Negative && sum.Life > 0 {
		maxTTL = min(maxTTL, sum.Life) // RFC 2308 5: the SOA goes out with the TTL the negative answer has
	}
	wire.ClampTTLs(e.Message(), e.TTLs(), maxTTL)
	return e
}

// newFailure is an entry without a message.
func newFailure(key []byte, ede uint16, now uint32) *Entry {
	e := newEntry(len(key), 0, 0)
	e.stored, e.ede = now, ede
	copy(e.key(), key)
	return e
}

// fail sets how long a failure is remembered. The clock is in whole seconds, of which the first may be nearly over.
func (e *Entry) fail(seconds uint32) { e.expires = e.stored + seconds + 1 }

// follows makes a failure the next behind what has its key; false when that is better.
func (e *Entry) follows(old *Entry, most uint32) bool {
	switch {
	case !old.expired(e.stored):
		return false
	case old.message == 0 && e.stored-old.expires < LastFailure:
		e.fail(min(2*(old.expires-old.stored-1), most))
	}
	return true
}

// TTLs are the offsets of its TTL fields. Read only.
func (e *Entry) TTLs() []uint16 {
	if e.ttls == 0 {
		return nil
	}
	return unsafe.Slice((*uint16)(unsafe.Add(unsafe.Pointer(e), headSize)), e.ttls)
}

func (e *Entry) key() []byte { return e.bytes(2*int(e.ttls), int(e.keys)) }

// Message is the packed answer: header, question (name in lower case), answer, authority. Read only.
func (e *Entry) Message() []byte { return e.bytes(2*int(e.ttls)+int(e.keys), int(e.message)) }

func (e *Entry) bytes(at, n int) []byte {
	if n == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Add(unsafe.Pointer(e), int(headSize)+at)), n)
}

func (e *Entry) size() int { return int(headSize) + 2*int(e.ttls) + int(e.keys) + int(e.message) }

// cost is the room an entry takes: the allocator rounds up by an eighth at most.
func (e *Entry) cost() int64 { return int64(e.size() + e.size()/8 + slotShare) }

// Failure reports whether this remembers a failure, with its Extended DNS Error; it has no message then.
func (e *Entry) Failure() (ede uint16, failed bool) { return e.ede, e.message == 0 }

// Age is how many seconds the entry has been kept.
func (e *Entry) Age(now uint32) uint32 { return now - e.stored }

// Stamp is what SetStamp last set: the resolver's mark of the set that cleared this answer, 0 for none.
func (e *Entry) Stamp() uint64 { return e.stamp.Load() }

// SetStamp marks the answer as cleared.
func (e *Entry) SetStamp(s uint64) { e.stamp.Store(s) }

// Due reports, once in an entry's life, that a tenth of it is left: time to ask for the next. Answers of less than ten seconds are not worth it.
func (e *Entry) Due(now uint32) bool {
	life := e.expires - e.stored
	return (now-e.stored) >= life-life/10 && life >= 10 && e.message > 0 && e.due.CompareAndSwap(0, 1)
}

// Hold has the entry served stale until a clock second without asking anybody.
func (e *Entry) Hold(until uint32) { e.held.Store(until) }

// Held reports whether Hold's time is not over.
func (e *Entry) Held(now uint32) bool { return now < e.held.Load() }

// expired treats a clock that went backwards as an end too.
func (e *Entry) expired(now uint32) bool { return now-e.stored >= e.expires-e.stored }

// frontSize is how much of an entry is asked for before its size is known: a small one whole.
const frontSize = 3 * prefetch.Size

func (e *Entry) front() { prefetch.Span(unsafe.Pointer(e), frontSize) }

// Ahead asks for the memory of the rest of an entry, up to what a datagram holds.
func (e *Entry) Ahead() {
	if n := min(e.size(), wire.MaxUDP) - frontSize; n > 0 {
		prefetch.Span(unsafe.Add(unsafe.Pointer(e), frontSize), n)
	}
}
