package mac

import (
	"crypto/sha256"
	"encoding"
	"encoding/binary"
)

// States are what HMAC-SHA-256 needs of a key: the two states of SHA-256 behind the padded key, in the order in which the processor's own
// instructions take them. They are as secret as the key, and lie where it lies: Sum copies them to registers and nowhere else, so whoever has
// a key in locked memory keeps them beside it. The zero value is not ready.
type States struct {
	words [16]uint32 // inner F E B A, H G D C; outer the same
	ready bool
}

const lengthSize = 8 // bytes of a message's length at its end

// Set makes them of a key, which is not kept. On a processor without the instructions it does nothing. Copies that the library leaves in memory are
// the caller's to erase (locked.Do).
func (s *States) Set(key *[32]byte) {
	if !hardware {
		return
	}
	h := sha256.New()
	var block, state [2 * blockSize]byte
	for i, with := range []byte{0x36, 0x5c} {
		for j := range blockSize {
			block[j] = with
		}
		for j := range key {
			block[j] ^= key[j]
		}
		h.Reset()
		h.Write(block[:blockSize])
		b, err := h.(encoding.BinaryAppender).AppendBinary(state[:0])
		if err != nil {
			panic("mac: " + err.Error()) // SHA-256 of the standard library always has a state
		}
		const magic = 4 // bytes in front of the state
		for j, from := range [8]int{5, 4, 1, 0, 7, 6, 3, 2} {
			s.words[8*i+j] = binary.BigEndian.Uint32(b[magic+4*from:])
		}
	}
	h.Reset()
	clear(block[:])
	clear(state[:])
	s.ready = true
}

// Ready reports whether Sum may be called.
func (s *States) Ready() bool { return s.ready }

// Room is how many bytes Sum needs for a message of n.
func Room(n int) int { return (n + 1 + lengthSize + blockSize - 1) / blockSize * blockSize }

// Sum is the HMAC of the first n bytes of buf. It writes behind them, up to Room(n).
//
// Hot path: no allocation, see TestSumAllocatesNothing.
func (s *States) Sum(out *[sha256.Size]byte, buf []byte, n int) {
	if !s.ready {
		panic("mac: states of no key")
	}
	buf = buf[:Room(n)]
	buf[n] = 0x80
	end := len(buf) - lengthSize
	clear(buf[n+1 : end])
	binary.BigEndian.PutUint64(buf[end:], 8*uint64(blockSize+n))
	sum(out, s, &buf[0], len(buf)/blockSize)
}
