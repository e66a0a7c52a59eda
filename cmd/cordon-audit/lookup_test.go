package main

import (
	"strings"
	"testing"

	"github.com/cordon-project/cordon/cluster/audit/lookup"
)

func TestALookupTellsAnEntryThatDoesNotStopFromNone(t *testing.T) {
	for _, c := range []struct {
		r    lookup.Result
		want string
	}{
		{lookup.Result{Listed: true, Entries: make([]lookup.Entry, 1)}, "LISTED  a.test\n"},
		{lookup.Result{Entries: make([]lookup.Entry, 1)}, "LISTED, NOT STOPPED NOW  a.test\n"},
		{lookup.Result{}, "NOT LISTED  a.test\n"},
	} {
		if text := lookupText("a.test", &c.r); !strings.HasPrefix(text, c.want) {
			t.Errorf("%d entries, listed %t: %q, want %q first", len(c.r.Entries), c.r.Listed, text, c.want)
		}
	}
	if code, _, stderr := tool(t, "lookup", "--trust", "none.json", "http://a.test/b", "https://192.0.2.1:7443"); code != codeUsage || !strings.Contains(stderr, "--private, which takes a URL") {
		t.Errorf("a URL: exit code %d, %q", code, stderr)
	}
}
