package list

import (
	"bytes"
	"fmt"

	"github.com/cordon-project/cordon/resolver/match"
	"github.com/cordon-project/cordon/resolver/match/section"
)

// Fields of an auditor list behind the common header.
const (
	fieldEdge = 136 // head hash of the edge list it belongs to
	fieldRoot = 168 // entries root; it covers the commitments, which have no other hash
)

// auditWriter fills one auditor list: a commitment in each place, then seal.
type auditWriter struct {
	w      *section.Writer
	leaves []byte
}

func newAuditWriter(v Version, n int, room section.Room) (*auditWriter, error) {
	w, err := section.NewIn(room, magicAudit, 1, []uint64{32 * uint64(n)})
	if err != nil {
		return nil, err
	}
	match.PutHeader(w.Fields(), v, n)
	return &auditWriter{w, w.Section(0)}, nil
}

func (a *auditWriter) leaf(i int) []byte { return a.leaves[32*i : 32*i+32] }

func (a *auditWriter) seal(edge, root [32]byte) []byte {
	copy(a.w.Fields()[fieldEdge:], edge[:])
	copy(a.w.Fields()[fieldRoot:], root[:])
	return a.w.Seal()
}

// Audit is an auditor list: one commitment for each record of the edge list, in the same order, and their root. It is a
// view of the bytes it was opened on, which must not change while it is in use. Any number of goroutines may read it.
type Audit struct {
	r       *section.Reader
	version Version
	n       int
	edge    [32]byte
	root    [32]byte
	leaves  []byte
}

// OpenAudit checks b from the first byte to the last: sizes, hashes, reserved bytes, and the root, which it recomputes.
// It copies nothing and keeps one hash for 4,096 commitments.
func OpenAudit(b []byte) (*Audit, error) {
	a, err := OpenAuditHead(b)
	if err != nil {
		return nil, err
	}
	if root := rootOf(a.leaves); root != a.root {
		return nil, fmt.Errorf("open auditor list of %s: entries root: %w", a.version.List, ErrHash)
	}
	return a, nil
}

// OpenAuditHead checks only the head of b and the sizes in it. The commitments are only worth something when something else covers
// them: the hash of the file, or a root computed later.
func OpenAuditHead(b []byte) (*Audit, error) {
	r, err := section.Open(b, magicAudit, 1, 1)
	if err != nil {
		return nil, err
	}
	fields := r.Fields()
	version, n, err := match.ReadHeader(fields)
	if err != nil {
		return nil, fmt.Errorf("open auditor list: %w", err)
	}
	a := &Audit{
		r: r, version: version, n: n, leaves: r.Section(0),
		edge: [32]byte(fields[fieldEdge:]), root: [32]byte(fields[fieldRoot:]),
	}
	var want [section.FieldsSize]byte
	match.PutHeader(want[:], version, n)
	copy(want[fieldEdge:], a.edge[:])
	copy(want[fieldRoot:], a.root[:])
	switch {
	case !bytes.Equal(fields, want[:]):
		return nil, fmt.Errorf("open auditor list: reserved bytes are not zero: %w", ErrFormat)
	case len(a.leaves) != 32*n:
		return nil, fmt.Errorf("open auditor list: %d bytes for %d commitments: %w", len(a.leaves), n, ErrFormat)
	}
	return a, nil
}

// Version says which version of which list this is.
func (a *Audit) Version() Version { return a.version }

// Bytes is the whole file. The caller must not write to it while a is in use.
func (a *Audit) Bytes() []byte { return a.r.Bytes() }

// Len is the number of commitments.
func (a *Audit) Len() int { return a.n }

// Commitment is the commitment to record i of the edge list.
func (a *Audit) Commitment(i int) [32]byte { return [32]byte(a.leaves[32*i : 32*i+32]) }

// Root is the entries root, recomputed by OpenAudit.
func (a *Audit) Root() [32]byte { return a.root }

// Fits reports an error unless e is the edge list that a was made with: the same version, and the same content.
func (a *Audit) Fits(e *Edge) error {
	switch {
	case a.version != e.Version(), a.n != e.Len():
		return fmt.Errorf("compare auditor list of %s: another version than the edge list: %w", a.version.List, ErrFormat)
	case a.edge != e.Hash():
		return fmt.Errorf("compare auditor list of %s: made for another edge list: %w", a.version.List, ErrHash)
	}
	return nil
}
