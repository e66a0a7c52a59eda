package list

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/cordon-project/cordon/resolver/canon"
	"github.com/cordon-project/cordon/resolver/match"
	"github.com/cordon-project/cordon/resolver/match/section"
)

// Sections of an edge list, in file order. Section i carries the id i+1.
const (
	edgeDigests = iota
	edgeGates
	edgeIDs
	edgeMeta
	edgeSections
)

// Edge is an edge list: digest, gate hash, entry id and meta of every record, in total order. It is a view of the
// bytes it was opened on, which must not change while it is in use. Any number of goroutines may read it.
type Edge struct {
	r                          *section.Reader
	version                    Version
	n                          int
	counts                     match.Counts
	digests, gates, ids, metas []byte
}

// OpenEdge checks b from the first byte to the last: sizes, hashes, reserved bytes, closed sets, strict order, counts,
// and that page entries and steer records pair up. It copies nothing and allocates a few hundred bytes whatever b says.
func OpenEdge(b []byte) (*Edge, error) {
	r, err := section.Open(b, magicEdge, edgeSections)
	if err != nil {
		return nil, err
	}
	fields := r.Fields()
	version, n, err := match.ReadHeader(fields)
	if err != nil {
		return nil, fmt.Errorf("open edge list: %w", err)
	}
	e := &Edge{
		r: r, version: version, n: n, counts: match.ReadCounts(fields),
		digests: r.Section(edgeDigests), gates: r.Section(edgeGates), ids: r.Section(edgeIDs), metas: r.Section(edgeMeta),
	}
	var want [section.FieldsSize]byte
	match.PutHeader(want[:], version, n)
	e.counts.Put(want[:])
	switch {
	case !bytes.Equal(fields, want[:]):
		return nil, fmt.Errorf("open edge list: reserved bytes are not zero: %w", ErrFormat)
	case len(e.digests) != 16*n, len(e.gates) != 8*n, len(e.ids) != 16*n, len(e.metas) != match.MetaSize*n:
		return nil, fmt.Errorf("open edge list: section sizes do not fit %d records: %w", n, ErrFormat)
	}
	if err := r.Verify(); err != nil {
		return nil, fmt.Errorf("open edge list: %w", err)
	}
	if err := e.check(); err != nil {
		return nil, fmt.Errorf("open edge list of %s: %w", version.List, err)
	}
	return e, nil
}

func (e *Edge) check() error {
	var counts match.Counts
	var last match.Record
	var unpaired match.EntryID // XOR over the ids of page entries and of their steer records: zero when each has its other
	for i := range e.n {
		if err := metaError(e.metas[match.MetaSize*i : match.MetaSize*(i+1)]); err != nil {
			return fmt.Errorf("record %d: %w", i, err)
		}
		r := e.Record(i)
		if i > 0 && last.Compare(&r) >= 0 {
			return fmt.Errorf("record %d: %w", i, ErrOrder)
		}
		if i > 0 && r.Kind != canon.KindSteer && r.Kind == last.Kind && r.Digest == last.Digest {
			return fmt.Errorf("record %d: the same expression and kind twice: %w", i, ErrOrder)
		}
		if r.EntryID == (match.EntryID{}) {
			return fmt.Errorf("record %d: entry id is zero: %w", i, ErrFormat)
		}
		counts.Add(r.Meta)
		if r.Kind.Class() == canon.ClassPage || r.Kind == canon.KindSteer && r.Flags != match.FlagDecoy {
			for j := range unpaired {
				unpaired[j] ^= r.EntryID[j]
			}
		}
		last = r
	}
	if counts != e.counts {
		return fmt.Errorf("counts %+v, have %+v: %w", e.counts, counts, ErrFormat)
	}
	if counts.URL+counts.Prefix != counts.Steer-counts.Decoy || unpaired != (match.EntryID{}) {
		return fmt.Errorf("page entries and steer records do not pair up: %w", ErrFormat)
	}
	return nil
}

func metaError(b []byte) error {
	_, err := match.ReadMeta(b)
	return err
}

// Version says which version of which list this is.
func (e *Edge) Version() Version { return e.version }

// Len is the number of records.
func (e *Edge) Len() int { return e.n }

// Counts is how many records of each sort there are.
func (e *Edge) Counts() match.Counts { return e.counts }

// Kinds is the number of entries of each kind that has any: steer records and decoys are not entries. It is what
// Summary.Kinds said when the list was built.
func (e *Edge) Kinds() map[string]int { return entryKinds(e.counts) }

// Record is record i in total order (digest, kind, entry id).
func (e *Edge) Record(i int) match.Record {
	m, _ := match.ReadMeta(e.metas[match.MetaSize*i : match.MetaSize*(i+1)]) // check has seen its error
	return match.Record{
		Digest:  match.Digest(e.digests[16*i : 16*i+16]),
		Gate:    binary.LittleEndian.Uint64(e.gates[8*i:]),
		EntryID: match.EntryID(e.ids[16*i : 16*i+16]),
		Meta:    m,
	}
}

// Compile makes the index of an edge list under a charter's filter: a pure function that anyone can repeat without a
// key. Its errors are those of match.Build.
func Compile(e *Edge, f match.Filter) ([]byte, error) {
	return match.Build(e.version, f, e.n, e.Record)
}

func entryKinds(c match.Counts) map[string]int {
	kinds := make(map[string]int)
	for k, n := range map[canon.Kind]uint32{
		canon.KindURL: c.URL, canon.KindPrefix: c.Prefix, canon.KindHost: c.Host, canon.KindDomain: c.Domain,
	} {
		if n > 0 {
			kinds[k.String()] = int(n)
		}
	}
	return kinds
}
