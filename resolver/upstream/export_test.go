package upstream

import (
	"context"
	"time"

	"github.com/cordon-project/cordon/resolver/wire"
)

// Spread takes n sockets to the first server in each shard as for questions that come far apart, and says how many are open then.
func (p *Pool) Spread(n int) (open int) {
	for _, s := range p.shards {
		s.mu.Lock()
		for range n {
			s.servers[0].asked, s.servers[0].last = 0, 0
			s.socket(0, time.Now())
		}
		open += len(s.servers[0].open)
		s.mu.Unlock()
	}
	return open
}

// Flood takes sockets to the first server in each shard until the bound holds and then for n questions more, gives all of them up, and says how
// many are open then.
func (p *Pool) Flood(n int) (open int) {
	p.Spread(maxSockets)
	for _, s := range p.shards {
		s.mu.Lock()
		h := &s.servers[0]
		for range n {
			s.socket(0, time.Now())
		}
		for k := range h.open {
			k.waiting = 0
			k.rest()
		}
		open += len(h.open)
		s.mu.Unlock()
	}
	return open
}

// Know has a server answer in a time, as after many questions.
func (p *Pool) Know(server int, rtt time.Duration) {
	s := p.servers[server]
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rtt, s.spread, s.samples = rtt, rtt/4, samplesToKnow
}

// RTT is what is known of a server.
func (p *Pool) RTT(server int) time.Duration {
	s := p.servers[server]
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rtt
}

// Age has the last questions have come so long ago.
func (p *Pool) Age(d time.Duration) {
	for _, s := range p.shards {
		s.mu.Lock()
		s.now = time.Now().Add(-d)
		s.mu.Unlock()
	}
}

// Pass lets time go by for the questions under way: an attempt whose time is over by then ends now.
func (p *Pool) Pass(d time.Duration) {
	for _, s := range p.shards {
		s.look(time.Now().Add(d))
	}
}

// OneSpan has all questions that follow come within one span, however long they take.
func (p *Pool) OneSpan() {
	for _, s := range p.shards {
		s.mu.Lock()
		for i := range s.servers {
			s.servers[i].until = time.Now().Add(24 * time.Hour)
		}
		s.mu.Unlock()
	}
}

// AskAgain puts a query into each shard's outbox as a reply or the clock does when it asks again, and leaves it there.
func (p *Pool) AskAgain(q wire.Question, done func([]byte, error)) {
	for i, s := range p.shards {
		var lands landed
		w := Waiter(told(func([]byte, error) {}))
		if i == 0 {
			w = told(done)
		}
		s.mu.Lock()
		now := time.Now()
		p.flights.Add(1)
		s.forward(s.start(uint64(i), q, waiter{context.Background(), w}, now), now, &lands)
		s.mu.Unlock()
		lands.tell()
	}
}
