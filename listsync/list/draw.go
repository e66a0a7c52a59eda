package list

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"github.com/cordon-project/cordon/resolver/canon"
	"github.com/cordon-project/cordon/resolver/match"
)

const drawTag = "cordon/draw/v1\n"

// DrawSeed is what decides which entries a sample has: SHA-256 of the tag, the text of a log's checkpoint (u32 length before it), the list
// (u8 length before it), the version, the SHA-256 of its edge list and the asker's 32 random bytes. Who signed the version could not know the
// checkpoint, and who makes checkpoints, who could try one after the other until the draw is to their liking, cannot know the random bytes.
func DrawSeed(checkpoint string, l match.ListID, seq uint64, edge, nonce [32]byte) [32]byte {
	b := append([]byte(nil), drawTag...)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(checkpoint)))
	b = append(b, checkpoint...)
	b = append(b, byte(len(l)))
	b = append(b, l...)
	b = binary.LittleEndian.AppendUint64(b, seq)
	return sha256.Sum256(append(append(b, edge[:]...), nonce[:]...))
}

// Sampled are the records of e that a sample is drawn from, ascending: one for each entry of the hotline. Steer records say nothing of
// their own, decoys are no entries, and canaries are the hotline's harmless ones.
func Sampled(e *Edge) []int {
	var out []int
	for i := range e.Len() {
		if r := e.Record(i); r.Kind != canon.KindSteer && r.Flags&(match.FlagDecoy|match.FlagCanary) == 0 {
			out = append(out, i)
		}
	}
	return out
}

// Draw gives n of from without replacement, in the order of from: every n of them are as likely as any other for a seed that nobody chose.
// Number i is the first 8 bytes of SHA-256(seed ‖ u64 i), all little-endian; one that is not below the greatest multiple of len(from) is
// passed over, and so is one whose remainder was drawn before. It is an error to ask for none or for more than there are.
func Draw(seed [32]byte, n int, from []int) ([]int, error) {
	if n < 1 || n > len(from) {
		return nil, fmt.Errorf("draw %d of %d entries: 1 to %d can be drawn", n, len(from), len(from))
	}
	m := uint64(len(from))
	last := math.MaxUint64 - (math.MaxUint64%m+1)%m // of those that are as often in each class of remainders
	drawn := make(map[uint64]bool, n)
	var block [40]byte
	copy(block[:], seed[:])
	for i := uint64(0); len(drawn) < n; i++ {
		binary.LittleEndian.PutUint64(block[32:], i)
		sum := sha256.Sum256(block[:])
		if x := binary.LittleEndian.Uint64(sum[:]); x <= last {
			drawn[x%m] = true
		}
	}
	out := make([]int, 0, n)
	for at := range drawn {
		out = append(out, from[at])
	}
	slices.Sort(out)
	return out, nil
}
