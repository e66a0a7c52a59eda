package limit

import (
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"
)

// street is places whose connections have names: what gave way is kept in order.
type street struct {
	*Places
	t    *testing.T
	gone []string
	has  map[string]*Place
}

func newStreet(t *testing.T, all, each int) *street {
	return &street{Places: NewPlaces(all, each), t: t, has: map[string]*Place{}}
}

// enter lets connection number n of a household in; false when it found no room.
func (s *street) enter(house, n int) bool {
	s.t.Helper()
	name := fmt.Sprintf("%d.%d", house, n)
	p, ok := s.Enter(netip.AddrFrom4([4]byte{192, 0, 2, byte(house)}), func() { s.gone = append(s.gone, name) })
	if ok {
		s.has[name] = p
	}
	return ok
}

func (s *street) wants(gone ...string) {
	s.t.Helper()
	if !slices.Equal(s.gone, gone) {
		s.t.Errorf("%v gave way, want %v", s.gone, gone)
	}
	s.gone = nil
}

func TestWhoRestsLongestGivesWay(t *testing.T) {
	s := newStreet(t, 4, 4)
	for n := range 4 {
		s.enter(1, n)
	}
	s.has["1.0"].Begin()
	s.has["1.1"].Begin()
	s.has["1.1"].End(time.Now()) // rests since just now
	if !s.enter(2, 0) {
		t.Error("a newcomer is shut out")
	}
	s.wants("1.2")
	if !s.has["1.2"].Gone() || s.has["1.3"].Gone() {
		t.Error("not those are gone that gave way")
	}
	s.enter(3, 0)
	s.wants("1.3")
	if s.has["1.2"].Leave(); s.Taken() != 4 {
		t.Errorf("%d places taken after who had given way left, want 4", s.Taken())
	}
}

func TestWhoHasMostGivesWayAndNobodyToWhoHasAsMany(t *testing.T) {
	s := newStreet(t, 6, 4)
	s.enter(1, 0) // rests longest
	for n := range 2 {
		s.enter(2, n)
	}
	for n := range 3 {
		s.enter(3, n)
	}
	s.enter(4, 0)
	s.wants("3.0")
	s.enter(4, 1) // one has it: those with two give way
	if len(s.gone) != 1 || s.gone[0] != "2.0" && s.gone[0] != "3.1" {
		t.Errorf("%v gave way", s.gone)
	}
	s.gone = nil
	// Now 1 of one, 2 of the fourth, and 3 of the second and third together: nobody has more than the fourth's own.
	s.enter(4, 2)
	s.wants("4.0")
	s.has["4.1"].Begin()
	s.has["4.2"].Begin()
	if s.enter(4, 3) {
		t.Errorf("%v gave way to one who has as much in use", s.gone)
	}
	s.wants()
}

func TestAHouseholdsOwnGivesWayWhenItHasAllItMayHave(t *testing.T) {
	s := newStreet(t, 100, 2)
	s.enter(1, 0)
	s.enter(2, 0)
	s.enter(2, 1)
	if !s.enter(2, 2) {
		t.Error("a newcomer is shut out while its own household rests")
	}
	s.wants("2.0")
	s.has["2.1"].Begin()
	s.has["2.2"].Begin()
	if s.enter(2, 3) {
		t.Error("a household has more than it may")
	}
	s.wants()
}

// TestManyHouseholdsCannotShutOutAnybody: whatever they do at rest, and whatever sizes they have, one who has nothing is let in, and those who have
// little keep it.
func TestManyHouseholdsCannotShutOutAnybody(t *testing.T) {
	const all, each = 4096, 128
	g := NewPlaces(all, each)
	little := 0
	for house := range 31 {
		for range each {
			g.Enter(netip.AddrFrom4([4]byte{10, 0, 0, byte(house)}), func() {})
		}
	}
	for i := range 64 {
		g.Enter(netip.AddrFrom4([4]byte{10, 0, 1, byte(i)}), func() { little++ })
	}
	for i := range 2048 {
		if _, ok := g.Enter(netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)}), func() { little++ }); !ok {
			t.Fatalf("newcomer %d is shut out", i)
		}
	}
	if little != 0 {
		t.Errorf("%d of those who have one connection gave way while others had many", little)
	}
	if g.Taken() != all {
		t.Errorf("%d taken, want %d", g.Taken(), all)
	}
	most := 0
	for _, h := range g.from {
		most = max(most, len(h.places))
	}
	if share := (all - 64 - 2048) / 31; most > share+8 { // which of a sample has most is not always who has most of all
		t.Errorf("a household still has %d, an equal share is %d", most, share)
	}
}

func TestPlacesAreForgotten(t *testing.T) {
	g := NewPlaces(64, 8)
	var all []*Place
	var mu sync.Mutex
	var work sync.WaitGroup
	for house := range 32 { // all at once, for the race detector
		work.Go(func() {
			for range 16 {
				p, ok := g.Enter(netip.AddrFrom4([4]byte{192, 0, 2, byte(house)}), func() {})
				if !ok {
					continue
				}
				p.Begin()
				p.End(time.Now())
				mu.Lock()
				all = append(all, p)
				mu.Unlock()
			}
		})
	}
	work.Wait()
	if g.Taken() != 64 {
		t.Errorf("%d taken, want all", g.Taken())
	}
	for _, p := range all {
		p.Leave()
		p.Leave()
	}
	if g.all != 0 || len(g.from) != 0 {
		t.Errorf("%d connections and %d households remembered", g.all, len(g.from))
	}
	for n, houses := range g.size {
		if len(houses) != 0 {
			t.Errorf("%d households of size %d", len(houses), n)
		}
	}
}

// BenchmarkANewcomerWhenAllPlacesAreTaken: by 32 households that rest, by 4096, and by 32 that do not.
func BenchmarkANewcomerWhenAllPlacesAreTaken(b *testing.B) {
	for _, tt := range []struct {
		name         string
		houses, busy int
	}{{"of few", 32, 0}, {"of many", 4096, 0}, {"in use", 32, 1}} {
		b.Run(tt.name, func(b *testing.B) {
			g := NewPlaces(4096, 128)
			for i := range 4096 {
				p, _ := g.Enter(netip.AddrFrom4([4]byte{10, 0, byte(i % tt.houses >> 8), byte(i % tt.houses)}), func() {})
				for range tt.busy {
					p.Begin()
				}
			}
			i := uint32(0)
			for b.Loop() {
				i++
				if p, ok := g.Enter(netip.AddrFrom4([4]byte{11, byte(i >> 16), byte(i >> 8), byte(i)}), func() {}); ok && tt.houses == 32 {
					p.Leave()
					g.Enter(netip.AddrFrom4([4]byte{10, 0, 0, byte(i % 32)}), func() {})
				}
			}
		})
	}
}
