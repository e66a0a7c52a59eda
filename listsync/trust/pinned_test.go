package trust_test

import (
	"bytes"
	"errors"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/cordon-project/cordon/listsync/trust"
)

// TestPinnedRootIsAskedAgainAtEachTime: what Pin found does not outlive the root, and no verification leaves anything behind for the next,
// also where many run at once and some of them follow newer roots.
func TestPinnedRootIsAskedAgainAtEachTime(t *testing.T) {
	h, m := north(t)
	p, err := trust.Pin(h.Pinned)
	if err != nil {
		t.Fatal(err)
	}
	spec, err := trust.ReadRoot(h.Pinned)
	if err != nil {
		t.Fatal(err)
	}
	forged := m
	forged.List = append([]byte(nil), m.List...)
	forged.List[len(forged.List)/2] ^= 1
	cases := map[string]struct {
		m  trust.Metadata
		at time.Time
	}{
		"good":               {m, now},
		"a day before":       {m, now.Add(-24 * time.Hour)},
		"timestamp expired":  {m, now.Add(30 * 24 * time.Hour)},
		"root expires then":  {m, spec.Expires},
		"another list":       {forged, now},
		"no metadata at all": {trust.Metadata{}, now},
	}
	failed := 0
	var wg sync.WaitGroup
	for name, c := range cases {
		want, wantErr := trust.Verify(h.Pinned, trust.HighWater{}, c.m, c.at)
		if wantErr != nil {
			failed++
		}
		for range 4 {
			wg.Go(func() {
				got, err := p.Verify(trust.HighWater{}, c.m, c.at)
				if !reflect.DeepEqual(got, want) || trust.Reason(err) != trust.Reason(wantErr) || (err == nil) != (wantErr == nil) {
					t.Errorf("%s: got %+v, %v; want %+v, %v", name, got, err, want, wantErr)
				}
			})
		}
	}
	wg.Wait()
	if failed < 4 {
		t.Fatalf("%d of the cases are refused, want most of them", failed)
	}
}

func TestRootThatIsNotSignedIsNotPinned(t *testing.T) {
	h, m := north(t)
	if _, err := trust.Pin(m.Targets); !errors.Is(err, trust.ErrFormat) {
		t.Errorf("a targets file: got %v, want %v", err, trust.ErrFormat)
	}
	for at := bytes.Index(h.Pinned, []byte(`"signed"`)); at < len(h.Pinned); at++ {
		root := append([]byte(nil), h.Pinned...)
		root[at] ^= 1
		if _, err := trust.Pin(root); err == nil {
			t.Fatalf("a root with byte %d changed was pinned", at)
		}
	}
}
