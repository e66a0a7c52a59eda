package list

import (
	"slices"

	"github.com/cordon-project/cordon/resolver/match"
)

// RootOf is the root over these leaves, computed from nothing.
func RootOf(leaves [][32]byte) [32]byte { return rootOf(flat(leaves)) }

// HashesOf are the hashes of these leaves.
func HashesOf(leaves [][32]byte) *Hashes {
	h := &Hashes{}
	h.next(nil, 0, flat(leaves))
	return h
}

// Next goes on to these leaves.
func (h *Hashes) Next(p *match.Patch, from int, leaves [][32]byte) [32]byte {
	return h.next(p, from, flat(leaves))
}

func flat(leaves [][32]byte) []byte {
	var b []byte
	for _, l := range leaves {
		b = append(b, l[:]...)
	}
	return slices.Clip(b)
}
