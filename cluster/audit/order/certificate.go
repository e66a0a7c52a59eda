package order

import (
	"bytes"
	"fmt"
	"strings"
)

// Certificate says that a document of this hash is what the log's first Size leaves say of the time from From until before To. It changes
// nothing in force. The document is not in the log: whoever has the leaves makes it again, byte for byte (cluster/audit/certificate).
type Certificate struct {
	From int64    `cbor:"from"`
	To   int64    `cbor:"to"`
	Size uint64   `cbor:"size"` // leaves that it was made from
	Hash [32]byte `cbor:"hash"` // SHA-256 of the document
	// Probes are SHA-256 of results of probes from outside, ascending, none twice: the operator's own claim, which no log yields.
	Probes [][32]byte `cbor:"probes"`
}

// Kind implements Body.
func (Certificate) Kind() Kind { return KindCertificate }

func (c Certificate) check() error {
	if c.From <= 0 || c.To <= c.From || c.To > maxTime || c.Size == 0 || c.Hash == ([32]byte{}) {
		return bad("certifies no period, or no document")
	}
	if len(c.Probes) > MaxProbes {
		return bad("names too many probes")
	}
	for i := 1; i < len(c.Probes); i++ {
		if bytes.Compare(c.Probes[i-1][:], c.Probes[i][:]) >= 0 {
			return bad("names probes that are not ascending")
		}
	}
	return nil
}

// MaxProbes is how many results of probes an order may name.
const MaxProbes = 8

func (c Certificate) describe(number uint64) string {
	s := fmt.Sprintf("certificate %d: what the first %d leaves say of the time from %s until before %s, SHA-256 %x", number, c.Size, stamp(c.From), stamp(c.To), c.Hash)
	for i, p := range c.Probes {
		if s += ", "; i == 0 {
			s = strings.TrimSuffix(s, ", ") + "; the operator's own claim: results of probes, SHA-256 "
		}
		s += fmt.Sprintf("%x", p)
	}
	return s
}
