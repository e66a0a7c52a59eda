package api

import (
	"encoding/json"
	"net/http"
	"strings"
	"sync"

	"github.com/cordon-project/cordon/cluster/transport"
)

// told is what edges last said of themselves, to this node, since it started. The zero value is ready.
type told[T any] struct {
	mu sync.Mutex // guards of
	of map[string]T
}

// hear takes what an edge says in a header of its request, as JSON of at most limit bytes. take stamps it, and is false when it says nothing that
// this version knows.
func (c *told[T]) hear(who caller, text string, limit int, take func(*T) bool) {
	if who.role != transport.RoleEdge {
		return
	}
	var says T
	dec := json.NewDecoder(strings.NewReader(text))
	ok := len(text) <= limit && dec.Decode(&says) == nil && !dec.More() && take(&says)
	c.set(who.name, says, ok)
}

// asHeader is the text that hear reads.
func asHeader[T any](says T) string {
	b, err := json.Marshal(says)
	if err != nil {
		panic("api: what an edge says does not encode: " + err.Error())
	}
	return string(b)
}

// tell has the client say something with each request for the manifest; an empty text is left out.
func (c *Client) tell(header string, text func() string) *Client {
	c.says = append(c.says, func(h http.Header) {
		if text := text(); text != "" {
			h.Set(header, text)
		}
	})
	return c
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
