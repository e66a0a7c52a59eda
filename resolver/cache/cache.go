// Package cache keeps packed answers, each stamped by the resolver with what cleared it.
//
// In come answers that wire.Scan accepted, keyed by lower-case name, type, class, DO and CD; out come Entries to be
// copied into a reply. It promises: no lock and no allocation to find one, a bound in bytes over all entries, an answer
// never older than its TTL (RFC 1035), negative answers no older than their SOA allows (RFC 2308). It does not know
// whether a name is listed: an entry is served only while its Stamp says that the set in force has cleared it.
package cache

import (
	"hash/maphash"
	"math/bits"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/cordon-project/cordon/resolver/prefetch"
	"github.com/cordon-project/cordon/resolver/wire"
)

const (
	ways       = 8   // slots of a bucket; their tags share a cache line
	perSlot    = 128 // bytes of cache for each slot: a typical entry takes twice as much, so slots do not run out first
	minBuckets = 64
	maxShards  = 64
	rounds     = 3         // of the eviction's hand that an answer stays after a hit; one that nobody asked for again goes in the first
	maxAnswer  = 16 << 10  // larger answers are rare and not worth the room
	minBytes   = 256 << 10 // below this the bound would be smaller than a shard's largest entries
)

// Config bounds a cache. The zero value means the defaults.
type Config struct {
	Bytes       int64  // all entries with their overhead; default 64 MiB, at least 256 KiB
	MaxTTL      uint32 // seconds; longer TTLs are lowered, in the answers too; default 86400
	MaxStale    uint32 // seconds behind its life in which Stale gives an entry; 0: none
	MaxNegative uint32 // seconds, for negative answers; default 3600 (RFC 2308 5 suggests one to three hours)
}

// Cache is a set-associative table. Readers follow one atomic pointer; writers of one shard take turns. All methods
// may be called concurrently.
type Cache struct {
	config  Config
	seed    maphash.Seed // random per process, so that nobody can aim names at one bucket
	mask    uint64
	buckets []bucket
	shards  []shard
	limit   int64 // bytes a shard
}

type bucket struct {
	tags  [ways]atomic.Uint32 // upper hash bits, a hint only: the entry's own key decides
	slots [ways]atomic.Pointer[Entry]
}

type shard struct {
	mu    sync.Mutex // guards bytes, count, hand and the writes to this shard's buckets
	bytes int64
	count int64
	hand  int // next bucket of this shard that the eviction looks at
	_     [32]byte
}

// New makes an empty cache.
func New(c Config) *Cache {
	if c.Bytes == 0 {
		c.Bytes = 64 << 20
	}
	if c.MaxTTL == 0 {
		c.MaxTTL = 86400
	}
	if c.MaxNegative == 0 {
		c.MaxNegative = 3600
	}
	c.Bytes = max(c.Bytes, minBytes)
	n := max(minBuckets, 1<<bits.Len64(uint64(c.Bytes/perSlot/ways-1)))
	shards := 1
	for shards < maxShards && c.Bytes/int64(2*shards) >= 8*maxAnswer {
		shards *= 2
	}
	return &Cache{
		config: c, seed: maphash.MakeSeed(), mask: uint64(n - 1),
		buckets: make([]bucket, n), shards: make([]shard, shards), limit: c.Bytes / int64(shards),
	}
}

// Get finds the live entry for a key (wire.Query.Key), nil when there is none. now is the caller's clock in seconds, the
// same one as for Put.
//
// Hot path: no allocation, no lock, see TestGetDoesNotAllocate.
func (c *Cache) Get(key []byte, now uint32) *Entry { return c.Find(c.Hash(key), key, now) }

// Hash is what Find wants besides the key.
func (c *Cache) Hash(key []byte) uint64 { return maphash.Bytes(c.seed, key) }

// Find is Get with the key's Hash. Whoever has many keys calls Ahead for all of them, then Likely, then Entry.Ahead, then Find, and so waits for
// memory once a step and not once a key.
//
// Hot path: no allocation, no lock, see TestGetDoesNotAllocate.
func (c *Cache) Find(h uint64, key []byte, now uint32) *Entry {
	b, tag := &c.buckets[h&c.mask], uint32(h>>32)
	for i := range b.tags {
		if b.tags[i].Load() != tag {
			continue
		}
		e := b.slots[i].Load()
		if e == nil || e.hash != h || string(e.key()) != string(key) {
			continue
		}
		if e.expired(now) {
			return nil
		}
		if e.used.Load() != rounds {
			e.used.Store(rounds) // only when needed: a hot entry's line stays shared between cores
		}
		return e
	}
	return nil
}

