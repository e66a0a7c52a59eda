package order

import "fmt"

// Certificate says that a document of this hash is what the log's first Size leaves say of the time from From until before To. It changes
// nothing in force. The document is not in the log: whoever has the leaves makes it again, byte for byte (cluster/audit/certificate).
type Certificate struct {
	From int64    `cbor:"from"`
	To   int64    `cbor:"to"`
	Size uint64   `cbor:"size"` // leaves that it was made from
	Hash [32]byte `cbor:"hash"` // SHA-256 of the document
}

// Kind implements Body.
func (Certificate) Kind() Kind { return KindCertificate }

func (c Certificate) check() error {
	if c.From <= 0 || c.To <= c.From || c.To > maxTime || c.Size == 0 || c.Hash == ([32]byte{}) {
		return bad("certifies no period, or no document")
	}
	return nil
}

func (c Certificate) describe(number uint64) string {
	return fmt.Sprintf("certificate %d: what the first %d leaves say of the time from %s until before %s, SHA-256 %x", number, c.Size, stamp(c.From), stamp(c.To), c.Hash)
}
