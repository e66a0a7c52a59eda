package upstream

import "time"

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
