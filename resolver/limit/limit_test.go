package limit

import (
	"net"
	"net/netip"
	"testing"
)

func TestGuestsAreForgottenWhenTheyLeave(t *testing.T) {
	const all = 4096
	g := New(all, 64)
	house := household(&net.TCPAddr{IP: net.ParseIP("2001:db8:1:2ff::1"), Zone: "x"})
	if want := netip.MustParsePrefix("2001:db8:1:200::/56"); house != want {
		t.Errorf("household %v, want %v", house, want)
	}
	for i := range all {
		if !g.enter(netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), 32)) {
			t.Fatalf("guest %d turned away", i)
		}
	}
	if g.enter(house) {
		t.Errorf("guest %d let in", all+1)
	}
	for i := range all {
		g.leave(netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), 32))
	}
	if g.all != 0 || len(g.from) != 0 {
		t.Errorf("%d guests and %d households remembered", g.all, len(g.from))
	}
}

// TestHalfOfAFairLimitIsForThoseWhoTakeLittle: one household fills half, and a second one does not fill the rest.
func TestHalfOfAFairLimitIsForThoseWhoTakeLittle(t *testing.T) {
	g := Fair(64)
	took := func(house string) (n int) {
		for {
			leave, ok := g.Enter(netip.MustParseAddr(house))
			if !ok {
				return n
			}
			n++
			if house == "192.0.2.3" {
				leave()
				return n
			}
		}
	}
	for _, tt := range []struct {
		house string
		want  int
	}{{"192.0.2.1", 32}, {"2001:db8::1", 4}, {"2001:db8::2", 0}, {"192.0.2.2", 4}, {"192.0.2.3", 1}} {
		if got := took(tt.house); got != tt.want {
			t.Errorf("%s took %d places, want %d", tt.house, got, tt.want)
		}
	}
	if n := g.Taken(); n != 40 {
		t.Errorf("%d taken, want 40", n)
	}
}
