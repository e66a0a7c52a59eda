package brake

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

var today = time.Date(2026, 11, 25, 10, 0, 0, 0, time.UTC)

func testKey(t testing.TB, seed byte) (ed25519.PrivateKey, string) {
	t.Helper()
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, ed25519.SeedSize))
	vkey, err := VerifierKey("popularity.hotline-one.test", key.Public().(ed25519.PublicKey))
	if err != nil {
		t.Fatal(err)
	}
	return key, vkey
}

func signed(t testing.TB, popular, shared []string, date time.Time) ([]byte, string) {
	t.Helper()
	key, vkey := testKey(t, 1)
	b, err := SignPopularity(popular, shared, date, "popularity.hotline-one.test", key)
	if err != nil {
		t.Fatal(err)
	}
	return b, vkey
}

func TestAPopularityFileIsReadAsItWasSigned(t *testing.T) {
	for _, c := range []struct{ popular, shared []string }{
		{[]string{"b.test", "a.test", "www.c.test"}, []string{"pages.test"}},
		{[]string{"a.test"}, nil}, {nil, []string{"pages.test"}}, {nil, nil},
	} {
		b, vkey := signed(t, c.popular, c.shared, today)
		path := filepath.Join(t.TempDir(), "popularity")
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		p, err := LoadPopularity(path, []string{vkey}, today)
		if err != nil {
			t.Fatal(err)
		}
		if got := slices.Collect(p.Popular()); !slices.Equal(got, c.popular) {
			t.Errorf("popular: got %v, want %v", got, c.popular)
		}
		if got := slices.Collect(p.Shared()); !slices.Equal(got, c.shared) {
			t.Errorf("shared: got %v, want %v", got, c.shared)
		}
		if p.Stale(today) != "" || p.Stale(today.AddDate(0, 0, 100)) == "" {
			t.Errorf("stale: %q, %q", p.Stale(today), p.Stale(today.AddDate(0, 0, 100)))
		}
	}
}

func TestAnyOtherByteOfAPopularityFileIsRefused(t *testing.T) {
	b, vkey := signed(t, []string{"b.test", "a.test"}, []string{"pages.test"}, today)
	for i := range b {
		for _, flip := range []byte{1, 0x20, 0x80} {
			bad := slices.Clone(b)
			bad[i] ^= flip
			if _, err := ReadPopularity(bad, []string{vkey}, today); !errors.Is(err, ErrPopularity) && !errors.Is(err, ErrSignature) && !errors.Is(err, ErrNames) {
				t.Errorf("byte %d (%q) changed: %v", i, b[i], err)
			}
		}
		if _, err := ReadPopularity(b[:i], []string{vkey}, today); err == nil {
			t.Errorf("cut at %d: accepted", i)
		}
	}
	if _, err := ReadPopularity(append(slices.Clone(b), "x.test\n"...), []string{vkey}, today); err == nil {
		t.Error("a name more: accepted")
	}
}

func TestPopularityFilesOfStrangersAreRefused(t *testing.T) {
	b, vkey := signed(t, []string{"a.test"}, nil, today)
	_, other := testKey(t, 2)
	for _, c := range []struct {
		name string
		keys []string
		now  time.Time
		want error
	}{
		{"no key", nil, today, ErrSignature},
		{"another key", []string{other}, today, ErrSignature},
		{"no key at all", []string{"popularity+0+x"}, today, ErrSignature},
		{"of the future", []string{vkey}, today.AddDate(0, 0, -3), ErrPopularity},
		{"one of two keys", []string{other, vkey}, today, nil},
	} {
		if _, err := ReadPopularity(b, c.keys, c.now); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, err, c.want)
		}
	}
	// What a known key has signed is read as strictly: its holder makes mistakes too.
	key, _ := testKey(t, 1)
	for _, names := range [][]string{{"A.test"}, {"a.test."}, {""}, {"a b.test"}, {"a.test", "b..test"}} {
		bad, err := SignPopularity(names, nil, today, "popularity.hotline-one.test", key)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ReadPopularity(bad, []string{vkey}, today); !errors.Is(err, ErrPopularity) {
			t.Errorf("%q: got %v", names, err)
		}
	}
}

func TestPopularityListsAreTakenAsTheyAreHandedRound(t *testing.T) {
	got, addresses, err := ReadNames(strings.NewReader("# top\n1,Popular.Test\r\n2,www.b.test\nPOPULAR.test.\n192.0.2.1\n\n"))
	if want := []string{"popular.test", "www.b.test"}; err != nil || !slices.Equal(got, want) || addresses != 1 {
		t.Errorf("got %v, %d, %v", got, addresses, err)
	}
	for in, want := range map[string]string{"a.test\nb c.test\n": "line 2", "a.test,1\n": "neither"} {
		if _, _, err := ReadNames(strings.NewReader(in)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %s", in, err, want)
		}
	}
}

func FuzzReadPopularity(f *testing.F) {
	b, vkey := signed(f, []string{"b.test", "a.test"}, []string{"pages.test"}, today)
	f.Add(b)
	f.Add([]byte(popularityMagic + "\n\n\n\n"))
	f.Fuzz(func(t *testing.T, in []byte) {
		p, err := ReadPopularity(in, []string{vkey}, today)
		if err == nil && !bytes.Equal(in, b) {
			// Further signature lines are allowed; the signed text and the names are not anybody's to change.
			if want, _ := ReadPopularity(b, []string{vkey}, today); p.Hash() != want.Hash() || !bytes.HasSuffix(in, []byte("b.test\na.test\npages.test\n")) {
				t.Errorf("accepted %q", in)
			}
		}
	})
}

// many are n synthetic popular names.
func many(n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("site%d.popular-%d.test", i, i%100)
	}
	return out
}
