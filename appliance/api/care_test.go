package api

import (
	"net/http"
	"testing"
	"time"

	"github.com/cordon-project/cordon/cluster/transport"
)

// What an edge says of its keys is one of few words, is believed of nobody else, and is forgotten with the edge.
func TestWhatAnEdgeSaysOfItsKeysIsBounded(t *testing.T) {
	now := time.Unix(1790000000, 0)
	c := cares{of: map[string]KeyCare{}}
	say := func(role transport.Role, name, header string) {
		c.note(caller{role, name}, &http.Request{Header: http.Header{careHeader: {header}}}, now)
	}
	for _, header := range []string{"", "disk", "disk secret more", "www.listed.test plain", "disk <b>", " "} {
		say(transport.RoleEdge, "e1", header)
	}
	say(transport.RoleOperator, "e1", "disk secret")
	if got := c.get("e1"); got != (KeyCare{}) {
		t.Errorf("noted %+v, want nothing", got)
	}
	say(transport.RoleEdge, "e1", "tpm secret")
	if got := c.get("e1"); got.Store != "tpm" || got.Memory != "secret" || !got.At.Equal(now) {
		t.Errorf("noted %+v", got)
	}
	if h := c.get("e1").header(); h != "tpm secret" {
		t.Errorf("header %q", h)
	}
	c.keep(func(edge string) bool { return edge != "e1" })
	if got := c.get("e1"); got != (KeyCare{}) {
		t.Errorf("a dismissed edge is remembered: %+v", got)
	}
}
