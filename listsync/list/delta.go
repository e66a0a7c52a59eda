package list

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cordon-project/cordon/resolver/match"
	"github.com/cordon-project/cordon/resolver/match/section"
)

const magicDelta = "CORDDLT2"

// Sections of a delta, in file order. Section i carries the id i+1.
const (
	deltaRemoved = iota
	deltaAt
	deltaDigests
	deltaGates
	deltaIDs
	deltaMetas
	deltaCommitments
	deltaSections
)

// Fields of a delta behind the common header, which is that of the newer version.
const (
	fieldFromSeq     = 24
	fieldFromRecords = 32
	fieldFrom        = 136 // head hash of the older edge list
	fieldTo          = 168 // of the newer one
	fieldToRoot      = 200 // entries root of the newer auditor list
)

// Sentinel of Apply and Merge.
var ErrBase = errors.New("delta is not made for this list")

// Delta is how the files of one version of a list become those of a later one of the same key epoch. What it says of the
// result is checked when it is applied; who may say it is a matter of signatures over the delta's file and the
// result's hash.
type Delta struct {
	Version     Version // of the newer list
	FromSeq     uint64
	FromRecords int
	From, To    [32]byte // match.Edge.Hash of both
	Root        [32]byte // entries root of the newer list
	Patch       match.Patch
	Commitments [][32]byte // of the records that come
}

// Diff makes the smallest delta between two versions. audit belongs to the newer one. It returns ErrBase for versions that
// no delta leads between: of two lists, of two key epochs (every record differs), or backwards.
func Diff(from, to *Edge, audit *Audit) (*Delta, error) {
	a, b := from.Version(), to.Version()
	if a.List != b.List || a.Epoch != b.Epoch || a.Seq >= b.Seq {
		return nil, fmt.Errorf("compare %s seq %d epoch %d with %s seq %d epoch %d: %w", a.List, a.Seq, a.Epoch, b.List, b.Seq, b.Epoch, ErrBase)
	}
	if err := audit.Fits(to); err != nil {
		return nil, err
	}
	d := &Delta{
		Version: b, FromSeq: a.Seq, FromRecords: from.Len(), From: from.Hash(), To: to.Hash(), Root: audit.Root(),
		Patch: *match.Diff(from, to),
	}
	for _, at := range d.Patch.At {
		d.Commitments = append(d.Commitments, audit.Commitment(int(at)))
	}
	return d, nil
}

// records is how many the newer list has.
func (d *Delta) records() int { return d.FromRecords - len(d.Patch.Removed) + len(d.Patch.Added) }

// Size is the length of the file that Encode makes.
func (d *Delta) Size() int64 {
	size := int64(256 + 64*deltaSections + 64)
	for _, n := range d.lengths() {
		size += (int64(n) + section.Align - 1) / section.Align * section.Align
	}
	return size
}

func (d *Delta) lengths() []uint64 {
	removed, added := uint64(len(d.Patch.Removed)), uint64(len(d.Patch.Added))
	return deltaLengths(removed, added)
}

func deltaLengths(removed, added uint64) []uint64 {
	return []uint64{
		deltaRemoved: 4 * removed, deltaAt: 4 * added, deltaDigests: 16 * added, deltaGates: 8 * added, deltaIDs: 16 * added,
		deltaMetas: match.MetaSize * added, deltaCommitments: 32 * added,
	}
}

// Encode is the file of d. It returns ErrTooLarge when there is no room for it in one.
func (d *Delta) Encode() ([]byte, error) {
	w, err := section.New(magicDelta, 0, d.lengths())
	if err != nil {
		return nil, err
	}
	d.putFields(w.Fields())
	removed, at, commitments := w.Section(deltaRemoved), w.Section(deltaAt), w.Section(deltaCommitments)
	for i, n := range d.Patch.Removed {
		binary.LittleEndian.PutUint32(removed[4*i:], n)
	}
	columns := match.Columns{Digests: w.Section(deltaDigests), Gates: w.Section(deltaGates), IDs: w.Section(deltaIDs), Metas: w.Section(deltaMetas)}
	for i, n := range d.Patch.At {
		binary.LittleEndian.PutUint32(at[4*i:], n)
		columns.Put(i, &d.Patch.Added[i])
		copy(commitments[32*i:], d.Commitments[i][:])
	}
	return w.Seal(), nil
}

