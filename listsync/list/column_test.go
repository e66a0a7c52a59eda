package list_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/cordon-project/cordon/listsync/list"
	"github.com/cordon-project/cordon/listsync/list/listtest"
)

// column is one whose output for record i is the start of SHA-256(digest of i).
func column(t testing.TB, n int) (*list.Edge, []byte) {
	t.Helper()
	b, _, _, err := listtest.Build(n, 1, 1)
	if err != nil {
		t.Fatal(err)
	}
	edge, err := list.OpenEdge(b)
	if err != nil {
		t.Fatal(err)
	}
	c, err := list.BuildColumn(edge, [32]byte{7}, func(i int) [list.ColumnSize]byte { return columnOutput(edge, i) })
	if err != nil {
		t.Fatal(err)
	}
	return edge, c
}

func columnOutput(edge *list.Edge, i int) [list.ColumnSize]byte {
	d := edge.Record(i).Digest
	sum := sha256.Sum256(d[:])
	return [list.ColumnSize]byte(sum[:])
}

func TestAColumnGivesWhatWasPutIn(t *testing.T) {
	edge, b := column(t, 50)
	c, err := list.OpenColumn(b)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Fits(edge); err != nil || c.Key() != [32]byte{7} {
		t.Errorf("key %x, %v", c.Key(), err)
	}
	want := []int{}
	for i := range edge.Len() {
		if d := edge.Record(i).Digest; d == edge.Record(3).Digest || d == edge.Record(9).Digest {
			want = append(want, i)
		}
	}
	if got := c.Find(columnOutput(edge, 9), columnOutput(edge, 3), [list.ColumnSize]byte{1}); !slices.Equal(got, want) {
		t.Errorf("found %v, want %v", got, want)
	}
	other, _ := column(t, 51)
	if err := c.Fits(other); err == nil {
		t.Error("it fits another edge list")
	}
}

func TestADamagedColumnIsRefused(t *testing.T) {
	_, b := column(t, 5)
	for at := range b {
		bad := bytes.Clone(b)
		bad[at] ^= 1
		if _, err := list.OpenColumn(bad); err == nil {
			t.Fatalf("byte %d of %d changed, and it opens", at, len(b))
		}
	}
	for _, n := range []int{0, 1, len(b) - 1} {
		if _, err := list.OpenColumn(b[:n]); err == nil {
			t.Errorf("the first %d bytes open", n)
		}
	}
	_, edge, _, err := listtest.Build(5, 1, 1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := list.OpenColumn(edge); !errors.Is(err, list.ErrFormat) {
		t.Errorf("an auditor list: %v", err)
	}
}

// FORMAT.md has the hash of this column: of testdata/edge.hex, key 07 and 31 zero bytes, outputs the first 16 bytes of SHA-256(d).
func TestTheDocumentsColumnIsOurs(t *testing.T) {
	doc, err := os.ReadFile("FORMAT.md")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("testdata/edge.hex")
	if err != nil {
		t.Fatal(err)
	}
	b, err := hex.DecodeString(strings.Join(strings.Fields(string(text)), ""))
	if err != nil {
		t.Fatal(err)
	}
	edge, err := list.OpenEdge(b)
	if err != nil {
		t.Fatal(err)
	}
	c, err := list.BuildColumn(edge, [32]byte{7}, func(i int) [list.ColumnSize]byte { return columnOutput(edge, i) })
	if err != nil {
		t.Fatal(err)
	}
	if want := "`" + hex.EncodeToString(sum(c)) + "`"; !strings.Contains(string(doc), want) {
		t.Errorf("FORMAT.md lacks %s, the SHA-256 of the column", want)
	}
}

func sum(b []byte) []byte { s := sha256.Sum256(b); return s[:] }

func FuzzOpenColumn(f *testing.F) {
	_, b := column(f, 5)
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		if c, err := list.OpenColumn(b); err == nil {
			c.Find([list.ColumnSize]byte{})
		}
	})
}
