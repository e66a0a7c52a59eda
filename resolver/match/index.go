package match

import (
	"bytes"
	"crypto/subtle"
	"encoding/binary"
	"fmt"

	"github.com/cordon-project/cordon/resolver/match/section"
)

// Index is one list compiled: a Bloom filter, a fan-out table, the sorted digests, entry ids and meta. It is a view of
// the bytes it was opened on, which must not change or go away while it is in use. Any number of goroutines may use it.
type Index struct {
	r       *section.Reader
	header  Header
	n       int
	fan     int
	charter [32]byte // hash of the charter's filter
	counts  Counts
	bloom   *filter
	fanout  []byte
	digests []byte
	ids     []byte
	metas   []byte
}

// Open checks b from the first byte to the last and returns the index over it: the head as OpenHead does, then every
// section hash, the strict order of the records, the fan-out, each meta word and the counts. It copies nothing, and
// allocates a few hundred bytes whatever b says. b may be a read-only mapping; it must be aligned to 8 bytes.
func Open(b []byte) (*Index, error) {
	x, err := OpenHead(b)
	if err != nil {
		return nil, err
	}
	if err := x.Verify(); err != nil {
		return nil, err
	}
	return x, nil
}

// OpenHead checks only the head of b and the sizes in it, in microseconds whatever the size of the file. The index
// answers without ever leaving b, but what it answers is only worth something when the sections are known to be good:
// after Verify, or when the same file was verified before (an edge that restarts on a file it wrote itself).
func OpenHead(b []byte) (*Index, error) {
	r, err := section.Open(b, magic, sections)
	if err != nil {
		return nil, err
	}
	fields := r.Fields()
	header, n, err := ReadHeader(fields)
	if err != nil {
		return nil, fmt.Errorf("open index: %w", err)
	}
	x := &Index{
		r: r, header: header, n: n, fan: fanBits(n),
		charter: [32]byte(fields[fieldFilter:fieldCounts]), counts: ReadCounts(fields),
		fanout: r.Section(secFan), digests: r.Section(secDigests), ids: r.Section(secIDs), metas: r.Section(secMeta),
	}
	var want [section.FieldsSize]byte // whatever is not a field of this format must be zero, sizes must follow from n
	putFields(want[:], header, n, x.charter, x.counts)
	switch {
	case !bytes.Equal(fields, want[:]):
		return nil, fmt.Errorf("open index: head fields are not what %d records need: %w", n, ErrFormat)
	case len(x.fanout) != 4*(1<<x.fan+1), len(x.digests) != 16*n, len(x.ids) != 16*n, len(x.metas) != MetaSize*n:
		return nil, fmt.Errorf("open index: section sizes do not fit %d records: %w", n, ErrFormat)
	}
	if x.bloom, err = filterOver(r.Section(secBloom), bloomBits(n)); err != nil {
		return nil, err
	}
	return x, nil
}

// Verify checks everything behind the head. It reads the whole file once and changes nothing, so lookups may go on.
func (x *Index) Verify() error {
	if err := x.r.Verify(); err != nil {
		return err
	}
	counts := Counts{Dropped: x.counts.Dropped}
	bucket := 0
	var last, this Record
	for i := range x.n {
		m, err := ReadMeta(x.metas[MetaSize*i : MetaSize*(i+1)])
		if err != nil {
			return fmt.Errorf("verify index: record %d: %w", i, err)
		}
		counts.Add(m)
		this.Digest, this.EntryID, this.Meta = Digest(x.digests[16*i:]), EntryID(x.ids[16*i:]), m
		if i > 0 && last.Compare(&this) >= 0 {
			return fmt.Errorf("verify index: record %d: %w", i, ErrOrder)
		}
		for b := bucketOf(&this.Digest, x.fan); bucket <= b; bucket++ {
			if x.start(bucket) != uint32(i) {
				return fmt.Errorf("verify index: fan-out of bucket %d: %w", bucket, ErrFormat)
			}
		}
		last = this
	}
	for ; bucket <= 1<<x.fan; bucket++ {
		if x.start(bucket) != uint32(x.n) {
			return fmt.Errorf("verify index: fan-out of bucket %d: %w", bucket, ErrFormat)
		}
	}
	if counts != x.counts {
		return fmt.Errorf("verify index: counts %+v, have %+v: %w", x.counts, counts, ErrFormat)
	}
	return nil
}

// Header says which version of which list this is.
func (x *Index) Header() Header { return x.header }

// Len is the number of records.
func (x *Index) Len() int { return x.n }

// Hash names the index: the SHA-256 of its head, which holds the SHA-256 of every section. It costs nothing to ask,
// also for a file of a gigabyte. It is not the SHA-256 of the whole file.
func (x *Index) Hash() [32]byte { return x.r.Hash() }

// FilterHash is Filter.Hash of the charter filter the index was built with.
func (x *Index) FilterHash() [32]byte { return x.charter }

// Counts is how many records of each sort the index has, and how many the filter kept out.
func (x *Index) Counts() Counts { return x.counts }

func (x *Index) start(bucket int) uint32 { return binary.LittleEndian.Uint32(x.fanout[4*bucket:]) }

// find is the position of the first record with digest d, or Len. The way to the candidate follows the first bits
// of a keyed digest; the candidate itself is confirmed in constant time by is.
//
// Hot path on a Bloom hit: no allocation, see TestLookupAllocs.
func (x *Index) find(d *Digest) int {
	bucket := bucketOf(d, x.fan)
	lo, hi := int(x.start(bucket)), int(x.start(bucket+1))
	if lo > hi || hi > x.n {
		return x.n // only in a file that was never verified
	}
	for lo < hi {
		mid := int(uint(lo+hi) >> 1)
		if bytes.Compare(x.digests[16*mid:16*mid+16], d[:]) < 0 {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo
}

// is reports whether record i has digest d; i may be Len.
func (x *Index) is(i int, d *Digest) bool {
	return i < x.n && subtle.ConstantTimeCompare(x.digests[16*i:16*i+16], d[:]) == 1
}

func (x *Index) meta(i int) Meta { return readMeta(x.metas[MetaSize*i : MetaSize*i+MetaSize]) }

func (x *Index) entry(i int) EntryID { return EntryID(x.ids[16*i : 16*i+16]) }