func (d *Delta) putFields(fields []byte) {
	match.PutHeader(fields, d.Version, d.records())
	binary.LittleEndian.PutUint64(fields[fieldFromSeq:], d.FromSeq)
	binary.LittleEndian.PutUint32(fields[fieldFromRecords:], uint32(d.FromRecords))
	copy(fields[fieldFrom:], d.From[:])
	copy(fields[fieldTo:], d.To[:])
	copy(fields[fieldToRoot:], d.Root[:])
}

// OpenDelta checks b from the first byte to the last: sizes, hashes, reserved bytes, closed sets, numbers in range and
// order, records in strict order. What it allocates is bounded by the length of b.
func OpenDelta(b []byte) (*Delta, error) {
	r, err := section.Open(b, magicDelta, deltaSections, 0)
	if err != nil {
		return nil, err
	}
	d, err := readDelta(r)
	if err != nil {
		return nil, fmt.Errorf("open delta: %w", err)
	}
	return d, nil
}

func readDelta(r *section.Reader) (*Delta, error) {
	fields := r.Fields()
	version, n, err := match.ReadHeader(fields)
	if err != nil {
		return nil, err
	}
	d := &Delta{
		Version: version, FromSeq: binary.LittleEndian.Uint64(fields[fieldFromSeq:]),
		From: [32]byte(fields[fieldFrom:]), To: [32]byte(fields[fieldTo:]), Root: [32]byte(fields[fieldToRoot:]),
	}
	fromRecords := binary.LittleEndian.Uint32(fields[fieldFromRecords:])
	removed, at := r.Section(deltaRemoved), r.Section(deltaAt)
	want := deltaLengths(uint64(len(removed))/4, uint64(len(at))/4)
	for i := range deltaSections {
		if uint64(len(r.Section(i))) != want[i] {
			return nil, fmt.Errorf("section sizes do not fit: %w", ErrFormat)
		}
	}
	if fromRecords > MaxRecords {
		return nil, fmt.Errorf("from a list of %d records: %w", fromRecords, ErrTooLarge)
	}
	d.FromRecords = int(fromRecords)
	if d.FromRecords-len(removed)/4+len(at)/4 != n || d.FromSeq >= version.Seq || d.From == d.To {
		return nil, fmt.Errorf("the two versions do not fit: %w", ErrFormat)
	}
	if err := r.Verify(); err != nil {
		return nil, err
	}
	columns := match.Columns{Digests: r.Section(deltaDigests), Gates: r.Section(deltaGates), IDs: r.Section(deltaIDs), Metas: r.Section(deltaMetas)}
	added := len(at) / 4
	d.Patch = match.Patch{Removed: make([]uint32, len(removed)/4), At: make([]uint32, added), Added: make([]match.Record, added)}
	d.Commitments = make([][32]byte, added)
	for i := range d.Patch.Removed {
		d.Patch.Removed[i] = binary.LittleEndian.Uint32(removed[4*i:])
	}
	for i := range d.Patch.At {
		d.Patch.At[i] = binary.LittleEndian.Uint32(at[4*i:])
		d.Patch.Added[i], err = columns.Get(i)
		if err == nil && i > 0 && d.Patch.Added[i-1].Compare(&d.Patch.Added[i]) >= 0 {
			err = ErrOrder
		}
		if err != nil {
			return nil, fmt.Errorf("added record %d: %w", i, err)
		}
		d.Commitments[i] = [32]byte(r.Section(deltaCommitments)[32*i:])
	}
	if err := d.Patch.Check(d.FromRecords); err != nil {
		return nil, err
	}
	var fieldsAgain [section.FieldsSize]byte
	if d.putFields(fieldsAgain[:]); !bytes.Equal(fields, fieldsAgain[:]) {
		return nil, fmt.Errorf("reserved bytes are not zero: %w", ErrFormat)
	}
	return d, nil
}

