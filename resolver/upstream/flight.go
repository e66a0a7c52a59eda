package upstream

import (
	"context"
	"errors"
	"hash/maphash"
	"sync"
	"time"

	"github.com/cordon-project/cordon/resolver/wire"
)

// tick is how exact times of flights are.
const tick = 10 * time.Millisecond

// shard holds a part of the questions in flight, by a keyed hash of the question: so identical ones meet, and cores rarely wait for each other.
type shard struct {
	pool *Pool
	wake chan struct{} // there is a flight again: cap 1

	mu      sync.Mutex // guards the rest, and the flights, attempts and sockets of the shard
	table   []*flight  // by hash; its length is a power of two
	flights []*flight
	free    []*flight // to be used again
	servers []share   // sockets of each of the pool's servers
	out     outbox
	now     time.Time // when the first of out came
	random  random
	closed  bool
}

// flight is one question that somebody waits for.
type flight struct {
	shard   *shard
	hash    uint64
	chain   *flight // another question in the same place of the table
	at      int     // in shard.flights
	q       wire.Question
	name    [wire.MaxName]byte // of q
	waiters []waiter
	plan    []uint8 // servers in the order of this question
	next    int     // of plan, twice around
	tries   [2]attempt
	began   time.Time
	second  []byte // a reply that says it failed
	err     error
	turn    uint32 // changes when the flight has landed: what comes later is of no use

	lone  bool          // no flight, but one that left it
	reply []byte        // of a flight that has landed
	sum   *wire.Summary // of reply; nil: nobody has it
}

// attempt is one query to one server.
type attempt struct {
	flight *flight
	server *server // nil: there is none
	socket *socket // nil: over TCP
	id     uint16
	serial uint32 // changes when it is dropped: what a connection says later is of no use
	sent   time.Time
	end    time.Time
	hedge  time.Time // when a second server is asked; zero: never
	fresh  bool      // it was sent again, with a cookie that the server had just given
	bare   bool      // it was sent again, without EDNS
	cased  []byte    // the name as it was sent
	name   [wire.MaxName]byte
}

// Ask asks q. done is called once, from any goroutine, also before Ask returns; it must not block and holds up others that wait for answers. The
// reply is what Exchange would return, and may be read until done returns. When ctx ends first done gets its error soon after.
func (p *Pool) Ask(ctx context.Context, q wire.Question, done func(reply []byte, err error)) {
	if s := p.queue(ctx, q, told(done)); s != nil {
		s.flush()
	}
}

// Queue is Ask, but nothing need be sent before Flush: questions that come together leave together.
func (p *Pool) Queue(ctx context.Context, q wire.Question, w Waiter) { p.queue(ctx, q, w) }

// Flush sends what Queue has put off.
func (p *Pool) Flush() {
	for _, s := range p.shards {
		s.flush()
	}
}

// queue gives the shard that has something to send.
func (p *Pool) queue(ctx context.Context, q wire.Question, w Waiter) *shard {
	if err := ctx.Err(); err != nil {
		w.Told(nil, nil, err)
		w.Flush()
		return nil
	}
	bits := byte(0)
	if q.DO {
		bits |= 1
	}
	if q.CD {
		bits |= 2
	}
	var key [wire.MaxName + 5]byte // two that differ in the client's subnet alone meet, and find tells them apart
	n := copy(key[:], q.Name)
	n += copy(key[n:], []byte{byte(q.Type >> 8), byte(q.Type), byte(q.Class >> 8), byte(q.Class), bits})
	h := maphash.Bytes(p.seed, key[:n])
	s := p.shards[h%uint64(len(p.shards))]

	var lands landed
	s.mu.Lock()
	switch f := s.find(h, q); {
	case f != nil:
		f.waiters = append(f.waiters, waiter{ctx, w})
	case s.closed || !p.enter():
		p.counts.busy.Add(1)
		s.mu.Unlock()
		w.Told(nil, nil, ErrBusy)
		w.Flush()
		return nil
	default:
		now := s.now // of all that leave together
		if len(s.out.letters) == 0 {
			now = time.Now()
		}
		s.forward(s.start(h, q, waiter{ctx, w}, now), now, &lands)
	}
	s.mu.Unlock()
	lands.tell()
	return s
}

