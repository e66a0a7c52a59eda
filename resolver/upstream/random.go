package upstream

import (
	"crypto/rand"
	"encoding/binary"
)

func randomID() uint16 {
	var b [2]byte
	_, _ = rand.Read(b[:]) // never fails since Go 1.24
	return binary.BigEndian.Uint16(b[:])
}

// random gives unguessable numbers, a page of the kernel's at a time. It is called with a shard's lock held.
type random struct {
	bytes [512]byte
	left  int
}

func (r *random) next() uint64 {
	if r.left < 8 {
		_, _ = rand.Read(r.bytes[:]) // never fails since Go 1.24
		r.left = len(r.bytes)
	}
	r.left -= 8
	return binary.LittleEndian.Uint64(r.bytes[r.left:])
}

// mix gives each letter of a name a random case (0x20): what a forger must guess as well.
func (r *random) mix(name []byte) {
	bits, left := r.next(), 64
	for i, c := range name {
		if c < 'a' || c > 'z' { // lengths of labels are below 64
			continue
		}
		if left == 0 {
			bits, left = r.next(), 64
		}
		name[i] = c &^ (byte(bits&1) << 5)
		bits >>= 1
		left--
	}
}
