package list

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/cordon-project/cordon/resolver/canon"
	"github.com/cordon-project/cordon/resolver/match"
	"github.com/cordon-project/cordon/resolver/match/section"
)

// row is a record on its way into the two files, with the text that only the hotline sees.
type row struct {
	match.Record
	expr       string
	commitment [32]byte
}

// Build makes the edge list and the auditor list of one version. The order of entries and decoy hosts does not matter:
// the same entries give the same bytes. keys and open are not kept.
//
// A url or prefix entry becomes a match record and a steer record of its host with the same entry id; a decoy host
// becomes a steer record alone. Build refuses an expression that is not canonical, an entry id or a (kind, expression)
// that is there twice, values outside of their closed sets (ErrFormat, ErrOrder) and too many records (ErrTooLarge).
// Errors name entries by id, never by expression.
func Build(v Version, entries []Entry, decoyHosts []string, keys *match.Keys, open *[32]byte) (edge, audit []byte, sum Summary, err error) {
	fail := func(err error) ([]byte, []byte, Summary, error) {
		return nil, nil, Summary{}, fmt.Errorf("build list %s seq %d: %w", v.List, v.Seq, err)
	}
	if _, err := match.ParseListID(string(v.List)); err != nil {
		return fail(err)
	}
	if keys == nil || open == nil {
		return fail(errors.New("keys are missing"))
	}
	if len(entries)+len(decoyHosts) > MaxRecords {
		return fail(fmt.Errorf("%d entries: %w", len(entries), ErrTooLarge))
	}
	rows, err := expand(v, entries, decoyHosts, open)
	if err != nil {
		return fail(err)
	}
	if len(rows) > MaxRecords {
		return fail(fmt.Errorf("%d records: %w", len(rows), ErrTooLarge))
	}
	if err := seal(v, rows, keys, open); err != nil {
		return fail(err)
	}
	slices.SortFunc(rows, func(a, b row) int { return a.Compare(&b.Record) })
	if err := refuseTwins(rows); err != nil {
		return fail(err)
	}
	counts, edge, hash, err := writeEdge(v, rows)
	if err != nil {
		return fail(err)
	}
	root := rootOf(len(rows), func(i int) []byte { return rows[i].commitment[:] })
	if audit, err = writeAudit(v, rows, hash, root); err != nil {
		return fail(err)
	}
	return edge, audit, Summary{Entries: len(entries), Records: len(rows), Kinds: entryKinds(counts), EntriesRoot: root}, nil
}

// expand turns entries and decoys into rows without digests.
func expand(v Version, entries []Entry, decoyHosts []string, open *[32]byte) ([]row, error) {
	rows := make([]row, 0, len(entries)+len(entries)/4+len(decoyHosts))
	ids := make([]match.EntryID, len(entries))
	var lastReview uint32
	for i := range entries {
		e := &entries[i]
		m, err := e.meta()
		if err != nil {
			return nil, fmt.Errorf("entry %s: %w", e.ID, err)
		}
		ids[i] = e.ID
		lastReview = max(lastReview, m.ReviewBy)
		rows = append(rows, row{Record: match.Record{EntryID: e.ID, Meta: m}, expr: e.Expression})
		if e.Kind.Class() == canon.ClassPage {
			m.Kind = canon.KindSteer
			rows = append(rows, row{Record: match.Record{EntryID: e.ID, Meta: m}, expr: canon.HostOf(e.Expression)})
		}
	}
	hosts := slices.Clone(decoyHosts)
	slices.Sort(hosts)
	for _, host := range slices.Compact(hosts) {
		// Decoys are not entries: they die with the last entry they could be mistaken for.
		m := match.Meta{Kind: canon.KindSteer, Flags: match.FlagDecoy, ReviewBy: lastReview}
		id := decoyID(open, v.List, host)
		ids = append(ids, id)
		rows = append(rows, row{Record: match.Record{EntryID: id, Meta: m}, expr: host})
	}
	slices.SortFunc(ids, func(a, b match.EntryID) int { return bytes.Compare(a[:], b[:]) })
	for i, id := range ids {
		if id == (match.EntryID{}) {
			return nil, fmt.Errorf("an entry has no id: %w", ErrFormat)
		}
		if i > 0 && ids[i-1] == id {
			return nil, fmt.Errorf("entry id %s is there twice: %w", id, ErrOrder)
		}
	}
	return rows, nil
}

