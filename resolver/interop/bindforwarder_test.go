package interop

import (
	"fmt"
	"os"
	"testing"

	"github.com/cordon-project/cordon/resolver/upstream/unbound"
)

// TestBINDForwardsToAnEdge: the same with BIND.
func TestBINDForwardsToAnEdge(t *testing.T) {
	w := plant(t)
	newEdge(t, w, unbound.Config{})
	anchors, err := os.ReadFile(w.anchors)
	if err != nil {
		t.Fatal(err)
	}
	conf := func(validation, more string) string {
		dir := t.TempDir()
		return fmt.Sprintf(`options {
  directory %q;
  pid-file none;
  session-keyfile none;
  managed-keys-directory %q;
  listen-on { %s; };
  listen-on-v6 { none; };
  allow-query { any; };
  recursion yes;
  forward only;
  forwarders { %s; };
  dnssec-validation %s;
  empty-zones-enable no;
};
controls { };
%s
`, dir, dir, forwarder, edgeAddress, validation, more)
	}
	for _, tt := range []struct {
		name, validation, more string
		asks                   []forward
	}{
		// A BIND that does not validate asks with CD, as if its clients did: bogus data comes through.
		{"without validation", "no", "", append([]forward{{[]string{"www.bogus.example", "A"}, []string{"NOERROR", "192.0.2.66"}}}, plainForwards...)},
		{"with validation", "yes", string(anchors), validatedForwards},
	} {
		t.Run(tt.name, func(t *testing.T) {
			daemon(t, forwards, "named", "-g", "-n", "1", "-c", scratch(t, conf(tt.validation, tt.more)))
			askThrough(t, tt.asks)
		})
	}
}
