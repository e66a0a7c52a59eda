package order

import (
	"fmt"
	"time"
)

const (
	// MaxExemption is the longest that an exemption holds before two officers must decide on it again.
	MaxExemption = 30 * 24 * time.Hour

	// MaxExempt is how many prefixes one exemption may have: offices, not networks.
	MaxExempt = 64
)

// Exempt lets lists not be enforced towards the prefixes of accredited analysts until the order expires, in place of any exemption before it; with Lift
// it ends that. What is signed is the SHA-256 of a file that the operator keeps: salted, so that nobody finds an office's address by trying, and the file
// alone opens it. It changes nothing for anybody else.
type Exempt struct {
	Hash  [32]byte `cbor:"hash"`  // SHA-256 of the file; zero with Lift
	Count uint64   `cbor:"count"` // prefixes in it; 0 with Lift
	Lift  bool     `cbor:"lift"`
}

// Kind implements Body.
func (Exempt) Kind() Kind { return KindExempt }

func (e Exempt) check() error {
	switch {
	case e.Lift && (e.Hash != ([32]byte{}) || e.Count != 0):
		return bad("ends an exemption and names one")
	case !e.Lift && (e.Hash == ([32]byte{}) || e.Count == 0 || e.Count > MaxExempt):
		return bad(fmt.Sprintf("exempts nobody, or more than %d prefixes", MaxExempt))
	}
	return nil
}

func (e Exempt) describe(number uint64, expires int64) string {
	if e.Lift {
		return fmt.Sprintf("exemption ended, order %d: lists are enforced towards everybody", number)
	}
	return fmt.Sprintf("exemption %d: lists are not enforced towards %s of accredited analysts until %s, file with SHA-256 %x",
		number, count(int(e.Count), "prefix", "prefixes"), stamp(expires), e.Hash)
}
