package list_test

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/cordon-project/cordon/listsync/list"
	"github.com/cordon-project/cordon/listsync/list/listtest"
	"github.com/cordon-project/cordon/resolver/canon"
	"github.com/cordon-project/cordon/resolver/match"
)

func seed(i int) [32]byte {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], uint64(i))
	return sha256.Sum256(b[:])
}

func upTo(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}

// Every pair of 5 is drawn as often as any other: 20,000 seeds, 10 pairs, 2,000 each; the bound is 5 standard deviations.
func TestEverySampleIsAsLikelyAsAnyOther(t *testing.T) {
	const seeds = 20000
	count := map[[2]int]int{}
	for i := range seeds {
		got, err := list.Draw(seed(i), 2, upTo(5))
		if err != nil || len(got) != 2 || got[0] >= got[1] {
			t.Fatalf("seed %d: got %v, %v", i, got, err)
		}
		count[[2]int(got)]++
	}
	if len(count) != 10 {
		t.Errorf("%d pairs of 10", len(count))
	}
	for pair, n := range count {
		if n < 1787 || n > 2213 {
			t.Errorf("pair %v: %d of %d draws, want about %d", pair, n, seeds, seeds/10)
		}
	}
}

func TestASampleHasWhatItIsAskedFor(t *testing.T) {
	if got, err := list.Draw(seed(1), 1000, upTo(1000)); err != nil || !slices.Equal(got, upTo(1000)) {
		t.Errorf("all of 1000: %v", err)
	}
	for _, n := range []int{0, -1, 11} {
		if got, err := list.Draw(seed(1), n, upTo(10)); err == nil {
			t.Errorf("%d of 10: got %v", n, got)
		}
	}
}

func TestOnlyEntriesAreDrawn(t *testing.T) {
	b, _, err := listtest0(t)
	if err != nil {
		t.Fatal(err)
	}
	edge, err := list.OpenEdge(b)
	if err != nil {
		t.Fatal(err)
	}
	from := list.Sampled(edge)
	seen := map[match.EntryID]bool{}
	for _, i := range from {
		r := edge.Record(i)
		if r.Kind == canon.KindSteer || r.Flags != 0 || seen[r.EntryID] {
			t.Errorf("record %d: %+v", i, r)
		}
		seen[r.EntryID] = true
	}
	entries := 0
	for _, e := range listtest.Entries(300, 1) {
		if !e.Canary {
			entries++
		}
	}
	if len(from) != entries {
		t.Errorf("drawn from %d, want %d", len(from), entries)
	}
}

func listtest0(t *testing.T) (edge, audit []byte, err error) {
	t.Helper()
	edge, audit, _, err = list.Build(listtest.Version(1), listtest.Entries(300, 1), []string{"decoy.example-1.test"}, listtest.Keys(1), listtest.OpenKey(1))
	return edge, audit, err
}

// FORMAT.md has this draw.
func TestTheDocumentsDrawIsOurs(t *testing.T) {
	doc, err := os.ReadFile("FORMAT.md")
	if err != nil {
		t.Fatal(err)
	}
	s := list.DrawSeed("isp.example/cordon\n6\nylEaxLTxqpXUr9CWuwzUMfYTM78IUC7vbs73hWdHAR8=\n", "hotline-one/main", 42, sha256.Sum256([]byte("edge")), sha256.Sum256([]byte("nonce")))
	got, err := list.Draw(s, 5, upTo(1000))
	if err != nil {
		t.Fatal(err)
	}
	var numbers []string
	for _, n := range got {
		numbers = append(numbers, hex.EncodeToString(binary.BigEndian.AppendUint16(nil, uint16(n))))
	}
	want := "| seed `" + hex.EncodeToString(s[:]) + "`, 5 of 1000 | `" + strings.Join(numbers, " ") + "` |"
	if !strings.Contains(string(doc), want) {
		t.Errorf("FORMAT.md lacks\n%s", want)
	}
}
