package resolver

import (
	"net/netip"
	"testing"
)

// TestManyWhoFloodLeaveRoomForWhoAsksLittle: a bound for each client that is the same however many there are lets sixteen fill the room.
func TestManyWhoFloodLeaveRoomForWhoAsksLittle(t *testing.T) {
	for _, clients := range []int{1, 8, 16, 400, 2000} {
		f := newFair(4096)
		var slots []int
		for range 300 {
			for i := range clients {
				if slot, ok := f.enter(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)})); ok {
					slots = append(slots, slot)
				}
			}
		}
		got := 0
		for i := range 100 { // one after the other; some share a count with who floods, by chance
			if slot, ok := f.enter(netip.AddrFrom4([4]byte{192, 0, 2, byte(i)})); ok {
				got++
				f.leave(slot)
			}
		}
		if got < 60 {
			t.Errorf("%d clients take %d places and leave some for %d others of 100", clients, len(slots), got)
		}
		if len(slots) < min(300*clients, 2048) {
			t.Errorf("%d clients got only %d places", clients, len(slots))
		}
		for _, slot := range slots {
			f.leave(slot)
		}
	}
}
