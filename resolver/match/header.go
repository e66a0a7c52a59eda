package match

import (
	"encoding/binary"
	"fmt"

	"github.com/cordon-project/cordon/resolver/canon"
	"github.com/cordon-project/cordon/resolver/match/section"
)

// Header says which version of which list a file belongs to.
type Header struct {
	List    ListID
	Seq     uint64
	Epoch   uint32   // of the keys its digests were made with
	CanonID [32]byte // canon.ID of the hotline's canonicaliser
}

// Offsets in the fields of a head, counted from the start of the file in FORMAT.md (there: 24 more).
// Edge lists, indexes, auditor lists and deltas put the same header at the same place.
const (
	fieldSeq     = 0
	fieldEpoch   = 8
	fieldBlocks  = 12
	fieldRecords = 16
	fieldBloomM  = 24
	fieldBloomK  = 32
	fieldList    = 40
	fieldCanon   = 104
	fieldEdge    = 136
	fieldCounts  = 168
	fieldUnused  = 196
)

// PutHeader writes h and the number of records into the fields of a head. It panics when the list id is not valid.
func PutHeader(fields []byte, h Header, records int) {
	if _, err := ParseListID(string(h.List)); err != nil {
		panic("match: " + err.Error())
	}
	binary.LittleEndian.PutUint64(fields[fieldSeq:], h.Seq)
	binary.LittleEndian.PutUint32(fields[fieldEpoch:], h.Epoch)
	binary.LittleEndian.PutUint64(fields[fieldRecords:], uint64(records))
	fields[fieldList] = byte(len(h.List))
	copy(fields[fieldList+1:fieldCanon], h.List)
	copy(fields[fieldCanon:fieldEdge], h.CanonID[:])
}

// ReadHeader reads what PutHeader wrote; records is at most MaxRecords.
func ReadHeader(fields []byte) (h Header, records int, err error) {
	if len(fields) != section.FieldsSize {
		return Header{}, 0, fmt.Errorf("read header: %d bytes: %w", len(fields), ErrFormat)
	}
	n := binary.LittleEndian.Uint64(fields[fieldRecords:])
	if n > MaxRecords {
		return Header{}, 0, fmt.Errorf("read header: %d records: %w", n, ErrTooLarge)
	}
	size := int(fields[fieldList])
	if size > MaxListID {
		return Header{}, 0, fmt.Errorf("read header: list id of %d bytes: %w", size, ErrFormat)
	}
	id := fields[fieldList+1 : fieldCanon]
	list, err := ParseListID(string(id[:size]))
	if err != nil {
		return Header{}, 0, err
	}
	for _, c := range id[size:] {
		if c != 0 {
			return Header{}, 0, fmt.Errorf("read header: bytes after the list id are not zero: %w", ErrFormat)
		}
	}
	return Header{
		List:    list,
		Seq:     binary.LittleEndian.Uint64(fields[fieldSeq:]),
		Epoch:   binary.LittleEndian.Uint32(fields[fieldEpoch:]),
		CanonID: [32]byte(fields[fieldCanon:fieldEdge]),
	}, int(n), nil
}

// Counts is how many records of each sort a file has.
type Counts struct {
	URL, Prefix, Host, Domain, Steer uint32 // by kind
	Canary, Decoy                    uint32 // by flag; they are counted under their kind too
}

// Add counts one record.
func (c *Counts) Add(m Meta) {
	switch m.Kind {
	case canon.KindURL:
		c.URL++
	case canon.KindPrefix:
		c.Prefix++
	case canon.KindHost:
		c.Host++
	case canon.KindDomain:
		c.Domain++
	case canon.KindSteer:
		c.Steer++
	}
	switch m.Flags {
	case FlagCanary:
		c.Canary++
	case FlagDecoy:
		c.Decoy++
	}
}

// Put writes c into the fields of a head.
func (c Counts) Put(fields []byte) {
	for i, n := range c.list() {
		binary.LittleEndian.PutUint32(fields[fieldCounts+4*i:], n)
	}
}

// ReadCounts reads what Put wrote.
func ReadCounts(fields []byte) Counts {
	at := func(i int) uint32 { return binary.LittleEndian.Uint32(fields[fieldCounts+4*i:]) }
	return Counts{URL: at(0), Prefix: at(1), Host: at(2), Domain: at(3), Steer: at(4), Canary: at(5), Decoy: at(6)}
}

func (c Counts) list() [7]uint32 {
	return [7]uint32{c.URL, c.Prefix, c.Host, c.Domain, c.Steer, c.Canary, c.Decoy}
}

// plus adds two counts up.
func (c Counts) plus(o Counts) Counts {
	return Counts{
		c.URL + o.URL, c.Prefix + o.Prefix, c.Host + o.Host, c.Domain + o.Domain, c.Steer + o.Steer, c.Canary + o.Canary, c.Decoy + o.Decoy,
	}
}

// less takes one record out; it has been added before.
func (c Counts) less(m Meta) Counts {
	var one Counts
	one.Add(m)
	return Counts{
		c.URL - one.URL, c.Prefix - one.Prefix, c.Host - one.Host, c.Domain - one.Domain, c.Steer - one.Steer, c.Canary - one.Canary, c.Decoy - one.Decoy,
	}
}

// Kinds is the number of entries of each kind that has any: steer records and decoys are not entries.
func (c Counts) Kinds() map[string]int {
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
