package guard

import (
	"math"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/cordon-project/cordon/resolver/prefetch"
)

// tick is a time in units of 1.024 µs. 40 bits of it are kept, 13 days, and compared modulo that.
func tick(at time.Duration) uint64 { return uint64(at) >> 10 }

const (
	second   = int64(time.Second) >> 10
	timeBits = 40
	timeMask = 1<<timeBits - 1

	watchedBit = 1 << timeBits
	tagShift   = timeBits + 1
	tagMask    = 1<<(64-tagShift) - 1

	ways = 8       // slots of a set: one cache line
	sets = 1 << 14 // 131,072 slots in 1 MiB: what a core's cache can hold. At the default rates a slot is even again after a millisecond

	// longest is the most that a question costs its client, however slowed down: 24 a day. It keeps every time in use far from where the
	// clock comes round, too.
	longest = 3600 * second
	horizon = 8 * longest
)

// rate is a generic cell rate algorithm: each question moves the time at which its client is even by cost, and passes while that time is at
// most ahead in the future.
type rate struct{ cost, ahead int64 }

// newRate is n a second, slowed down to an eighth level times over; cost 0 for no limit.
func newRate(n, level int) rate {
	if n <= 0 {
		return rate{}
	}
	slower := math.Pow(8, float64(level))
	cost := min(longest, int64(float64(second)/float64(n)*slower))
	allowed := max(4, int64(burst*float64(n)/slower)) // at least 4: A, AAAA and HTTPS of one name
	return rate{cost: cost, ahead: cost * (allowed - 1)}
}

// buckets is a table of times at which clients are even. A slot is a tag, a watched bit and the time; one that is even is as good as empty.
// All slots of a client are in one set, whatever is counted: one cache line a question. Slots change by compare-and-swap alone.
type buckets struct {
	slots [sets][ways]atomic.Uint64
}

// tag tells one count from the others of its set, which other bits of the client's hash have chosen. A client has that of another one by
// chance: one in a million, in a full set.
func tag(client uint64, kind int) uint64 { return (client>>32 ^ uint64(kind)*0x1d4f35) & tagMask }

// owed is how far in the future the time of a slot is; what cannot be is a time from before the clock came round.
func owed(slot, now uint64) int64 {
	if d := int64((slot-now)<<(64-timeBits)) >> (64 - timeBits); d > 0 && d <= horizon {
		return d
	}
	return 0
}

// ahead asks for the line of a client.
func (b *buckets) ahead(client uint64) { prefetch.Line(unsafe.Pointer(&b.slots[client%sets])) }

// take counts one of a kind for a client; ok is false when it is above r, and then nothing is counted. With watch, a client that is new here,
// or marked, is only reported: watched is true, and nothing counted.
func (b *buckets) take(client uint64, kind int, now uint64, r *rate, watch bool) (ok, watched bool) {
	set, want := &b.slots[client%sets], tag(client, kind)
	for range 4 {
		at := want % ways // where find begins, and mostly ends
		slot := set[at].Load()
		found := slot>>tagShift == want && slot != 0
		if !found {
			at, slot, found = find(set, want, now)
		}
		if watch && (!found || slot&watchedBit != 0) {
			return false, true
		}
		next := want << tagShift
		debt := int64(0)
		if found {
			next |= slot & watchedBit
			if debt = owed(slot, now); debt > r.ahead+r.cost { // of a time when it was slowed down
				debt = 0
			}
		}
		if debt > r.ahead {
			return false, false
		}
		next |= (now + uint64(debt+r.cost)) & timeMask
		if set[at].CompareAndSwap(slot, next) {
			return true, false
		}
	}
	return true, false // others count for this client, or for its neighbours, at this very moment: it passes
}

// find is the slot with a tag, or else one that is even, or else the one whose client owes least. It begins at the place that the tag says: there
// it finds most at once, and a full set forgets any of its slots and not always the first.
func find(set *[ways]atomic.Uint64, want, now uint64) (at, slot uint64, found bool) {
	for i := range uint64(ways) {
		at = (want + i) % ways
		if slot = set[at].Load(); slot>>tagShift == want && slot != 0 {
			return at, slot, true
		}
	}
	least := int64(math.MaxInt64)
	for i := range uint64(ways) {
		i = (want + i) % ways
		v := set[i].Load()
		d := owed(v, now)
		if d == 0 {
			return i, v, false
		}
		if d < least {
			at, slot, least = i, v, d
		}
	}
	return at, slot, false
}

// mark sets or clears the watched bit of a client, where it has a slot.
func (b *buckets) mark(client uint64, on bool) {
	set := &b.slots[client%sets]
	for range 4 {
		at, slot, found := find(set, tag(client, questions), 0)
		next := slot &^ watchedBit
		if on {
			next |= watchedBit
		}
		if !found || next == slot || set[at].CompareAndSwap(slot, next) {
			return
		}
	}
}
