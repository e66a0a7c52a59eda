package api

import (
	"net/http"
	"slices"
	"time"
)

// Recursion is how the resolver is doing that an edge runs beside it (upstream: recursive), in the edge's own words: for people, nothing is
// decided by it. It holds words of a closed set and sums, so that nothing of a question can be in it.
type Recursion struct {
	State    string    `json:"state"`       // answering, starting, or what is wrong: missing, anchor, refused, silent, ended, blind
	Since    time.Time `json:"since"`       // of that, by the edge's clock
	Starts   uint64    `json:"starts"`      // processes started since the edge was
	Queries  uint64    `json:"queries"`     // what the edge asked it
	Hits     uint64    `json:"cache_hits"`  // of those, answered from its cache
	Found    uint64    `json:"found"`       // of those, answered with what there is, or that there is nothing
	Asked    uint64    `json:"asked"`       // what it asked other servers
	ServFail uint64    `json:"failures"`    // answers that nobody could find, or that failed validation
	Bogus    uint64    `json:"bogus"`       // answers that failed validation
	Secure   uint64    `json:"secure"`      // answers that are signed and valid
	Unwanted uint64    `json:"unwanted"`    // replies to questions that were never asked
	At       time.Time `json:"at,omitzero"` // when it last said so
}

// recursionHeader carries a Recursion with an edge's requests for the manifest, as JSON.
const recursionHeader = "Cordon-Recursion"

// RecursionStates are the words of Recursion.State.
var RecursionStates = []string{"answering", "starting", "missing", "anchor", "refused", "silent", "ended", "blind"}

// maxRecursion bounds the header: nine numbers of 20 digits, a word and a time.
const maxRecursion = 512

func (r Recursion) header() string { return asHeader(r) }

// recursions are what edges last said of their resolvers. An edge that says nothing of a resolver has none any more.
type recursions struct{ told[Recursion] }

func (c *recursions) note(who caller, h http.Header, now time.Time) {
	c.hear(who, h.Get(recursionHeader), maxRecursion, func(r *Recursion) bool {
		r.At = now.UTC()
		return slices.Contains(RecursionStates, r.State)
	})
}

// Recursing has the client tell each node that it asks for the manifest how the resolver of the asking edge is doing. Call it before the
// client is used.
func (c *Client) Recursing(says func() Recursion) *Client {
	return c.tell(recursionHeader, func() string { return says().header() })
}
