package match_test

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/cordon-project/cordon/resolver/canon"
	"github.com/cordon-project/cordon/resolver/match"
)

// Prepared or not, and however long the expression is: the digest is the same one.
func TestPreparedKeysMakeTheSameDigests(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	lists := []match.ListID{"a/b", "hotline-one/main", match.ListID(strings.Repeat("x", 31) + "/" + strings.Repeat("y", 31))}
	for range 1000 {
		var plain match.Keys
		for i := range plain.Match {
			plain.Match[i] = byte(r.Uint32())
		}
		prepared := plain
		prepared.Prepare()
		expr := bytes.Repeat([]byte{byte(r.Uint32())}, r.IntN(600))
		list, class := lists[r.IntN(len(lists))], canon.Class(r.IntN(3))
		if got, want := prepared.Digest(list, class, expr), plain.Digest(list, class, expr); got != want {
			t.Fatalf("list %s, expression of %d bytes: got %x, want %x", list, len(expr), got, want)
		}
	}
}

func TestPreparedDigestsDoNotAllocate(t *testing.T) {
	var k match.Keys
	k.Prepare()
	for _, n := range []int{10, match.MaxName, 512} {
		expr := make([]byte, n)
		if got := testing.AllocsPerRun(100, func() { k.Digest("a/b", canon.ClassName, expr) }); got != 0 {
			t.Errorf("expression of %d bytes: %v allocations, want 0", n, got)
		}
	}
}
