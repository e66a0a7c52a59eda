package upstream

// Sockets is how many are open.
func (p *Pool) Sockets() (n int) {
	for _, s := range p.shards {
		s.mu.Lock()
		for i := range s.servers {
			n += len(s.servers[i].open)
		}
		s.mu.Unlock()
	}
	return n
}
