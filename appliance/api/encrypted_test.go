package api

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/cordon-project/cordon/cluster/transport"
)

func TestWhatAnEdgeSaysOfItsEncryptedTransportsIsBounded(t *testing.T) {
	now := time.Unix(1790000000, 0).UTC()
	var c encrypteds
	note := func(role transport.Role, header string) *Encrypted {
		c.note(caller{role, "e1"}, http.Header{encryptedHeader: {header}}, now)
		return c.get("e1")
	}
	good := Encrypted{Ends: now.Add(time.Hour), Refused: now}
	got, want := note(transport.RoleEdge, good.header()), good
	want.At = now
	if got == nil || *got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got := note(transport.RoleOperator, `{}`); got == nil || *got != want {
		t.Errorf("somebody else speaks for the edge: %+v", got)
	}
	for _, header := range []string{"", "1", "{}", `{"ends":"soon"}`, good.header() + "{}", `{"x":"` + strings.Repeat("x", maxEncrypted) + `"}`} {
		note(transport.RoleEdge, good.header())
		if got := note(transport.RoleEdge, header); got != nil {
			t.Errorf("%.40q is taken for %+v", header, got)
		}
	}
	at := time.Date(9999, 12, 31, 23, 59, 59, 999999999, time.FixedZone("", 3600))
	if n := len(Encrypted{at, at, at}.header()); n > maxEncrypted {
		t.Errorf("the longest header has %d bytes, at most %d are read", n, maxEncrypted)
	}
}
