package store

import (
	"bytes"
	"errors"
	"testing"

	"github.com/hashicorp/raft"
)

func FuzzRecord(f *testing.F) {
	f.Add(uint64(7), encodeLog(entry(7)))
	f.Add(uint64(0), []byte{})
	f.Fuzz(func(t *testing.T, index uint64, b []byte) {
		var l raft.Log
		if err := decodeLog(index, b, &l); err != nil {
			if !errors.Is(err, ErrCorrupt) {
				t.Fatalf("decode: %v, want ErrCorrupt", err)
			}
			return
		}
		if again := encodeLog(&l); !bytes.Equal(again, b) {
			t.Fatalf("decode %x, encode %x", b, again)
		}
	})
}

// BenchmarkStoreLogs is one durable append of a small command.
func BenchmarkStoreLogs(b *testing.B) {
	s, _ := fresh(b)
	i := uint64(0)
	for b.Loop() {
		i++
		if err := s.StoreLog(entry(i)); err != nil {
			b.Fatal(err)
		}
	}
}
