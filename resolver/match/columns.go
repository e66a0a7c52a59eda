package match

import (
	"encoding/binary"
	"fmt"
	"hash"
)

// Columns are records, one array for each field: 16, 8, 16 and MetaSize bytes a record.
type Columns struct{ Digests, Gates, IDs, Metas []byte }

// Put sets record i. Several goroutines may set different records at once.
func (c *Columns) Put(i int, r *Record) {
	copy(c.Digests[16*i:16*i+16], r.Digest[:])
	binary.LittleEndian.PutUint64(c.Gates[8*i:], r.Gate)
	copy(c.IDs[16*i:16*i+16], r.EntryID[:])
	AppendMeta(c.Metas[MetaSize*i:MetaSize*i], r.Meta)
}

// Get is record i, checked: closed sets, reserved bytes, an entry id.
func (c *Columns) Get(i int) (Record, error) {
	r := c.record(i)
	if _, err := ReadMeta(c.Metas[MetaSize*i : MetaSize*i+MetaSize]); err != nil {
		return r, err
	}
	if r.EntryID == (EntryID{}) {
		return r, fmt.Errorf("entry id is zero: %w", ErrFormat)
	}
	return r, nil
}

// record is record i without judging it.
func (c *Columns) record(i int) Record {
	return Record{Digest: c.digest(i), Gate: c.gate(i), EntryID: c.entry(i), Meta: c.meta(i)}
}

func (c *Columns) digest(i int) Digest { return Digest(c.Digests[16*i : 16*i+16]) }

func (c *Columns) gate(i int) uint64 { return binary.LittleEndian.Uint64(c.Gates[8*i : 8*i+8]) }

func (c *Columns) entry(i int) EntryID { return EntryID(c.IDs[16*i : 16*i+16]) }

func (c *Columns) meta(i int) Meta { return readMeta(c.Metas[MetaSize*i : MetaSize*i+MetaSize]) }

const blockTag = "cordon/block/v2\n"

var blockTagBytes = []byte(blockTag)

// hashBlock writes SHA-256(blockTag || digests || gates || ids || metas) of the records lo to hi to sum.
func (c *Columns) hashBlock(h hash.Hash, lo, hi int, sum []byte) {
	h.Reset()
	h.Write(blockTagBytes)
	h.Write(c.Digests[16*lo : 16*hi])
	h.Write(c.Gates[8*lo : 8*hi])
	h.Write(c.IDs[16*lo : 16*hi])
	h.Write(c.Metas[MetaSize*lo : MetaSize*hi])
	h.Sum(sum[:0])
}
