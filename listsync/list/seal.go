package list

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"github.com/cordon-project/cordon/resolver/canon"
	"github.com/cordon-project/cordon/resolver/match"
	"github.com/cordon-project/cordon/resolver/match/mac"
)

// row is a record on its way into the two files.
type row struct {
	match.Record
	commitment [32]byte
}

// sealer turns entries into rows: digest, gate hash and commitment. It keeps inner states of both keys, as secret as they
// are, and no text; close clears them. It is used by one goroutine.
type sealer struct {
	v      Version
	hasher *match.Hasher
	open   *mac.MAC
	buf    []byte
}

func newSealer(v Version, keys *match.Keys, open *[32]byte) *sealer {
	return &sealer{v: v, hasher: keys.Hasher(v.List), open: mac.New(open[:]), buf: make([]byte, 0, 1024)}
}

func (s *sealer) close() {
	s.hasher.Close()
	s.open.Close()
	clear(s.buf[:cap(s.buf)])
}

// entry gives the rows of an entry: its match record, and for a page the steer record of its host.
func (s *sealer) entry(e *Entry, rows []row) ([]row, error) {
	m, err := e.meta()
	if err != nil {
		return rows, fmt.Errorf("entry %s: %w", e.ID, err)
	}
	if e.ID == (match.EntryID{}) {
		return rows, fmt.Errorf("an entry has no id: %w", ErrFormat)
	}
	if err := canonical(e.ID, e.Kind, e.Expression); err != nil {
		return rows, err
	}
	rows = append(rows, s.row(match.Record{EntryID: e.ID, Meta: m}, e.Expression))
	if e.Kind.Class() == canon.ClassPage {
		m.Kind = canon.KindSteer
		rows = append(rows, s.row(match.Record{EntryID: e.ID, Meta: m}, canon.HostOf(e.Expression)))
	}
	return rows, nil
}

// decoy gives the row of a decoy host. Decoys are not entries: they die with the last entry they could be mistaken for.
func (s *sealer) decoy(host string, reviewBy uint32) (row, error) {
	id := s.decoyID(host)
	if err := canonical(id, canon.KindSteer, host); err != nil {
		return row{}, err
	}
	return s.row(match.Record{EntryID: id, Meta: match.Meta{Kind: canon.KindSteer, Flags: match.FlagDecoy, ReviewBy: reviewBy}}, host), nil
}

// canonical refuses an expression that is not what canon would make of it.
func canonical(id match.EntryID, k canon.Kind, expr string) error {
	text, err := canon.Expression(k, expr)
	if err != nil {
		return fmt.Errorf("entry %s: %v: %w", id, err, ErrFormat) // canon errors repeat no input
	}
	if text != expr {
		return fmt.Errorf("entry %s: %v expression is not canonical: %w", id, k, ErrFormat)
	}
	return nil
}

func (s *sealer) row(r match.Record, expr string) row {
	r.Digest, r.Gate = s.hasher.Hash(r.Kind.Class(), expr)
	var salt [sha256.Size]byte
	s.buf = appendSalt(s.buf[:0], r.EntryID, r.Kind, s.v.Epoch)
	s.open.Sum(s.buf, &salt)
	s.buf = appendCommitment(s.buf[:0], &salt, s.v.List, r.EntryID, r.Kind, expr, r.Digest)
	return row{r, sha256.Sum256(s.buf)}
}

// decoyID is the entry id of a decoy: HMAC-SHA-256(K_open, "cordon/decoy/v1\n" || u8 len(list) || list || host)[:16].
// It is stable across versions like any entry id, and without K_open it looks like one.
func (s *sealer) decoyID(host string) match.EntryID {
	s.buf = append(s.buf[:0], decoyTag...)
	s.buf = append(s.buf, byte(len(s.v.List)))
	s.buf = append(s.buf, s.v.List...)
	s.buf = append(s.buf, host...)
	var sum [sha256.Size]byte
	s.open.Sum(s.buf, &sum)
	return match.EntryID(sum[:16])
}

const (
	commitmentTag = "cordon/commitment/v1\n"
	saltTag       = "cordon/salt/v1\n"
	decoyTag      = "cordon/decoy/v1\n"
)

// Salt is the opening secret of one record: HMAC-SHA-256(K_open, "cordon/salt/v1\n" || entry_id || u8 kind || u32 epoch).
// The kind is in it so that opening the steer record of a page (its host) does not open the page.
func Salt(open *[32]byte, id match.EntryID, k canon.Kind, epoch uint32) (salt [32]byte) {
	m := mac.New(open[:])
	defer m.Close()
	m.Sum(appendSalt(nil, id, k, epoch), &salt)
	return salt
}

func appendSalt(b []byte, id match.EntryID, k canon.Kind, epoch uint32) []byte {
	b = append(b, saltTag...)
	b = append(b, id[:]...)
	b = append(b, byte(k))
	return binary.LittleEndian.AppendUint32(b, epoch)
}

// Commitment is SHA-256("cordon/commitment/v1\n" || salt || u8 len(list) || list || entry_id || u8 kind ||
// u16 len(expr) || expr || d). A reviewer who is shown salt, kind and expression of a record recomputes it, and d too.
func Commitment(salt [32]byte, l match.ListID, id match.EntryID, k canon.Kind, expr string, d match.Digest) [32]byte {
	return sha256.Sum256(appendCommitment(nil, &salt, l, id, k, expr, d))
}

func appendCommitment(b []byte, salt *[32]byte, l match.ListID, id match.EntryID, k canon.Kind, expr string, d match.Digest) []byte {
	b = append(b, commitmentTag...)
	b = append(b, salt[:]...)
	b = append(b, byte(len(l)))
	b = append(b, l...)
	b = append(b, id[:]...)
	b = append(b, byte(k))
	b = binary.LittleEndian.AppendUint16(b, uint16(len(expr)))
	b = append(b, expr...)
	return append(b, d[:]...)
}
