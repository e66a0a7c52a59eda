package api

import "sync"

// told is what edges last said of themselves, to this node, since it started. The zero value is ready.
type told[T any] struct {
	mu sync.Mutex // guards of
	of map[string]T
}

// set takes what an edge says; when it says nothing (ok is false), nothing is known of it any more.
func (c *told[T]) set(edge string, says T, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !ok {
		delete(c.of, edge)
		return
	}
	if c.of == nil {
		c.of = map[string]T{}
	}
	c.of[edge] = says
}

// get is nil when the edge has said nothing.
func (c *told[T]) get(edge string) *T {
	c.mu.Lock()
	defer c.mu.Unlock()
	if says, ok := c.of[edge]; ok {
		return &says
	}
	return nil
}

// keep forgets edges that are enrolled no more.
func (c *told[T]) keep(enrolled func(edge string) bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for name := range c.of {
		if !enrolled(name) {
			delete(c.of, name)
		}
	}
}
