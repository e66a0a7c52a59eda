package api

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/cordon-project/cordon/cluster/transport"
)

// What an edge says of its resolver is words of a closed set and numbers, is believed of nobody else, and is forgotten with the edge.
func TestWhatAnEdgeSaysOfItsResolverIsBounded(t *testing.T) {
	now := time.Unix(1790000000, 0).UTC()
	var c recursions
	say := func(role transport.Role, header string) {
		c.note(caller{role, "e1"}, http.Header{recursionHeader: {header}}, now)
	}
	good := Recursion{State: "answering", Since: now.Add(-time.Hour), Starts: 2, Queries: 1 << 63, Hits: 3, Asked: 4, ServFail: 5, Bogus: 6, Secure: 7, Unwanted: 8}
	say(transport.RoleOperator, good.header())
	if got := c.get("e1"); got != nil {
		t.Errorf("an operator speaks for an edge: %+v", got)
	}
	say(transport.RoleEdge, good.header())
	want := good
	want.At = now
	if got := c.get("e1"); got == nil || *got != want {
		t.Errorf("noted %+v, want %+v", got, want)
	}
	for _, header := range []string{
		"", "answering", `{"state":"www.listed.test"}`, `{"state":"answering","queries":-1}`, `{"state":"answering","queries":"www.listed.test"}`,
		`{"state":"answering"} {}`, `{"state":"answering","x":"` + strings.Repeat("x", maxRecursion) + `"}`,
	} {
		say(transport.RoleEdge, good.header())
		say(transport.RoleEdge, header)
		if got := c.get("e1"); got != nil {
			t.Errorf("%.60s: noted %+v, want nothing", header, got)
		}
	}
	if n := len(Recursion{State: "answering", Since: now, Starts: 1<<64 - 1, Queries: 1<<64 - 1, Hits: 1<<64 - 1, Found: 1<<64 - 1, Asked: 1<<64 - 1, ServFail: 1<<64 - 1,
		Bogus: 1<<64 - 1, Secure: 1<<64 - 1, Unwanted: 1<<64 - 1}.header()); n > maxRecursion {
		t.Errorf("the longest header has %d bytes, at most %d are read", n, maxRecursion)
	}
	say(transport.RoleEdge, good.header())
	c.keep(func(edge string) bool { return edge != "e1" })
	if got := c.get("e1"); got != nil {
		t.Errorf("a dismissed edge is remembered: %+v", got)
	}
}
