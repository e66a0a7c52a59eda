package mac_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"math/rand/v2"
	"os"
	"runtime"
	"testing"

	"github.com/cordon-project/cordon/resolver/match/mac"
)

func states(t testing.TB, key *[32]byte) *mac.States {
	s := new(mac.States)
	s.Set(key)
	if !s.Ready() {
		b, _ := os.ReadFile("/proc/cpuinfo")
		if runtime.GOARCH == "amd64" && bytes.Contains(b, []byte(" sha_ni ")) {
			t.Fatal("the processor has the instructions, and they are not used")
		}
		return nil
	}
	return s
}

func TestStatesAreTheOrdinaryHMAC(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	buf := make([]byte, mac.Room(1000))
	for range 2000 {
		var key, got [32]byte
		for i := range key {
			key[i] = byte(r.Uint32())
		}
		for i := range buf {
			buf[i] = byte(r.Uint32())
		}
		n := r.IntN(300)
		if r.IntN(10) == 0 {
			n = r.IntN(1001)
		}
		std := hmac.New(sha256.New, key[:])
		std.Write(buf[:n])
		s := states(t, &key)
		if s == nil {
			return
		}
		after := bytes.Clone(buf[mac.Room(n):])
		s.Sum(&got, buf, n)
		if want := [32]byte(std.Sum(nil)); got != want {
			t.Fatalf("message of %d bytes: got %x, want %x", n, got, want)
		}
		if !bytes.Equal(buf[mac.Room(n):], after) {
			t.Fatalf("message of %d bytes: bytes behind its room were changed", n)
		}
	}
}

func BenchmarkStates(b *testing.B) {
	s := states(b, &[32]byte{1})
	buf := make([]byte, mac.Room(55))
	var sum [32]byte
	for b.Loop() {
		s.Sum(&sum, buf, 55)
	}
}
