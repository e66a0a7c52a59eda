package serve

import (
	"crypto/tls"
	"net"
	"time"

	"github.com/cordon-project/cordon/resolver/limit"
)

// handshakes are those of TLS over TCP that are under way.
//
// One that comes when there are as many as may be takes the place of another (limit.Places): the oldest of the household that has most. So who
// begins them by the hundred and ends none shuts nobody out who needs less time than that takes; and a stalled one has nothing to lose.
//
// Of those that compute, not of those that wait for their client, as many have their turn as there are processors for half of the work: a flood of
// handshakes, a third of a millisecond each, must not take the processors from those who read UDP (docs/decisions has figures).
type handshakes struct {
	places *limit.Places
	turns  chan struct{} // taken
}

func newHandshakes(all, perHousehold int) handshakes {
	return handshakes{limit.NewPlaces(all, perHousehold), make(chan struct{}, max(processors/2, 1))}
}

// handshake makes an encrypted connection of a plain one, or nothing: when it has to give way, or the client does not do its part in time.
func (s *Server) handshake(l *listener, g *guest) *tls.Conn {
	counts := &s.counts.by[l.via]
	t := &turn{guest: g, turns: s.handshakes.turns, gone: make(chan struct{})}
	var ok bool
	if t.place, ok = s.handshakes.places.Enter(g.client, func() {
		counts.yielded.Add(1)
		close(t.gone)
		_ = g.Conn.Close()
	}); !ok {
		counts.crowded.Add(1)
		return nil
	}
	_ = g.SetDeadline(time.Now().Add(s.config.Handshake))
	if s.draining.Load() {
		t.place.Leave()
		return nil
	}
	c := tls.Server(t, s.secure.config(l.via))
	err := c.Handshake()
	t.end()
	switch kept := t.place.Leave(); {
	case s.draining.Load() || !kept:
		return nil
	case err != nil:
		counts.handshakes.Add(1)
		return nil
	}
	_ = g.SetDeadline(time.Time{})
	if s.draining.Load() { // Run may have set its own deadline in between
		return nil
	}
	return c
}

// turn is a connection whose handshake computes while it has a turn, and gives it to others while it waits for its client. While it computes it does
// not give way: it is nearly done.
type turn struct {
	*guest
	turns chan struct{} // nil when the handshake is over
	place *limit.Place
	gone  chan struct{} // closed when it gives way
	has   bool          // a turn
}

func (t *turn) take() error {
	if t.place.Gone() {
		return net.ErrClosed
	}
	select {
	case t.turns <- struct{}{}:
		t.has = true
		t.place.Begin()
		return nil
	case <-t.gone:
		return net.ErrClosed
	}
}

func (t *turn) give() {
	if t.has {
		t.place.End(time.Now())
		<-t.turns
		t.has = false
	}
}

// end is called once, before others use the connection.
func (t *turn) end() {
	t.give()
	t.turns = nil
}

// Read has the turn begin with what has come: a handshake does nothing before.
func (t *turn) Read(b []byte) (int, error) {
	if t.turns == nil {
		return t.guest.Read(b)
	}
	t.give()
	n, err := t.guest.Read(b)
	if err == nil {
		err = t.take()
	}
	return n, err
}
