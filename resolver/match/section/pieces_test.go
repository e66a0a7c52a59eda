package section

import (
	"bytes"
	"crypto/sha256"
	"hash"
	"math/rand/v2"
	"testing"
)

// pieces notes the longest call of Write.
type pieces struct {
	hash.Hash
	longest int
}

func (p *pieces) Write(b []byte) (int, error) {
	p.longest = max(p.longest, len(b))
	return p.Hash.Write(b)
}

// TestLongWorkIsDoneInPieces: the same bytes come out, and no call is longer than a piece.
func TestLongWorkIsDoneInPieces(t *testing.T) {
	b := make([]byte, 3*piece+1)
	rand.NewChaCha8([32]byte{}).Read(b)
	for _, n := range []int{0, 1, piece - 1, piece, piece + 1, 2 * piece, 3*piece + 1} {
		p := &pieces{Hash: sha256.New()}
		if write(p, b[:n]); p.longest > piece || [32]byte(p.Sum(nil)) != sha256.Sum256(b[:n]) {
			t.Errorf("%d bytes: longest call %d, want %d at most, and the hash is the standard library's: %v", n, p.longest, piece, [32]byte(p.Sum(nil)) == sha256.Sum256(b[:n]))
		}
		if Sum(b[:n]) != sha256.Sum256(b[:n]) {
			t.Errorf("%d bytes: Sum is not the standard library's", n)
		}
		for _, room := range []int{n, n + 1, max(n-1, 0)} {
			dst, want := make([]byte, room+8), make([]byte, room+8)
			Copy(dst[:room], b[:n])
			if copy(want[:room], b[:n]); !bytes.Equal(dst, want) {
				t.Errorf("%d bytes into %d: not what copy does", n, room)
			}
		}
	}
}
