package match

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"

	"github.com/dchest/siphash"

	"github.com/cordon-project/cordon/resolver/canon"
	"github.com/cordon-project/cordon/resolver/match/mac"
)

// Keys are the two secrets of one list and epoch. They live in memory only; whoever holds them can test guesses
// against that epoch's files. A Set keeps the pointer it is given and never copies the keys to the heap.
type Keys struct {
	Match [32]byte // HMAC-SHA-256 key of digests
	Gate  [16]byte // SipHash-2-4 key of gate hashes

	states mac.States // of Match, once Prepare was called
}

// Prepare makes digests cost a third, on a processor with SHA instructions, by states of Match that are kept beside it. Match must not change
// afterwards. It is for whoever holds keys for lookups, before anybody else has them; what it leaves in memory is the caller's to erase (locked.Do).
func (k *Keys) Prepare() { k.states.Set(&k.Match) }

// Format hides the keys from every verb of fmt.
func (Keys) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("match.Keys(redacted)")) }

// LogValue hides the keys from slog.
func (Keys) LogValue() slog.Value { return slog.StringValue("match.Keys(redacted)") }

// MarshalJSON refuses: keys leave memory only wrapped (listsync/trust), field by field.
func (Keys) MarshalJSON() ([]byte, error) {
	return nil, errors.New("encode match keys: they are never written as text")
}

const (
	digestTag = "cordon/digest/v1\n"

	readyRoom    = 6 * 64 // bytes of a message that the prepared way takes, padding included: any name, of any list
	longestReady = readyRoom - 9
)

// Digest is HMAC-SHA-256(Match, "cordon/digest/v1\n" || u8 len(list) || list || u8 class || expr), first 16 bytes.
// The list id is at most MaxListID bytes. It may be called concurrently and does not keep expr.
//
// Hot path on a Bloom hit: no allocation for expressions up to 512 bytes, see TestLookupAllocs.
func (k *Keys) Digest(list ListID, c canon.Class, expr []byte) Digest {
	n := len(digestTag) + 1 + len(list) + 1 + len(expr)
	if k.states.Ready() && n <= longestReady {
		var buf [readyRoom]byte
		msg := append(append(append(buf[:0], digestTag...), byte(len(list))), list...)
		msg = append(append(msg, byte(c)), expr...)
		var sum [sha256.Size]byte
		k.states.Sum(&sum, buf[:], len(msg))
		return Digest(sum[:16])
	}
	return k.digest(list, c, expr)
}

// digest is Digest of keys that are not prepared.
func (k *Keys) digest(list ListID, c canon.Class, expr []byte) Digest {
	growStack(0)
	var stack [64 + len(digestTag) + 1 + MaxListID + 1 + 512]byte
	msg := stack[:64]
	for i := range k.Match { // by index: ranging over an array's values copies it to the stack
		msg[i] = k.Match[i] ^ 0x36
	}
	for i := len(k.Match); i < 64; i++ {
		msg[i] = 0x36
	}
	msg = append(msg, digestTag...)
	msg = append(msg, byte(len(list)))
	msg = append(msg, list...)
	msg = append(msg, byte(c))
	msg = append(msg, expr...)
	inner := sha256.Sum256(msg)
	clear(msg[:64]) // key material must not outlive the call, on the heap neither when msg grew
	clear(stack[:64])

	var outer [64 + sha256.Size]byte
	for i := range k.Match {
		outer[i] = k.Match[i] ^ 0x5c
	}
	for i := len(k.Match); i < 64; i++ {
		outer[i] = 0x5c
	}
	copy(outer[64:], inner[:])
	sum := sha256.Sum256(outer[:])
	clear(outer[:64])
	return Digest(sum[:16])
}

// growStack makes sure that what Digest calls finds room on this goroutine's stack: when a stack grows it is copied, and the old one, with
// the key in it, is given back as it is. Found in the memory of a live edge.
//
//go:noinline
func growStack(i int) byte {
	var room [2048]byte // SHA-256 takes about half of it
	return room[i]
}

// Gate64 is SipHash-2-4(Gate, expr || u8 class). The class trails, so that every label suffix of one buffer shares
// the tail byte and none has to be copied. It may be called concurrently; lookups use a buffer that has it already.
func (k *Keys) Gate64(c canon.Class, expr []byte) uint64 {
	var stack [256]byte
	return k.gate(append(append(stack[:0], expr...), byte(c)))
}

// gate hashes an expression that already has its class byte at the end.
//
// Hot path: no allocation, see TestLookupAllocs.
func (k *Keys) gate(tailed []byte) uint64 {
	return siphash.Hash(binary.LittleEndian.Uint64(k.Gate[0:8]), binary.LittleEndian.Uint64(k.Gate[8:16]), tailed)
}
