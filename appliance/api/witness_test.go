package api

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/cordon-project/cordon/resolver/limit"
)

func TestAHouseholdAsksOnlySoOften(t *testing.T) {
	var a asks
	now := time.Unix(1780000000, 0)
	many := func(remote string) (n int) {
		for range 3 * askBurst {
			if a.take(remote, now) {
				n++
			}
		}
		return n
	}
	if n := many("192.0.2.1:1000"); n != askBurst {
		t.Errorf("%d at once, want %d", n, askBurst)
	}
	if n := many("192.0.2.1:2000"); n != 0 {
		t.Errorf("another port of the same address: %d", n)
	}
	if n := many("192.0.2.2:1000"); n != askBurst {
		t.Errorf("another address: %d", n)
	}
	if n := many("[2001:db8:0:1::1]:1000") + many("[2001:db8:0:ff::2]:1000"); n != askBurst {
		t.Errorf("two addresses of one IPv6 /56: %d", n)
	}
	now = now.Add(5 * time.Second)
	if n := many("192.0.2.1:1000"); n != 5*askRate {
		t.Errorf("%d after five seconds, want %d", n, 5*askRate)
	}
	now = now.Add(-time.Hour) // a clock that is put back gives nothing away
	if n := many("192.0.2.1:1000"); n != 0 {
		t.Errorf("%d with the clock put back", n)
	}
}

func TestStrangersAreForgottenAndBounded(t *testing.T) {
	var a asks
	now := time.Unix(1780000000, 0)
	for i := range 2 * maxHouses {
		a.take(fmt.Sprintf("10.%d.%d.1:1", i>>8, i&255), now)
	}
	if len(a.from) > maxHouses+1 {
		t.Errorf("%d households are remembered", len(a.from))
	}
	now = now.Add(time.Minute)
	if !a.take("192.0.2.1:1", now) || len(a.from) > 2 {
		t.Errorf("%d households are remembered after a minute", len(a.from))
	}
}

// A stranger who posts nonsense all day uses up his own room, and not that of a hotline; many strangers use up what this node can verify, and no more.
func TestAFloodOfStatementsLeavesRoomForOthers(t *testing.T) {
	now := time.Unix(1780000000, 0)
	s := &Server{clock: func() time.Time { return now }, posts: asks{burst: postBurst, rate: postRate}, all: bucket{burst: allBurst, rate: allRate}}
	many := func(remote string, n int) (taken int) {
		for range n {
			if s.mayPost(&http.Request{RemoteAddr: remote}) {
				taken++
			}
		}
		return taken
	}
	if n := many("192.0.2.1:1", 1000); n != postBurst {
		t.Errorf("%d of one household at once, want %d", n, postBurst)
	}
	if n := many("192.0.2.2:1", 1); n != 1 {
		t.Error("the hotline's own is not looked at")
	}
	all := 0
	for i := range 100 {
		all += many(fmt.Sprintf("198.51.100.%d:1", i), postBurst)
	}
	if all > allBurst {
		t.Errorf("%d of many households at once, at most %d", all, allBurst)
	}
}

func TestAHouseholdReadsOneBundleAtATime(t *testing.T) {
	r := readers{from: map[netip.Prefix]bool{}}
	leave, ok := r.enter("[2001:db8:0:1::1]:1000")
	if !ok {
		t.Fatal("the first is kept out")
	}
	if _, ok := r.enter("[2001:db8:0:ff::2]:1000"); ok {
		t.Error("a second address of one IPv6 /56 takes a second place")
	}
	if _, ok := r.enter("192.0.2.1:1000"); !ok {
		t.Error("another household is kept out")
	}
	leave()
	if _, ok := r.enter("[2001:db8:0:ff::2]:1000"); !ok {
		t.Error("after the first has left")
	}
}

func TestStrangersLeaveAfterTheirAnswerWhenPlacesAreFew(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{guests: limit.New(4, 4)}
	room := s.guests.Listener(ln)
	defer room.Close()
	answer := func() string {
		w := httptest.NewRecorder()
		s.handle(func(http.ResponseWriter, *http.Request, caller) error { return nil }).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/healthz", nil))
		return w.Header().Get("Connection")
	}
	for n := range 3 {
		if got := answer(); got != "" {
			t.Errorf("with %d of 4 connections: %q", n, got)
		}
		c, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		guest, err := room.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer guest.Close()
	}
	if got := answer(); got != "close" {
		t.Errorf("with 3 of 4 connections: %q, want close", got)
	}
}

// taking is an answer whose reader takes so long for each write, and fails when its deadline is over as a connection does.
type taking struct {
	http.ResponseWriter
	now   time.Time
	each  time.Duration
	until time.Time
}

func (t *taking) SetWriteDeadline(at time.Time) error { t.until = at; return nil }

func (t *taking) Write(b []byte) (int, error) {
	if t.now = t.now.Add(t.each); t.now.After(t.until) {
		return 0, os.ErrDeadlineExceeded
	}
	return len(b), nil
}

func TestAReaderOfABundleKeepsAPace(t *testing.T) {
	for _, x := range []struct {
		name string
		each time.Duration // for 32 KiB
		n    int           // of a gigabyte's 32,768 writes
	}{{"fast", time.Millisecond, 32768}, {"slow, but on the move", 1900 * time.Millisecond, 32768}, {"in drops", 29 * time.Second, 2}, {"not at all", time.Minute, 0}} {
		w := &taking{now: time.Unix(1780000000, 0), each: x.each}
		m := &movingDeadline{w: w, control: http.NewResponseController(w), patience: readerPatience, now: func() time.Time { return w.now }}
		n := 0
		for b := make([]byte, 32<<10); n < 32768; n++ {
			if _, err := m.Write(b); err != nil {
				break
			}
		}
		if n != x.n {
			t.Errorf("%s: %d writes, want %d", x.name, n, x.n)
		}
	}
}
