package transport

import (
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"
)

// from is a connection that comes from an address and notes its end.
type from struct {
	net.Conn
	addr   string
	closed bool
}

func (f *from) RemoteAddr() net.Addr {
	return net.TCPAddrFromAddrPort(netip.MustParseAddrPort(f.addr))
}
func (f *from) Close() error { f.closed = true; return nil }

func TestOneStrangersAddressTakesOnlyItsOwnPlaces(t *testing.T) {
	g := newGate(map[string]string{"b": "192.0.2.2:1000", "c": "control-3.example:1000"})
	now := time.Now()
	enter := func(addr string) *from {
		t.Helper()
		c := &from{addr: addr}
		if guest, wait := g.admit(c, now); guest == nil {
			t.Fatalf("%s waits %s", addr, wait)
		}
		return c
	}
	other := enter("198.51.100.7:1")
	var flood []*from
	for i := range 1000 {
		flood = append(flood, enter(fmt.Sprintf("[2001:db8::%x]:1", i+1)))
	}
	open := 0
	for _, c := range flood {
		if !c.closed {
			open++
		}
	}
	if open != perSource || flood[len(flood)-1].closed || other.closed {
		t.Errorf("%d of one /64 are open, the last closed %t, another's closed %t; want %d, false, false", open, flood[len(flood)-1].closed, other.closed, perSource)
	}
	for i := range 1000 {
		enter(fmt.Sprintf("203.0.113.%d:1", i%256))
	}
	if n := len(g.guests); n != strangersGate {
		t.Errorf("%d strangers are in, want %d", n, strangersGate)
	}
	// Members have their own places, by configuration or by having been met.
	g.met("c", "from ", &from{addr: "[::ffff:192.0.2.3]:1000"})
	for _, addr := range []string{"192.0.2.2:5", "192.0.2.3:5"} {
		c := enter(addr)
		for i := range 1000 {
			enter(fmt.Sprintf("203.0.113.%d:2", i%256))
		}
		if c.closed {
			t.Errorf("strangers pushed out member %s", addr)
		}
	}
}

func TestWhoSaysNothingMakesRoomBeforeWhoSpoke(t *testing.T) {
	g := newGate(map[string]string{"b": "127.0.0.1:1000"})
	start := time.Now()
	spoken := &from{addr: "127.0.0.1:1"}
	guest, _ := g.admit(spoken, start)
	guest.spoke.Store(true)
	var silent []*from
	for range membersGate - 1 {
		c := &from{addr: "127.0.0.1:1"}
		if got, _ := g.admit(c, start); got == nil {
			t.Fatal("an empty gate lets nobody in")
		}
		silent = append(silent, c)
	}
	next := &from{addr: "127.0.0.1:1"}
	if got, wait := g.admit(next, start.Add(silentTime/2)); got != nil || wait != silentTime/2 {
		t.Errorf("full of young connections: %v, waits %s; want %s", got, wait, silentTime/2)
	}
	if got, _ := g.admit(next, start.Add(silentTime)); got == nil || !silent[0].closed || silent[1].closed || spoken.closed {
		t.Errorf("after %s: let in %t, oldest silent one closed %t, the next %t, the one that spoke %t; want true true false false",
			silentTime, got != nil, silent[0].closed, silent[1].closed, spoken.closed)
	}
	for _, g := range g.guests {
		g.spoke.Store(true)
	}
	if got, wait := g.admit(&from{addr: "127.0.0.1:1"}, start.Add(silentTime)); got != nil || wait != spokenTime-silentTime {
		t.Errorf("full of connections that spoke: %v, waits %s; want %s", got, wait, spokenTime-silentTime)
	}
	if got, _ := g.admit(&from{addr: "127.0.0.1:1"}, start.Add(spokenTime)); got == nil || !spoken.closed {
		t.Error("the oldest that spoke does not make room in the end")
	}
}
