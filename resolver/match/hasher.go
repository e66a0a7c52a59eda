package match

import (
	"crypto/sha256"

	"github.com/cordon-project/cordon/resolver/canon"
	"github.com/cordon-project/cordon/resolver/match/mac"
)

// Hasher computes digests and gate hashes of one list by the million: the same as Keys.Digest and Keys.Gate64, at half the
// cost, because it keeps inner states of the key. They are as secret as the key. So it is for the short life of a
// builder, never for lookups; whoever makes one closes it. It is used by one goroutine.
type Hasher struct {
	keys   *Keys
	mac    *mac.MAC
	prefix int // bytes of buf that are the same for every digest
	buf    []byte
}

// Hasher makes a Hasher of a list.
func (k *Keys) Hasher(list ListID) *Hasher {
	h := &Hasher{keys: k, mac: mac.New(k.Match[:]), buf: make([]byte, 0, 512)}
	h.buf = append(h.buf, digestTag...)
	h.buf = append(h.buf, byte(len(list)))
	h.buf = append(h.buf, list...)
	h.prefix = len(h.buf)
	return h
}

// Hash gives digest and gate hash of an expression. It does not keep expr.
func (h *Hasher) Hash(c canon.Class, expr string) (d Digest, gate uint64) {
	h.buf = append(h.buf[:h.prefix], byte(c))
	h.buf = append(h.buf, expr...)
	var sum [sha256.Size]byte
	h.mac.Sum(h.buf, &sum)
	h.buf = append(h.buf, byte(c))
	return Digest(sum[:16]), h.keys.gate(h.buf[h.prefix+1:])
}

// Close clears what the key could be replaced with, and the last expression.
func (h *Hasher) Close() {
	h.mac.Close()
	clear(h.buf[:cap(h.buf)])
}