// Stale finds an entry whose life is over for no longer than Config.MaxStale (RFC 8767): for who finds no better. It may be gone at any time, as
// what has expired makes room first. Failures are not given.
func (c *Cache) Stale(h uint64, key []byte, now uint32) *Entry {
	if c.config.MaxStale == 0 {
		return nil
	}
	b, tag := &c.buckets[h&c.mask], uint32(h>>32)
	for i := range b.tags {
		if b.tags[i].Load() != tag {
			continue
		}
		e := b.slots[i].Load()
		if e == nil || e.hash != h || string(e.key()) != string(key) {
			continue
		}
		if life := e.expires - e.stored; e.message > 0 && now-e.stored >= life && uint64(now-e.stored) < uint64(life)+uint64(c.config.MaxStale) {
			return e
		}
		return nil
	}
	return nil
}

// Ahead asks for the memory that Likely will read.
func (c *Cache) Ahead(h uint64) {
	b := &c.buckets[h&c.mask]
	prefetch.Line(unsafe.Pointer(&b.tags))
	prefetch.Line(unsafe.Pointer(&b.slots[ways-1]))
}

// Likely is an entry that may be the key's, and asks for its memory; nil: Find finds nothing.
func (c *Cache) Likely(h uint64) *Entry {
	b, tag := &c.buckets[h&c.mask], uint32(h>>32)
	for i := range b.tags {
		if b.tags[i].Load() == tag {
			e := b.slots[i].Load()
			if e == nil {
				continue
			}
			e.front()
			return e
		}
	}
	return nil
}

// Put copies an answer (up to sum.Cut) in under key, for sum.Life seconds within the configured limits, and returns the
// entry, or nil when it may not be kept: no life, too large. An entry with the same key is replaced.
func (c *Cache) Put(key, msg []byte, sum *wire.Summary, stamp uint64, now uint32) *Entry {
	return c.Keep(c.Hash(key), key, msg, sum, stamp, now)
}

// Keep is Put with the key's Hash.
func (c *Cache) Keep(h uint64, key, msg []byte, sum *wire.Summary, stamp uint64, now uint32) *Entry {
	life, limit := sum.Life, c.config.MaxTTL
	if sum.Negative {
		limit = min(limit, c.config.MaxNegative)
	}
	life = min(life, limit)
	if life == 0 || sum.Cut > maxAnswer {
		c.forget(h, key) // or what is older would be served stale
		return nil
	}
	e := NewEntry(key, msg, sum, limit, now)
	e.hash, e.expires = h, now+life
	e.stamp.Store(stamp)
	c.add(e, 0)
	return e
}

// How many seconds a failure is remembered at least and at most. RFC 9520 3.2 wants one second at least, five minutes at most; but then a name
// would be away for that long after its servers are back, and RFC 8767 5 has them asked again after half a minute anyway.
const (
	FirstFailure = 1
	LastFailure  = 30
)

// PutFailure remembers that nobody could answer, and with which Extended DNS Error (RFC 9520): a dead upstream is not asked again for every repeat
// of a question. The first time it does so for FirstFailure seconds; when the question is asked again soon and fails again, for twice as long as
// the time before, up to most, which is LastFailure or less. What is alive under the key stays.
func (c *Cache) PutFailure(h uint64, key []byte, ede uint16, most, now uint32) {
	e := newFailure(key, ede, now)
	e.hash = h
	e.fail(FirstFailure)
	c.add(e, most)
}

// Len is the number of entries, expired ones included until their room is needed.
func (c *Cache) Len() int {
	n, _ := c.total()
	return int(n)
}

// Bytes is the room all entries take, never more than Config.Bytes.
func (c *Cache) Bytes() int64 {
	_, b := c.total()
	return b
}

func (c *Cache) total() (n, b int64) {
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		n, b = n+s.count, b+s.bytes
		s.mu.Unlock()
	}
	return n, b
}
