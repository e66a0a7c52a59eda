package trust_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/cordon-project/cordon/listsync/trust"
	"github.com/cordon-project/cordon/listsync/trust/trusttest"
)

// An update of the Unicode or public suffix tables gives the program another canon.ID. What was accepted before must verify as it
// did, or a control node could not open its own snapshot and an edge not its own manifest.
func TestWhatVerifyTrustsDoesNotDependOnTheBuild(t *testing.T) {
	for _, id := range [][32]byte{{1}, {31: 0xff}} {
		h := trusttest.New(seed, "north", now)
		l := trusttest.Files(mainID, 1)
		l.Target.CanonID = id
		m := h.Publish(now, l, trusttest.Files(sideID, 1))
		v, err := trust.Verify(h.Pinned, trust.HighWater{}, m, now)
		if err != nil {
			t.Fatalf("rules %x: %v", id[:4], err)
		}
		if v.Lists[0].CanonID != id {
			t.Errorf("reported %x, want %x", v.Lists[0].CanonID, id)
		}
		if spec, err := trust.ReadList(m.List, "north"); err != nil || spec.Lists[0].CanonID != id {
			t.Errorf("read again: got %+v, %v", spec, err)
		}

		err = v.CheckCanon()
		if !errors.Is(err, trust.ErrCanon) || trust.Reason(err) != "canon" || !strings.Contains(err.Error(), "list north/main seq 1 ") {
			t.Errorf("as a new list: got %v, want %v naming north/main", err, trust.ErrCanon)
		}
		if err := v.Lists[1].CheckCanon(); err != nil {
			t.Errorf("the list beside it: %v", err)
		}
	}
	h, m := north(t)
	v, err := trust.Verify(h.Pinned, trust.HighWater{}, m, now)
	if err != nil {
		t.Fatal(err)
	}
	if err := v.CheckCanon(); err != nil {
		t.Errorf("lists of our own rules: %v", err)
	}
}

// Canaries are host names in what the officers sign; which ones are canonical is a question of tables.
func TestCanariesAreHostNamesByNoTable(t *testing.T) {
	for _, c := range []struct {
		canaries []any
		reason   string
	}{
		{[]any{"canary.north.test"}, ""},
		{[]any{"a.test", "b_c-d.test", "xn--0.test"}, ""}, // the last is no Punycode
		{[]any{"b.test", "a.test"}, "format"},
		{[]any{"a.test", "a.test"}, "format"},
		{[]any{"A.test"}, "format"},
		{[]any{"a.test."}, "format"},
		{[]any{".a.test"}, "format"},
		{[]any{"a..test"}, "format"},
		{[]any{""}, "format"},
		{[]any{"a/b.test"}, "format"},
		{[]any{strings.Repeat("a", 64) + ".test"}, "format"},
		{[]any{strings.Join(slices.Repeat([]string{"abcdefghi"}, 26), ".")}, "format"}, // 259 characters
	} {
		h, m := north(t, trusttest.Custom(func(custom map[string]any) { custom["canaries"] = c.canaries }))
		_, err := trust.Verify(h.Pinned, trust.HighWater{}, m, now)
		if got := trust.Reason(err); got != c.reason {
			t.Errorf("%v: got %q (%v), want %q", c.canaries, got, err, c.reason)
		}
	}
}