// meta checks what can be checked of an entry without its expression.
func (e *Entry) meta() (match.Meta, error) {
	if e.Kind < canon.KindURL || e.Kind > canon.KindDomain {
		return match.Meta{}, fmt.Errorf("kind %v is not one of url, prefix, host, domain: %w", e.Kind, ErrFormat)
	}
	if len(e.Jurisdiction) != 2 {
		return match.Meta{}, fmt.Errorf("jurisdiction is not two upper-case letters: %w", ErrFormat)
	}
	m := match.Meta{
		Kind: e.Kind, Category: e.Category, Basis: e.Basis,
		Jurisdiction: [2]byte{e.Jurisdiction[0], e.Jurisdiction[1]},
	}
	if e.Canary {
		m.Flags = match.FlagCanary
	}
	var err error
	if m.Since, err = seconds("since", e.Since); err != nil {
		return match.Meta{}, err
	}
	if m.ReviewBy, err = seconds("review_by", e.ReviewBy); err != nil {
		return match.Meta{}, err
	}
	return m, m.Check()
}

func seconds(what string, t time.Time) (uint32, error) {
	s := t.Unix()
	if s < 0 || s > math.MaxUint32 {
		return 0, fmt.Errorf("%s is not between 1970 and 2106: %w", what, ErrFormat)
	}
	return uint32(s), nil
}

// seal computes digest, gate hash and commitment of every row, on all processors: the results do not depend on it.
func seal(v Version, rows []row, keys *match.Keys, open *[32]byte) error {
	workers := runtime.GOMAXPROCS(0)
	errs := make([]error, workers)
	var wg sync.WaitGroup
	for w := range workers {
		part := rows[len(rows)*w/workers : len(rows)*(w+1)/workers]
		wg.Go(func() { errs[w] = sealPart(v, part, keys, open) })
	}
	wg.Wait()
	for _, err := range errs { // the first in input order, not the first in time
		if err != nil {
			return err
		}
	}
	return nil
}

func sealPart(v Version, rows []row, keys *match.Keys, open *[32]byte) error {
	for i := range rows {
		r := &rows[i]
		text, err := canon.Expression(r.Kind, r.expr)
		if err != nil {
			return fmt.Errorf("entry %s: %v: %w", r.EntryID, err, ErrFormat) // canon errors repeat no input
		}
		if text != r.expr {
			return fmt.Errorf("entry %s: %v expression is not canonical: %w", r.EntryID, r.Kind, ErrFormat)
		}
		expr := []byte(r.expr)
		r.Digest = keys.Digest(v.List, r.Kind.Class(), expr)
		r.Gate = keys.Gate64(r.Kind.Class(), expr)
		r.commitment = Commitment(Salt(open, r.EntryID, r.Kind, v.Epoch), v.List, r.EntryID, r.Kind, r.expr, r.Digest)
	}
	return nil
}

// refuseTwins finds the same expression and kind under two entry ids. Steer records may share a host.
func refuseTwins(rows []row) error {
	for i := 1; i < len(rows); i++ {
		a, b := &rows[i-1], &rows[i]
		if a.Digest == b.Digest && a.Kind == b.Kind && a.Kind != canon.KindSteer {
			return fmt.Errorf("entries %s and %s have the same %v expression: %w", a.EntryID, b.EntryID, a.Kind, ErrOrder)
		}
	}
	return nil
}

func writeEdge(v Version, rows []row) (match.Counts, []byte, [32]byte, error) {
	n := uint64(len(rows))
	w, err := section.New(magicEdge, []uint64{edgeDigests: 16 * n, edgeGates: 8 * n, edgeIDs: 16 * n, edgeMeta: match.MetaSize * n})
	if err != nil {
		return match.Counts{}, nil, [32]byte{}, err
	}
	digests, gates, ids, metas := w.Section(edgeDigests), w.Section(edgeGates), w.Section(edgeIDs), w.Section(edgeMeta)
	var counts match.Counts
	for i := range rows {
		r := &rows[i]
		counts.Add(r.Meta)
		copy(digests[16*i:], r.Digest[:])
		binary.LittleEndian.PutUint64(gates[8*i:], r.Gate)
		copy(ids[16*i:], r.EntryID[:])
		match.AppendMeta(metas[match.MetaSize*i:match.MetaSize*i], r.Meta)
	}
	match.PutHeader(w.Fields(), v, len(rows))
	counts.Put(w.Fields())
	b := w.Seal()
	r, err := section.Open(b, magicEdge, edgeSections)
	if err != nil {
		return match.Counts{}, nil, [32]byte{}, err
	}
	return counts, b, r.Hash(), nil
}

func writeAudit(v Version, rows []row, edge, root [32]byte) ([]byte, error) {
	w, err := section.New(magicAudit, []uint64{32 * uint64(len(rows))})
	if err != nil {
		return nil, err
	}
	leaves := w.Section(0)
	for i := range rows {
		copy(leaves[32*i:], rows[i].commitment[:])
	}
	match.PutHeader(w.Fields(), v, len(rows))
	copy(w.Fields()[fieldEdge:], edge[:])
	copy(w.Fields()[fieldRoot:], root[:])
	return w.Seal(), nil
}
