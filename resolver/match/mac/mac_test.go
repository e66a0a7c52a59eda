package mac_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"testing"

	"github.com/cordon-project/cordon/resolver/match/mac"
)

func TestIsTheOrdinaryHMAC(t *testing.T) {
	for _, size := range []int{0, 1, 32, 64} {
		key := bytes.Repeat([]byte{0xa5}, size)
		m := mac.New(key)
		other := m.Clone()
		for _, n := range []int{0, 1, 55, 56, 63, 64, 65, 1000} {
			msg := bytes.Repeat([]byte{'x'}, n)
			std := hmac.New(sha256.New, key)
			std.Write(msg)
			var got, again [32]byte
			m.Sum(msg, &got)
			other.Sum(msg, &again)
			if want := [32]byte(std.Sum(nil)); got != want || again != want {
				t.Errorf("key of %d, message of %d bytes: got %x and %x, want %x", size, n, got, again, want)
			}
		}
	}
}

func TestSumAllocatesNothing(t *testing.T) {
	m := mac.New([]byte("key"))
	msg := make([]byte, 100)
	var sum [32]byte
	if n := testing.AllocsPerRun(100, func() { m.Sum(msg, &sum) }); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}

func TestAClosedOneIsNotUsed(t *testing.T) {
	m := mac.New([]byte("key"))
	clone := m.Clone()
	m.Close()
	var sum [32]byte
	clone.Sum(nil, &sum) // a clone lives on
	defer func() {
		if recover() == nil {
			t.Error("Sum after Close: no panic")
		}
	}()
	m.Sum(nil, &sum)
}

func BenchmarkSum(b *testing.B) {
	m := mac.New([]byte("key"))
	msg := make([]byte, 55)
	var sum [32]byte
	b.ReportAllocs()
	for range b.N {
		m.Sum(msg, &sum)
	}
}
