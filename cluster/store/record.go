package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"hash/fnv"
	"os"
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

// check reads everything once: page graph, checksums, and that the log's
// indices follow each other.
func check(tx *bbolt.Tx) error {
	var first error
	for err := range tx.Check() {
		if first == nil {
			first = err // the channel must be drained: its sender would hang
		}
	}
	if first != nil {
		return fmt.Errorf("%w: %v", ErrCorrupt, first)
	}
	logs, stable := tx.Bucket(bucketLog), tx.Bucket(bucketStable)
	if logs == nil || stable == nil {
		return fmt.Errorf("%w: a bucket is missing", ErrCorrupt)
	}
	if err := stable.ForEach(func(k, v []byte) error {
		_, err := unseal(k, v)
		return err
	}); err != nil {
		return fmt.Errorf("stable value: %w", err)
	}
	var last uint64
	return logs.ForEach(func(k, v []byte) error {
		if len(k) != 8 {
			return fmt.Errorf("%w: log key of %d bytes", ErrCorrupt, len(k))
		}
		index := binary.BigEndian.Uint64(k)
		if last != 0 && index != last+1 {
			return fmt.Errorf("%w: log jumps from %d to %d", ErrCorrupt, last, index)
		}
		last = index
		var l raft.Log
		return decodeLog(index, v, &l)
	})
}

// precheck refuses a file that is shorter than its meta pages say: bbolt maps
// the file, and a page beyond its end would be a SIGBUS that no recover catches.
func precheck(path string, size int64) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("read: %w", err)
	}
	defer f.Close()
	head := make([]byte, min(size, 2*maxPage))
	if _, err := f.ReadAt(head, 0); err != nil {
		return fmt.Errorf("read: %w", err)
	}
	valid := 0
	for page := int64(minPage); page <= maxPage; page *= 2 {
		for _, at := range []int64{0, page} {
			pages, ok := metaAt(head, at, page)
			if !ok {
				continue
			}
			valid++
			if pages > uint64(size)/uint64(page) {
				return fmt.Errorf("%w: file of %d bytes is cut short", ErrCorrupt, size)
			}
		}
	}
	if valid == 0 {
		return fmt.Errorf("%w: no valid meta page", ErrCorrupt)
	}
	return nil
}

const (
	minPage    = 1 << 10
	maxPage    = 64 << 10
	pageHeader = 16
	metaLen    = 64
	metaMagic  = 0xED0CDAED
)

// metaAt reads a bbolt meta page of the given page size: magic u32, version
// u32, page size u32, flags u32, root bucket (page, sequence), freelist page,
// high-water page, transaction, each u64, and FNV-64a of all before, in the
// machine's byte order. A torn one fails its sum and is ignored, as bbolt does.
func metaAt(head []byte, at, page int64) (pages uint64, ok bool) {
	if int64(len(head)) < at+pageHeader+metaLen {
		return 0, false
	}
	b := head[at+pageHeader:][:metaLen]
	if binary.NativeEndian.Uint32(b) != metaMagic || int64(binary.NativeEndian.Uint32(b[8:])) != page {
		return 0, false
	}
	sum := fnv.New64a()
	_, _ = sum.Write(b[:metaLen-8])
	return binary.NativeEndian.Uint64(b[40:]), sum.Sum64() == binary.NativeEndian.Uint64(b[metaLen-8:])
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
