package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
	"time"

	"github.com/hashicorp/raft"
	"go.etcd.io/bbolt"
	bolterr "go.etcd.io/bbolt/errors"
)

// A record is its payload with a CRC-32C of key and payload in front. bbolt
// checks its two meta pages only; a flipped bit in a data page would otherwise
// be replayed as a command.
const sumLen = 4

var table = crc32.MakeTable(crc32.Castagnoli)

func seal(key, payload []byte) []byte {
	out := make([]byte, sumLen, sumLen+len(payload))
	binary.BigEndian.PutUint32(out, crc32.Update(crc32.Checksum(key, table), table, payload))
	return append(out, payload...)
}

// unseal returns the payload inside b, not a copy.
func unseal(key, b []byte) ([]byte, error) {
	if len(b) < sumLen {
		return nil, fmt.Errorf("%w: record of %d bytes", ErrCorrupt, len(b))
	}
	payload := b[sumLen:]
	if binary.BigEndian.Uint32(b) != crc32.Update(crc32.Checksum(key, table), table, payload) {
		return nil, fmt.Errorf("%w: checksum of a record", ErrCorrupt)
	}
	return payload, nil
}

// A log record: type u8, term u64, appended-at unix nanoseconds i64 (0 for
// none), length of data u32, data, extensions.
const logHead = 1 + 8 + 8 + 4

func encodeLog(l *raft.Log) []byte {
	b := make([]byte, logHead, logHead+len(l.Data)+len(l.Extensions))
	b[0] = byte(l.Type)
	binary.BigEndian.PutUint64(b[1:], l.Term)
	if !l.AppendedAt.IsZero() {
		binary.BigEndian.PutUint64(b[9:], uint64(l.AppendedAt.UnixNano()))
	}
	binary.BigEndian.PutUint32(b[17:], uint32(len(l.Data)))
	b = append(b, l.Data...)
	b = append(b, l.Extensions...)
	return seal(key(l.Index), b)
}

func decodeLog(index uint64, v []byte, l *raft.Log) error {
	b, err := unseal(key(index), v)
	if err != nil {
		return fmt.Errorf("log %d: %w", index, err)
	}
	if len(b) < logHead {
		return fmt.Errorf("log %d: %w: %d bytes", index, ErrCorrupt, len(b))
	}
	n := uint64(binary.BigEndian.Uint32(b[17:]))
	rest := b[logHead:]
	if n > uint64(len(rest)) {
		return fmt.Errorf("log %d: %w: data length", index, ErrCorrupt)
	}
	*l = raft.Log{Index: index, Type: raft.LogType(b[0]), Term: binary.BigEndian.Uint64(b[1:])}
	if t := int64(binary.BigEndian.Uint64(b[9:])); t != 0 {
		l.AppendedAt = time.Unix(0, t)
	}
	// bbolt's memory is gone after the transaction.
	if n > 0 {
		l.Data = append([]byte(nil), rest[:n]...)
	}
	if uint64(len(rest)) > n {
		l.Extensions = append([]byte(nil), rest[n:]...)
	}
	return nil
}

func key(index uint64) []byte { return u64(index) }

func u64(v uint64) []byte {
	b := make([]byte, 8)
	binary.BigEndian.PutUint64(b, v)
	return b
}

// check reads everything once: checksums, and that the log's indices follow
// each other.
func check(tx *bbolt.Tx) error {
	logs, stable := tx.Bucket(bucketLog), tx.Bucket(bucketStable)
	if logs == nil || stable == nil {
		return fmt.Errorf("%w: a bucket is missing", ErrCorrupt)
	}
	kept, err := readShape(tx)
	if err != nil {
		return err
	}
	if err := stable.ForEach(func(k, v []byte) error {
		kept.stable--
		_, err := unseal(k, v)
		return err
	}); err != nil {
		return fmt.Errorf("stable value: %w", err)
	}
	if kept.stable != 0 {
		return fmt.Errorf("%w: not as many stable values as were written", ErrCorrupt)
	}
	next := kept.first
	if err := logs.ForEach(func(k, v []byte) error {
		if !bytes.Equal(k, key(next)) {
			return fmt.Errorf("%w: log entry %d is missing", ErrCorrupt, next)
		}
		var l raft.Log
		next++
		return decodeLog(next-1, v, &l)
	}); err != nil {
		return err
	}
	if kept.last != 0 && next != kept.last+1 || kept.last == 0 && next != 0 {
		return fmt.Errorf("%w: log ends before entry %d, it had %d", ErrCorrupt, next, kept.last)
	}
	return nil
}

// shape is what the file must hold, written with every write: a flipped bit in
// a page's count of elements would else cut entries off without a trace.
type shape struct{ first, last, stable, commit uint64 }

// writeShape is the last step of a write.
func writeShape(tx *bbolt.Tx, sh shape) error {
	v := slices.Concat(u64(sh.first), u64(sh.last), u64(sh.stable), u64(sh.commit))
	if err := tx.Bucket(bucketMeta).Put(keyShape, seal(keyShape, v)); err != nil {
		return fmt.Errorf("store shape: %w", err)
	}
	return nil
}

func readShape(tx *bbolt.Tx) (shape, error) {
	v, err := unseal(keyShape, tx.Bucket(bucketMeta).Get(keyShape))
	if err != nil || len(v) != 32 {
		return shape{}, fmt.Errorf("%w: shape of the log", ErrCorrupt)
	}
	n := func(i int) uint64 { return binary.BigEndian.Uint64(v[8*i:]) }
	return shape{n(0), n(1), n(2), n(3)}, nil
}

func isCorruption(err error) bool {
	for _, target := range []error{bolterr.ErrInvalid, bolterr.ErrVersionMismatch, bolterr.ErrChecksum} {
		if errors.Is(err, target) {
			return true
		}
	}
	return false
}

// caught turns a panic of bbolt over a damaged page into an error.
func caught(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("%w: %v", ErrCorrupt, p)
	}
}

func clip(b []byte) []byte { return b[:min(len(b), 64)] }
