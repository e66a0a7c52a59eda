package cache

// add puts e in place of the entry with its key, or into a free slot, or in place of the least useful entry of its
// bucket; then evicts until the shard keeps to its bytes. Only one writer works on a shard at a time. most is how many
// seconds a failure is remembered.
func (c *Cache) add(e *Entry, most uint32) {
	at := e.hash & c.mask
	s := &c.shards[at%uint64(len(c.shards))]
	s.mu.Lock()
	defer s.mu.Unlock()
	b := &c.buckets[at]
	i, same := b.place(e)
	old := b.slots[i].Load()
	if same && e.message == 0 && !e.follows(old, most) {
		return
	}
	if old != nil {
		s.bytes -= old.cost()
		s.count--
	}
	// The tag first: a reader that sees the new tag with the old entry compares keys and moves on. There is never nothing where a key has an entry.
	b.tags[i].Store(uint32(e.hash >> 32))
	b.slots[i].Store(e)
	s.bytes += e.cost()
	s.count++
	for s.bytes > c.limit {
		c.evict(s, at%uint64(len(c.shards)), e)
	}
}

// forget drops what has this key. Names that are never kept cost no lock here, as there is nothing of theirs to be found.
func (c *Cache) forget(h uint64, key []byte) {
	at, tag := h&c.mask, uint32(h>>32)
	b := &c.buckets[at]
	for i := range b.tags {
		if b.tags[i].Load() != tag {
			continue
		}
		s := &c.shards[at%uint64(len(c.shards))]
		s.mu.Lock()
		if old := b.slots[i].Load(); old != nil && old.hash == h && string(old.key()) == string(key) {
			s.drop(b, i)
		}
		s.mu.Unlock()
	}
}

// place chooses the slot for e, and says whether its key is there already. Only entries of e's tag are looked at while there is a free one: each
// look is a line of memory to wait for.
func (b *bucket) place(e *Entry) (slot int, same bool) {
	free, victim, tag := -1, -1, uint32(e.hash>>32)
	for i := range b.slots {
		switch old := b.slots[i].Load(); {
		case old == nil:
			free = i
		case b.tags[i].Load() == tag && old.hash == e.hash && string(old.key()) == string(e.key()):
			return i, true
		}
	}
	if free >= 0 {
		return free, false
	}
	for i := range b.slots {
		if old := b.slots[i].Load(); old.expired(e.stored) || victim < 0 && old.tired() {
			victim = i
		}
	}
	if victim >= 0 {
		return victim, false
	}
	return int(e.hash>>29) % ways, false // all in use: any one will do
}

// drop empties a slot.
func (s *shard) drop(b *bucket, i int) {
	if old := b.slots[i].Swap(nil); old != nil {
		s.bytes -= old.cost()
		s.count--
	}
}

// evict moves the hand over one bucket of the shard: expired and unused entries go, used ones lose a round. keep is the
// entry just inserted. Some rounds of the hand free everything else, so the caller's loop ends.
func (c *Cache) evict(s *shard, index uint64, keep *Entry) {
	at := uint64(s.hand)*uint64(len(c.shards)) + index
	if at > c.mask {
		s.hand, at = 0, index
	}
	s.hand++
	b := &c.buckets[at]
	for i := range b.slots {
		e := b.slots[i].Load()
		if e != nil && e != keep && (e.expired(keep.stored) || e.tired()) {
			s.drop(b, i)
		}
	}
}

// tired takes a round from an entry; true when it has none left. So a flood of names that are asked once must fill the cache some times over
// between two questions for a name before it is forgotten.
func (e *Entry) tired() bool {
	n := e.used.Load()
	if n > 0 {
		e.used.Store(n - 1)
	}
	return n == 0
}
