package api

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/cordon-project/cordon/cluster/transport"
)

func TestWhatAnEdgeSaysOfItsGuardIsBounded(t *testing.T) {
	now := time.Unix(1790000000, 0).UTC()
	var c guards
	say := func(role transport.Role, header string) {
		c.note(caller{role, "e1"}, http.Header{guardHeader: {header}}, now)
	}
	good := Guard{Questions: 1 << 63, Strangers: 2, Limited: 3, Slowed: 4, Dropped: 5, Truncated: 6, Budgets: 7}
	say(transport.RoleOperator, good.header())
	if got := c.get("e1"); got != nil {
		t.Errorf("an operator speaks for an edge: %+v", got)
	}
	want := good
	want.At = now
	for _, header := range []string{"", "1", `{"questions":-1}`, `{"limited":"192.0.2.1"}`, `{} {}`, `{"x":"` + strings.Repeat("x", maxGuard) + `"}`} {
		say(transport.RoleEdge, good.header())
		if got := c.get("e1"); got == nil || *got != want {
			t.Errorf("noted %+v, want %+v", got, want)
		}
		say(transport.RoleEdge, header)
		if got := c.get("e1"); got != nil {
			t.Errorf("%.60s: noted %+v, want nothing", header, got)
		}
	}
	const most = 1<<64 - 1
	if n := len(Guard{most, most, most, most, most, most, most, most, now}.header()); n > maxGuard {
		t.Errorf("the longest header has %d bytes, at most %d are read", n, maxGuard)
	}
	say(transport.RoleEdge, good.header())
	c.keep(func(edge string) bool { return edge != "e1" })
	if got := c.get("e1"); got != nil {
		t.Errorf("a dismissed edge is remembered: %+v", got)
	}
}
