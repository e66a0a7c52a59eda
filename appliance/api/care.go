package api

import (
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cordon-project/cordon/cluster/transport"
)

// KeyCare is how a node keeps its keys, in its own words: for people, nothing is decided by it.
type KeyCare struct {
	Store  string    `json:"store"`       // disk, credential or tpm: what guards the weakest of them while the machine is off
	Memory string    `json:"memory"`      // secret, pinned or plain: what they are in while it runs
	At     time.Time `json:"at,omitzero"` // when it last said so; zero of a control node's own
}

// careHeader carries a KeyCare with an edge's requests: "disk secret".
const careHeader = "Cordon-Keys"

var (
	careStores   = []string{"disk", "credential", "tpm"}
	careMemories = []string{"secret", "pinned", "plain"}
)

func (k KeyCare) header() string { return k.Store + " " + k.Memory }

// readCare reads a header; false when it says nothing that this version knows.
func readCare(header string) (KeyCare, bool) {
	store, memory, _ := strings.Cut(header, " ")
	return KeyCare{Store: store, Memory: memory}, slices.Contains(careStores, store) && slices.Contains(careMemories, memory)
}

// cares are what edges last said of their keys, to this node, since it started.
type cares struct {
	mu sync.Mutex // guards of
	of map[string]KeyCare
}

func (c *cares) note(who caller, r *http.Request, now time.Time) {
	k, ok := readCare(r.Header.Get(careHeader))
	if !ok || who.role != transport.RoleEdge {
		return
	}
	k.At = now.UTC()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.of[who.name] = k
}

func (c *cares) get(edge string) KeyCare {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.of[edge]
}

// keep forgets edges that are enrolled no more.
func (c *cares) keep(enrolled func(edge string) bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for name := range c.of {
		if !enrolled(name) {
			delete(c.of, name)
		}
	}
}