func (p *Pool) enter() bool {
	if p.flights.Add(1) > int64(p.config.InFlight) {
		p.flights.Add(-1)
		return false
	}
	return true
}

func (s *shard) place(h uint64) **flight { return &s.table[(h>>32)&uint64(len(s.table)-1)] }

func (s *shard) find(h uint64, q wire.Question) *flight {
	for f := *s.place(h); f != nil; f = f.chain {
		if f.hash == h && f.q.Type == q.Type && f.q.Class == q.Class && f.q.DO == q.DO && f.q.CD == q.CD && f.q.Subnet == q.Subnet && string(f.q.Name) == string(q.Name) {
			return f
		}
	}
	return nil
}

// start makes the flight. Hot path: no allocation when there is a free one.
func (s *shard) start(h uint64, q wire.Question, w waiter, now time.Time) *flight {
	s.pool.counts.questions.Add(1)
	var f *flight
	if n := len(s.free); n > 0 {
		f, s.free = s.free[n-1], s.free[:n-1]
	} else {
		f = &flight{shard: s}
		f.tries[0].flight, f.tries[1].flight = f, f
	}
	place := s.place(h)
	f.hash, f.chain, f.at = h, *place, len(s.flights)
	f.q = q
	f.q.Name = f.name[:copy(f.name[:], q.Name)]
	f.waiters = append(f.waiters[:0], w)
	f.plan, f.next = s.pool.order(f.plan[:0]), 0
	f.began, f.second, f.err = now, nil, ErrNetwork
	*place = f
	if s.flights = append(s.flights, f); len(s.flights) == 1 {
		select {
		case s.wake <- struct{}{}:
		default:
		}
	}
	return f
}

// forward asks the next server, or lands.
func (s *shard) forward(f *flight, now time.Time, lands *landed) {
	total := f.began.Add(s.pool.config.Total)
	for f.next < 2*len(f.plan) && (f.next < len(f.plan) || f.second == nil) && now.Before(total) && !s.closed && s.pool.config.Ready() {
		to := f.plan[f.next%len(f.plan)]
		f.next++
		a := &f.tries[0]
		if a.server != nil {
			a = &f.tries[1]
		}
		end := now.Add(s.pool.config.Attempt)
		if end.After(total) {
			end = total
		}
		a.fresh, a.bare = false, false
		if s.query(a, int(to), now, end) {
			return
		}
		s.pool.servers[to].failed(s.pool.config.Clock())
		s.pool.servers[to].counts.failures.Add(1)
	}
	if f.tries[0].server != nil || f.tries[1].server != nil {
		return // another one is still being asked
	}
	s.land(f, f.second, nil, f.err, lands)
}

// query sends the question to one server. Errors of the network show when the answer is read.
func (s *shard) query(a *attempt, to int, now, end time.Time) bool {
	server := s.pool.servers[to]
	if server.tls != nil {
		server.counts.asked.Add(1)
		a.server, a.socket, a.sent, a.end, a.hedge = server, nil, now, end, time.Time{}
		a.cased = a.name[:copy(a.name[:], a.flight.q.Name)]
		s.connect(a)
		return true
	}
	k := s.socket(to, now)
	if k == nil {
		return false
	}
	server.counts.asked.Add(1)
	a.server, a.socket, a.sent, a.end, a.hedge = server, k, now, end, time.Time{}
	if len(a.flight.plan) > 1 {
		if wait := server.patience(); wait > 0 && now.Add(wait).Before(end) {
			a.hedge = now.Add(wait)
		}
	}
	a.id = k.id(&s.random)
	k.pending[a.id] = a
	a.cased = a.name[:copy(a.name[:], a.flight.q.Name)]
	if !server.noCase.Load() {
		s.random.mix(a.cased)
	}
	q := a.flight.q
	q.Name = a.cased
	if len(s.out.letters) == 0 {
		s.now = now // whoever puts something off next to it goes by this
	}
	s.out.add(k, q, a.id, a.bare || s.pool.bare(server))
	return true
}

