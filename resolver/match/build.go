package match

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/cordon-project/cordon/resolver/match/section"
)

const magic = "CORDIDX1"

// Sections of an index, in file order. Section i carries the id i+1.
const (
	secBloom = iota
	secFan
	secDigests
	secIDs
	secMeta
	sections
)

// Build makes the index of one list: of its n records those that the filter allows. It is a pure function: the same
// header, filter and set of records give the same bytes on every machine, whatever the order of the records.
//
// record is called several times for each i and must always give the same answer. Build returns ErrOrder for two
// equal records (digest, kind, entry id), ErrFormat for a record or filter outside of the closed sets, ErrTooLarge
// for more than MaxRecords.
func Build(h Header, f Filter, n int, record func(i int) Record) ([]byte, error) {
	if n < 0 || n > MaxRecords {
		return nil, fmt.Errorf("build index of %s: %d records: %w", h.List, n, ErrTooLarge)
	}
	if _, err := ParseListID(string(h.List)); err != nil {
		return nil, fmt.Errorf("build index: %w", err)
	}
	if err := f.Check(); err != nil {
		return nil, fmt.Errorf("build index of %s: %w", h.List, err)
	}
	counts, record, err := survey(f, n, record)
	if err != nil {
		return nil, fmt.Errorf("build index of %s: %w", h.List, err)
	}
	b, err := write(h, f, counts, n, record)
	if err != nil {
		return nil, fmt.Errorf("build index of %s: %w", h.List, err)
	}
	return b, nil
}

// survey checks every record, counts what the filter keeps, and gives back a record function in total order.
func survey(f Filter, n int, record func(i int) Record) (Counts, func(i int) Record, error) {
	var counts Counts
	var last Record
	ordered, allowed := true, f.compile()
	for i := range n {
		r := record(i)
		if err := r.Check(); err != nil {
			return Counts{}, nil, fmt.Errorf("record %d: %w", i, err)
		}
		if allowed.allows(r.Meta) {
			counts.Add(r.Meta)
		} else {
			counts.Dropped++
		}
		if i > 0 && last.Compare(&r) >= 0 {
			ordered = false
		}
		last = r
	}
	if ordered {
		return counts, record, nil
	}
	all := make([]Record, n)
	for i := range all {
		all[i] = record(i)
	}
	slices.SortFunc(all, func(a, b Record) int { return a.Compare(&b) })
	for i := 1; i < n; i++ {
		if all[i-1].Compare(&all[i]) == 0 {
			return Counts{}, nil, fmt.Errorf("entry %s has the same record twice: %w", all[i].EntryID, ErrOrder)
		}
	}
	return counts, func(i int) Record { return all[i] }, nil
}

func write(h Header, f Filter, counts Counts, n int, record func(i int) Record) ([]byte, error) {
	kept := n - int(counts.Dropped)
	bits, fan := bloomBits(kept), fanBits(kept)
	w, err := section.New(magic, []uint64{
		secBloom:   bits / 8,
		secFan:     4 * (1<<fan + 1),
		secDigests: uint64(kept) * 16,
		secIDs:     uint64(kept) * 16,
		secMeta:    uint64(kept) * MetaSize,
	})
	if err != nil {
		return nil, err
	}
	putFields(w.Fields(), h, kept, f.Hash(), counts)
	filter, err := filterOver(w.Section(secBloom), bits)
	if err != nil {
		return nil, err
	}
	fanout, digests, ids, metas := w.Section(secFan), w.Section(secDigests), w.Section(secIDs), w.Section(secMeta)
	allowed := f.compile()
	at, bucket := 0, 0 // records written; buckets whose start is written
	for i := range n {
		r := record(i)
		if !allowed.allows(r.Meta) {
			continue
		}
		for b := bucketOf(&r.Digest, fan); bucket <= b; bucket++ {
			binary.LittleEndian.PutUint32(fanout[4*bucket:], uint32(at))
		}
		filter.add(r.Gate)
		copy(digests[16*at:], r.Digest[:])
		copy(ids[16*at:], r.EntryID[:])
		AppendMeta(metas[MetaSize*at:MetaSize*at], r.Meta)
		at++
	}
	for ; bucket <= 1<<fan; bucket++ {
		binary.LittleEndian.PutUint32(fanout[4*bucket:], uint32(at))
	}
	return w.Seal(), nil
}

// putFields fills the fields of an index head. Everything but the arguments follows from n.
func putFields(fields []byte, h Header, n int, filter [32]byte, counts Counts) {
	PutHeader(fields, h, n)
	binary.LittleEndian.PutUint32(fields[fieldFan:], uint32(fanBits(n)))
	binary.LittleEndian.PutUint64(fields[fieldBloomM:], bloomBits(n))
	binary.LittleEndian.PutUint32(fields[fieldBloomK:], bloomHashes)
	copy(fields[fieldFilter:fieldCounts], filter[:])
	counts.Put(fields)
}

// bucketOf is the fan-out bucket of a digest: its first bits, read as a big-endian number.
func bucketOf(d *Digest, bits int) int {
	return int(binary.BigEndian.Uint32(d[:4]) >> (32 - bits))
}
