package resolver

import (
	"hash/maphash"
	"net/netip"
	"sync/atomic"
)

// fair keeps some clients from taking all the room there is for questions that wait for an upstream. While less than half of it is taken everybody
// may take more; beyond, a client (an IPv4 address, an IPv6 /56) may hold an eighth of what is free: a sixteenth of all at first, and the less the
// more clients there are who want so much. So who floods with unique names, be it one or a thousand, leaves room for who asks little. Nothing of a client is kept but a count while its questions wait, in a table of fixed size under a random hash.
type fair struct {
	seed  maphash.Seed
	room  int32
	taken atomic.Int32
	held  [fairSlots]atomic.Int32
}

const (
	fairSlots   = 1 << 14 // two clients share a count by chance one time in as many
	fairPart    = 8
	defaultRoom = 4096
)

func newFair(room int) *fair {
	if room <= 0 {
		room = defaultRoom
	}
	return &fair{seed: maphash.MakeSeed(), room: int32(room)}
}

// enter takes a place, to be given back with leave(slot); false when there is none for this client.
func (f *fair) enter(a netip.Addr) (slot int, ok bool) {
	b := a.As16()
	client := b[:7]
	if a.Is4() {
		client = b[12:]
	}
	slot = int(maphash.Bytes(f.seed, client) % fairSlots)
	taken, held := f.taken.Add(1), f.held[slot].Add(1)
	if taken > f.room || taken > f.room/2 && held > max(1, (f.room-taken)/fairPart) {
		f.leave(slot)
		return 0, false
	}
	return slot, true
}

func (f *fair) leave(slot int) {
	f.held[slot].Add(-1)
	f.taken.Add(-1)
}
