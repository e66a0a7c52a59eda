// Package mac computes HMAC-SHA-256 under one key very often: the two inner states that the key alone decides are made
// once and kept. They are as secret as the key, so Close clears them; whoever makes one closes it when its work is done.
package mac

import (
	"crypto/sha256"
	"encoding"
	"hash"
)

const blockSize = 64

// MAC is HMAC-SHA-256 under one key. It is used by one goroutine; Clone makes one for another.
type MAC struct {
	h            hash.Hash
	state        encoding.BinaryUnmarshaler // the same as h
	inner, outer []byte                     // states of SHA-256 after the padded key
}

// New makes the MAC of a key of at most 64 bytes. The key is not kept.
func New(key []byte) *MAC {
	if len(key) > blockSize {
		panic("mac: key longer than a block")
	}
	h := sha256.New()
	m := &MAC{h: h, state: h.(encoding.BinaryUnmarshaler)}
	m.inner = m.pad(key, 0x36)
	m.outer = m.pad(key, 0x5c)
	return m
}

func (m *MAC) pad(key []byte, with byte) []byte {
	var block [blockSize]byte
	copy(block[:], key)
	for i := range block {
		block[i] ^= with
	}
	m.h.Reset()
	m.h.Write(block[:])
	clear(block[:])
	state, err := m.h.(encoding.BinaryMarshaler).MarshalBinary()
	if err != nil {
		panic("mac: " + err.Error()) // SHA-256 of the standard library always has a state
	}
	return state
}

// Clone is a MAC of the same key, for another goroutine.
func (m *MAC) Clone() *MAC {
	h := sha256.New()
	return &MAC{
		h: h, state: h.(encoding.BinaryUnmarshaler), inner: append([]byte(nil), m.inner...), outer: append([]byte(nil), m.outer...),
	}
}

// Sum is the MAC of msg. It allocates nothing.
func (m *MAC) Sum(msg []byte, sum *[sha256.Size]byte) {
	m.load(m.inner)
	m.h.Write(msg)
	m.h.Sum(sum[:0])
	m.load(m.outer)
	m.h.Write(sum[:])
	m.h.Sum(sum[:0])
}

func (m *MAC) load(state []byte) {
	if err := m.state.UnmarshalBinary(state); err != nil {
		panic("mac: used after Close")
	}
}

// Close clears what the key could be replaced with. Sum must not be called after it.
func (m *MAC) Close() {
	clear(m.inner)
	clear(m.outer)
	m.h.Reset()
	var zeros [blockSize]byte
	m.h.Write(zeros[:]) // over the last block of a message
	m.h.Reset()
}
