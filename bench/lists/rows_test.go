package lists

import (
	"strings"
	"testing"
	"time"
)

func TestEveryRowIsAnotherEntryAndAllAreSynthetic(t *testing.T) {
	seen := map[string]bool{}
	for i := range 50_000 {
		expr, kind := row(i)
		if seen[kind+" "+expr] {
			t.Fatalf("row %d is there twice", i)
		}
		seen[kind+" "+expr] = true
		host, _, _ := strings.Cut(strings.TrimPrefix(expr, "http://"), "/")
		if !strings.HasSuffix(host, ".test") {
			t.Fatalf("row %d is of %s", i, host)
		}
	}
}

func TestAFileGoesOnWhereTheOneBeforeEnds(t *testing.T) {
	var all, first, second strings.Builder
	day := time.Date(2030, 5, 1, 0, 0, 0, 0, time.UTC)
	for _, f := range []struct {
		to       *strings.Builder
		from, up int
	}{{&all, 0, 100}, {&first, 0, 40}, {&second, 40, 100}} {
		if err := WriteRows(f.to, f.from, f.up, day); err != nil {
			t.Fatal(err)
		}
	}
	_, rest, _ := strings.Cut(second.String(), "\n")
	if all.String() != first.String()+rest {
		t.Error("two files are not one")
	}
}
