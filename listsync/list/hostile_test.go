package list_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"runtime"
	"slices"
	"testing"

	"github.com/cordon-project/cordon/listsync/list"
	"github.com/cordon-project/cordon/listsync/list/listtest"
)

// reseal makes the head's hash of a changed auditor list fit again, as an attacker would.
func reseal(b []byte) {
	const head = 256 + 64 + 64
	if len(b) < head {
		return
	}
	sum := sha256.Sum256(b[:head-64])
	copy(b[head-64:], sum[:])
}

// TestEveryFlippedByteIsRefused flips each bit of each byte of an auditor list; none may open. That of an edge list is with its reader.
func TestEveryFlippedByteIsRefused(t *testing.T) {
	_, good, _ := build(t, listtest.Entries(12, 1), "decoy.example.test")
	for i := range good {
		for bit := range 8 {
			b := slices.Clone(good)
			b[i] ^= 1 << bit
			if _, err := list.OpenAudit(b); err == nil {
				t.Fatalf("byte %d bit %d flipped: opened", i, bit)
			}
		}
	}
	for n := range good {
		if _, err := list.OpenAudit(slices.Clone(good[:n])); err == nil {
			t.Fatalf("cut to %d bytes: opened", n)
		}
	}
	if _, err := list.OpenAudit(append(slices.Clone(good), make([]byte, 64)...)); err == nil {
		t.Fatal("64 bytes added: opened")
	}
}

// TestResealedAuditorListIsRefused: every byte of it is a hash, a root over hashes, or a number that must fit them;
// what is left free is the version, which the signed metadata names too.
func TestResealedAuditorListIsRefused(t *testing.T) {
	edge, good, _ := build(t, listtest.Entries(12, 1))
	e, _ := open(t, edge, good)
	for i := range good {
		b := slices.Clone(good)
		b[i] ^= 0x01
		reseal(b)
		if bytes.Equal(b, good) {
			continue
		}
		a, err := list.OpenAudit(b)
		if err == nil && a.Fits(e) == nil {
			t.Errorf("byte %d changed: opened, and fits the edge list", i)
		}
	}
}

// TestCraftedHeadsAllocateNothing gives OpenAudit heads with valid hashes and absurd sizes.
func TestCraftedHeadsAllocateNothing(t *testing.T) {
	_, good, _ := build(t, listtest.Entries(12, 1))
	for _, at := range []int{8, 12, 16, 40, 64, 256 + 8, 256 + 16} {
		for _, v := range []uint64{0, 1, 1 << 24, 1<<31 - 1, 1 << 32, 1 << 62, 1 << 63, 1<<64 - 1, 1<<64 - 64} {
			b := slices.Clone(good)
			binary.LittleEndian.PutUint64(b[at:], v)
			reseal(b)
			if bytes.Equal(b, good) {
				continue
			}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := list.OpenAudit(b)
			runtime.ReadMemStats(&after)
			if err == nil {
				t.Errorf("field at %d set to %#x: opened", at, v)
			}
			if got := after.TotalAlloc - before.TotalAlloc; got > 64<<10 {
				t.Errorf("field at %d set to %#x: %d bytes allocated for a file of %d", at, v, got, len(b))
			}
		}
	}
}

func FuzzOpenAudit(f *testing.F) {
	_, audit, _ := build(f, listtest.Entries(12, 1))
	_, empty, _ := build(f, nil)
	for _, fit := range []bool{false, true} {
		f.Add(audit, fit)
		f.Add(empty, fit)
	}
	f.Fuzz(func(t *testing.T, b []byte, fit bool) {
		b = slices.Clone(b)
		if fit {
			reseal(b)
		}
		a, err := list.OpenAudit(b)
		if err != nil {
			return
		}
		for i := range a.Len() {
			a.Commitment(i)
		}
	})
}
