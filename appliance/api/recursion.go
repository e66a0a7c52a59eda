package api

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/cordon-project/cordon/cluster/transport"
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

func (r Recursion) header() string {
	b, err := json.Marshal(r)
	if err != nil {
		panic("api: recursion does not encode: " + err.Error())
	}
	return string(b)
}

// readRecursion reads a header; false when it says nothing that this version knows.
func readRecursion(header string) (Recursion, bool) {
	var r Recursion
	if len(header) > maxRecursion {
		return r, false
	}
	dec := json.NewDecoder(strings.NewReader(header))
	if dec.Decode(&r) != nil || dec.More() || !slices.Contains(RecursionStates, r.State) {
		return Recursion{}, false
	}
	return r, true
}

// recursions are what edges last said of their resolvers. An edge that says nothing of a resolver has none any more.
type recursions struct{ told[Recursion] }

func (c *recursions) note(who caller, h http.Header, now time.Time) {
	if who.role != transport.RoleEdge {
		return
	}
	r, ok := readRecursion(h.Get(recursionHeader))
	r.At = now.UTC()
	c.set(who.name, r, ok)
}

// Recursing has the client tell each node that it asks for the manifest how the resolver of the asking edge is doing. Call it before the
// client is used.
func (c *Client) Recursing(says func() Recursion) *Client {
	c.recursion = says
	return c
}
