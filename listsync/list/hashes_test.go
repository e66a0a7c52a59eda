package list_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/cordon-project/cordon/listsync/list"
	"github.com/cordon-project/cordon/resolver/match"
)

// TestHashesFollowTheirList: whatever comes and goes, and wherever, a root made of the one before is the one that is computed from nothing.
// Sizes lie around parts of 4,096, lists grow, shrink, change in place and at their ends, and become empty.
func TestHashesFollowTheirList(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 7))
	leaf := func() (b [32]byte) {
		for i := range b {
			b[i] = byte(rnd.Uint32())
		}
		return b
	}
	for _, tt := range []struct{ size, remove, add int }{
		{0, 0, 1}, {1, 1, 1}, {2, 1, 2}, {100, 3, 3}, {4095, 0, 1}, {4096, 1, 1}, {8191, 1, 2}, {8193, 2, 0}, {12_289, 5, 5}, {20_000, 1, 0}, {20_000, 40, 2}, {300, 300, 0},
	} {
		now := make([][32]byte, tt.size)
		for i := range now {
			now[i] = leaf()
		}
		var h *list.Hashes
		for round := range 12 {
			p := &match.Patch{}
			removed := map[uint32]bool{}
			for range min(tt.remove, len(now)) {
				removed[uint32(rnd.IntN(len(now)))] = true
			}
			var next [][32]byte
			for i, l := range now {
				if removed[uint32(i)] {
					p.Removed = append(p.Removed, uint32(i))
					if round%3 == 0 { // another in its place
						next = append(next, leaf())
						p.At = append(p.At, uint32(len(next)-1))
					}
				} else {
					next = append(next, l)
				}
			}
			if round%3 != 0 {
				for range tt.add {
					at := uint32(rnd.IntN(len(next) + 1))
					if round%3 == 1 {
						at = uint32(len(next)) // at the end
					}
					next = slices.Insert(next, int(at), leaf())
					for i := range p.At {
						if p.At[i] >= at {
							p.At[i]++
						}
					}
					p.At = append(p.At, at)
					slices.Sort(p.At)
				}
			}
			p.Added = make([]match.Record, len(p.At))
			if err := p.Check(len(now)); err != nil {
				t.Fatal(err)
			}
			if h == nil {
				h = list.HashesOf(now)
			}
			if got, want := h.Next(p, len(now), next), list.RootOf(next); got != want {
				t.Fatalf("%d leaves, -%d +%d, round %d: root %x, want %x", tt.size, tt.remove, tt.add, round, got, want)
			}
			now = next
		}
	}
}

// TestHashesOfAnotherListMakeNothing: neither those of another version nor those of a list whose head lies about its root.
func TestHashesOfAnotherListMakeNothing(t *testing.T) {
	v := evolve(t, 3, 200, 5)
	d := diff(t, v[0], v[1])
	if _, err := d.FollowAudit(v[0].audit, list.NewHashes(v[1].audit), nil); !errors.Is(err, list.ErrBase) {
		t.Errorf("hashes of another version: %v, want %v", err, list.ErrBase)
	}
	damaged := slices.Clone(v[0].auditBytes)
	damaged[len(damaged)-70] ^= 1
	a, err := list.OpenAuditHead(damaged)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.FollowAudit(a, list.NewHashes(a), nil); !errors.Is(err, list.ErrBase) {
		t.Errorf("a list whose root is not that of its commitments: %v, want %v", err, list.ErrBase)
	}
	d.Commitments[0][0]++
	if _, err := d.FollowAudit(v[0].audit, list.NewHashes(v[0].audit), nil); !errors.Is(err, list.ErrHash) {
		t.Errorf("another commitment: %v, want %v", err, list.ErrHash)
	}
}

// TestHashesGoFromVersionToVersion: one after the other gives the files that were signed, byte for byte.
func TestHashesGoFromVersionToVersion(t *testing.T) {
	for _, size := range []int{0, 5, 1500} {
		v := evolve(t, 6, size, 1+size/20)
		h := list.NewHashes(v[0].audit)
		for i := 1; i < len(v); i++ {
			got, err := diff(t, v[i-1], v[i]).FollowAudit(v[i-1].audit, h, nil)
			if err != nil || !bytes.Equal(got, v[i].auditBytes) {
				t.Fatalf("%d entries, version %d: another auditor list (%v)", size, i+1, err)
			}
		}
	}
}

// BenchmarkFollowAudit is one auditor list made of the one before, with the hashes of the one before; BenchmarkApplyAudit is without them.
func BenchmarkFollowAudit(b *testing.B) { benchAudit(b, true) }

func BenchmarkApplyAudit(b *testing.B) { benchAudit(b, false) }

func benchAudit(b *testing.B, follow bool) {
	p := big()
	d := p.open(b)
	for b.Loop() {
		var err error
		if follow {
			b.StopTimer()
			h := list.NewHashes(p.from.audit)
			b.StartTimer()
			_, err = d.FollowAudit(p.from.audit, h, nil)
		} else {
			_, err = d.ApplyAudit(p.from.audit, nil)
		}
		if err != nil {
			b.Fatal(err)
		}
	}
}
