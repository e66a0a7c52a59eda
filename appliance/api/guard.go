package api

import (
	"net/http"
	"time"
)

// Guard is what an edge has held back since it started, in its own words: sums over all clients, for people. Nothing is decided by it, and
// nothing of a client or a question can be in it.
type Guard struct {
	Questions uint64    `json:"questions"`        // read
	Strangers uint64    `json:"strangers"`        // from prefixes that are not served
	Limited   uint64    `json:"limited"`          // above their client's rate
	Slowed    uint64    `json:"slowed"`           // of them: of clients above their budget of listed entries
	Dropped   uint64    `json:"answers_dropped"`  // answers over UDP above their rate, not sent
	Truncated uint64    `json:"answers_over_tcp"` // the same, sent as "ask again over TCP"
	Budgets   uint64    `json:"budgets"`          // times that a client used up a budget of listed entries
	Exempt    uint64    `json:"exempt,omitempty"` // number of the exempt order that is in effect there; 0: nobody is exempt
	At        time.Time `json:"at,omitzero"`      // when it last said so
}

// guardHeader carries a Guard with an edge's requests for the manifest, as JSON.
const guardHeader = "Cordon-Guard"

// maxGuard bounds the header: eight numbers of 20 digits and a time.
const maxGuard = 384

func (g Guard) header() string { return asHeader(g) }

// guards are what edges last said of what they held back.
type guards struct{ told[Guard] }

func (c *guards) note(who caller, h http.Header, now time.Time) {
	c.hear(who, h.Get(guardHeader), maxGuard, func(g *Guard) bool {
		g.At = now.UTC()
		return true
	})
}

// Guarding has the client tell each node that it asks for the manifest what the asking edge holds back. Call it before the client is used.
func (c *Client) Guarding(says func() Guard) *Client {
	return c.tell(guardHeader, func() string { return says().header() })
}