// Apply makes the newer edge list of the older one, in m. Only blocks that change are
// hashed and checked: from must be verified, and when its bytes were damaged since, so is the result, under
// the right hash; Verify of the result tells. It returns ErrBase when from is not the list d starts at, ErrHash when
// what comes out is not the list d promises.
func (d *Delta) Apply(from *Edge, m match.Memory) (*Edge, error) {
	v := from.Version()
	if from.Hash() != d.From || v.List != d.Version.List || v.Epoch != d.Version.Epoch || v.Seq != d.FromSeq || from.Len() != d.FromRecords {
		return nil, fmt.Errorf("apply delta of %s to seq %d: %w", d.Version.List, d.Version.Seq, ErrBase)
	}
	to, err := d.Patch.Apply(from, d.Version, m)
	if err != nil {
		return nil, err
	}
	if to.Hash() != d.To {
		return nil, fmt.Errorf("apply delta of %s to seq %d: edge list: %w", d.Version.List, d.Version.Seq, ErrHash)
	}
	return to, nil
}

// ApplyAudit makes the newer auditor list of the older one, into memory from room (nil: the heap), and computes its root. Errors are
// those of Apply.
func (d *Delta) ApplyAudit(from *Audit, room section.Room) ([]byte, error) {
	return d.applyAudit(from, room, rootOf)
}

// FollowAudit is ApplyAudit for whoever goes from version to version: h are the hashes of from, and then those of what comes out. Of others
// it makes nothing (ErrBase); after any error h is good for nothing.
func (d *Delta) FollowAudit(from *Audit, h *Hashes, room section.Room) ([]byte, error) {
	if h.root != from.root || len(h.now.leaves) != from.n {
		return nil, fmt.Errorf("apply delta of %s to seq %d: hashes of another auditor list: %w", d.Version.List, d.Version.Seq, ErrBase)
	}
	return d.applyAudit(from, room, func(leaves []byte) [32]byte { return h.next(&d.Patch, from.n, leaves) })
}

func (d *Delta) applyAudit(from *Audit, room section.Room, rootOf func(leaves []byte) [32]byte) ([]byte, error) {
	if from.edge != d.From || from.version.List != d.Version.List || from.version.Epoch != d.Version.Epoch || from.version.Seq != d.FromSeq || from.n != d.FromRecords {
		return nil, fmt.Errorf("apply delta of %s to seq %d: %w", d.Version.List, d.Version.Seq, ErrBase)
	}
	w, err := newAuditWriter(d.Version, d.records(), room)
	if err != nil {
		return nil, err
	}
	d.Patch.Runs(from.n, func(j, i, n int) { copy(w.leaves[32*j:], from.leaves[32*i:32*(i+n)]) })
	for i, at := range d.Patch.At {
		copy(w.leaf(int(at)), d.Commitments[i][:])
	}
	if root := rootOf(w.leaves); root != d.Root {
		return nil, fmt.Errorf("apply delta of %s to seq %d: entries root: %w", d.Version.List, d.Version.Seq, ErrHash)
	}
	return w.seal(d.To, d.Root), nil
}

// Recompile makes the index of the newer list from that of the older one.
func (d *Delta) Recompile(old *match.Index, from, to *Edge) ([]byte, error) {
	return match.Recompile(old, from, to, d.Patch.Gates(from))
}

// Merge is the delta that does what a and then b does. It needs neither list. It returns ErrBase when b does not start
// where a ends. What a brings and b takes away again vanishes; what a takes away and b brings back is in both parts.
func Merge(a, b *Delta) (*Delta, error) {
	if a.To != b.From || a.Version.List != b.Version.List || a.Version.Epoch != b.Version.Epoch || a.Version.Seq != b.FromSeq || a.records() != b.FromRecords {
		return nil, fmt.Errorf("merge deltas of %s to seq %d and %d: %w", a.Version.List, a.Version.Seq, b.Version.Seq, ErrBase)
	}
	patch, kept := a.Patch.Then(&b.Patch)
	d := &Delta{
		Version: b.Version, FromSeq: a.FromSeq, FromRecords: a.FromRecords, From: a.From, To: b.To, Root: b.Root,
		Patch: *patch, Commitments: make([][32]byte, len(kept)),
	}
	for i, k := range kept {
		if k < len(a.Commitments) {
			d.Commitments[i] = a.Commitments[k]
		} else {
			d.Commitments[i] = b.Commitments[k-len(a.Commitments)]
		}
	}
	return d, nil
}