// drop forgets an attempt. A reply that still comes is known as a late one.
func (a *attempt) drop() {
	if a.socket != nil {
		a.socket.pending[a.id] = nil
		a.socket.waiting--
		a.socket.rest()
	}
	a.server, a.socket = nil, nil
	a.serial++
}

// fail counts an attempt without a usable reply and goes on to the next server.
func (s *shard) fail(a *attempt, err error, lands *landed) {
	f := a.flight
	a.server.failed(s.pool.config.Clock())
	a.server.counts.failures.Add(1)
	if errors.Is(err, ErrNoAnswer) {
		f.err = ErrNoAnswer
	}
	a.drop()
	s.forward(f, time.Now(), lands)
}

// land gives the waiters what they waited for. reply and sum must be whole until they are told.
func (s *shard) land(f *flight, reply []byte, sum *wire.Summary, err error, lands *landed) {
	if reply != nil {
		err = nil
	}
	for i := range f.tries {
		if f.tries[i].server != nil {
			f.tries[i].drop()
		}
	}
	f.reply, f.sum, f.err, f.second = reply, sum, err, nil
	f.turn++
	last := len(s.flights) - 1
	s.flights[f.at] = s.flights[last]
	s.flights[f.at].at = f.at
	s.flights[last] = nil
	s.flights = s.flights[:last]
	at := s.place(f.hash)
	for *at != f {
		at = &(*at).chain
	}
	*at, f.chain = f.chain, nil
	s.pool.flights.Add(-1)
	*lands = append(*lands, f)
}

// run looks at the clock for as long as there are flights.
func (s *shard) run() {
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	ticker.Stop()
	for {
		select {
		case <-s.pool.life.Done():
			return
		case <-s.wake:
		}
		ticker.Reset(tick)
		for on := true; on; {
			select {
			case <-s.pool.life.Done():
				return
			case <-ticker.C:
			}
			on = s.look(time.Now())
		}
		ticker.Stop()
	}
}

// look ends attempts whose time is up, asks second servers, and lets waiters go whose context ended. The table is bounded by Config.InFlight: to
// read all of it every 10 ms costs less than keeping it in order.
func (s *shard) look(now time.Time) (on bool) {
	var lands landed
	s.mu.Lock()
	others := len(s.out.letters) // which whoever has put them off sends
	for i := len(s.flights) - 1; i >= 0; i-- {
		if i >= len(s.flights) {
			continue
		}
		f := s.flights[i]
		f.leave(&lands)
		turn := f.turn
		for t := range f.tries {
			if a := &f.tries[t]; f.turn == turn && a.server != nil && !now.Before(a.end) {
				a.server.counts.timeouts.Add(1)
				s.fail(a, ErrNoAnswer, &lands)
			}
		}
		if a := &f.tries[0]; f.turn == turn && a.server != nil && !a.hedge.IsZero() && !now.Before(a.hedge) && f.tries[1].server == nil {
			a.hedge = time.Time{}
			if f.next < len(f.plan) && s.pool.mayHedge() {
				s.pool.counts.hedges.Add(1)
				a.server.counts.hedged.Add(1)
				s.forward(f, now, &lands)
			}
		}
	}
	on = len(s.flights) > 0
	more := len(s.out.letters) > others
	s.mu.Unlock()
	if more {
		s.flush()
	}
	lands.tell()
	return on
}

// leave takes the waiters out whose context ended. The flight goes on for the others, and for the cache of whoever asks next.
func (f *flight) leave(lands *landed) {
	kept := f.waiters[:0]
	for _, w := range f.waiters {
		if err := w.ctx.Err(); err != nil {
			*lands = append(*lands, &flight{shard: f.shard, lone: true, waiters: []waiter{w}, err: err})
			continue
		}
		kept = append(kept, w)
	}
	clear(f.waiters[len(kept):])
	f.waiters = kept
}

// end lands all flights: the pool is closed.
func (s *shard) end() {
	var lands landed
	s.mu.Lock()
	s.closed = true
	for len(s.flights) > 0 {
		s.land(s.flights[0], nil, nil, ErrNetwork, &lands)
	}
	for i := range s.servers {
		for _, k := range s.servers[i].open {
			k.shut()
		}
	}
	s.mu.Unlock()
	lands.tell()
}
