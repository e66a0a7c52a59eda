package upstream

// Spread takes n sockets to the first server in each shard as for questions that come far apart, and says how many are open then.
func (p *Pool) Spread(n int) (open int) {
	for _, s := range p.shards {
		s.mu.Lock()
		for range n {
			s.servers[0].asked, s.servers[0].last = 0, 0
			s.socket(0)
		}
		open += len(s.servers[0].open)
		s.mu.Unlock()
	}
	return open
}
