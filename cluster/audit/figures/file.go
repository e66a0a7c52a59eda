package figures

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"

	"github.com/cordon-project/cordon/cluster/audit"
)

// A file of figures is a row of records: 4 bytes of length, big-endian, and so many bytes of CBOR of Signed. Records may come in any order;
// of two of one edge and hour the first counts.

// AppendRecord appends a record to b.
func AppendRecord(b []byte, s Signed) []byte {
	raw, err := encMode.Marshal(s)
	if err != nil {
		panic("figures: " + err.Error())
	}
	return append(binary.BigEndian.AppendUint32(b, uint32(len(raw))), raw...)
}

// Decode reads one record's CBOR strictly.
func Decode(raw []byte) (Signed, error) {
	var s Signed
	if len(raw) > MaxSize {
		return s, fmt.Errorf("figures of %d bytes: %w", len(raw), audit.ErrTooLarge)
	}
	if err := decMode.Unmarshal(raw, &s); err != nil {
		return s, fmt.Errorf("figures: %w: %v", audit.ErrFormat, err)
	}
	if string(AppendRecord(nil, s)[4:]) != string(raw) {
		return s, fmt.Errorf("figures not in their one encoding: %w", audit.ErrFormat)
	}
	_, err := s.Figures()
	return s, err
}

// Read gives the records of a file, one at a time; the first that cannot be read is the last, with its error.
func Read(r io.Reader) iter.Seq2[Signed, error] {
	return func(yield func(Signed, error) bool) {
		for n := 1; ; n++ {
			var head [4]byte
			if _, err := io.ReadFull(r, head[:]); errors.Is(err, io.EOF) {
				return
			} else if err != nil {
				yield(Signed{}, fmt.Errorf("figures, record %d: %w: %v", n, audit.ErrFormat, err))
				return
			}
			size := binary.BigEndian.Uint32(head[:])
			if size > MaxSize {
				yield(Signed{}, fmt.Errorf("figures, record %d of %d bytes: %w", n, size, audit.ErrTooLarge))
				return
			}
			raw := make([]byte, size)
			if _, err := io.ReadFull(r, raw); err != nil {
				yield(Signed{}, fmt.Errorf("figures, record %d is cut off: %w", n, audit.ErrFormat))
				return
			}
			s, err := Decode(raw)
			if err != nil {
				err = fmt.Errorf("record %d: %w", n, err)
			}
			if !yield(s, err) || err != nil {
				return
			}
		}
	}
}

// recordHead is how the CBOR of every record begins: a map of two, and its first key "sig".
var recordHead = []byte{0xa2, 0x63, 's', 'i', 'g'}

// Salvage gives the records of a file that a disk may have damaged: what is no record is passed over up to the next one. Each stretch that is
// passed over is an error, audit.ErrFormat, and more records may follow; any other error is the reader's, and the last.
func Salvage(r io.Reader) iter.Seq2[Signed, error] {
	return func(yield func(Signed, error) bool) {
		in := bufio.NewReaderSize(r, 8*(4+MaxSize))
		at, lost := int64(0), int64(0) // offset, and bytes passed over before it
		told := func() bool {
			n := lost
			lost = 0
			return n == 0 || yield(Signed{}, fmt.Errorf("figures, %d bytes before offset %d are no record: %w", n, at, audit.ErrFormat))
		}
		for {
			b, err := in.Peek(4 + MaxSize)
			if err != nil && !errors.Is(err, io.EOF) {
				yield(Signed{}, fmt.Errorf("figures: %w", err))
				return
			}
			if len(b) == 0 {
				told()
				return
			}
			s, size, ok := recordAt(b)
			switch {
			case !ok:
				size = nextRecord(b)
				lost += int64(size)
			case !told() || !yield(s, nil):
				return
			}
			at += int64(size)
			if _, err := in.Discard(size); err != nil {
				yield(Signed{}, fmt.Errorf("figures: %w", err))
				return
			}
		}
	}
}

// recordAt reads the record that b begins with, and its length in the file.
func recordAt(b []byte) (Signed, int, bool) {
	if len(b) < 4+len(recordHead) || !bytes.Equal(b[4:4+len(recordHead)], recordHead) {
		return Signed{}, 0, false
	}
	size := uint64(binary.BigEndian.Uint32(b))
	if size > MaxSize || 4+size > uint64(len(b)) {
		return Signed{}, 0, false
	}
	s, err := Decode(b[4 : 4+size])
	return s, int(4 + size), err == nil
}

// nextRecord is after how many bytes of b, at least one, the next record may begin.
func nextRecord(b []byte) int {
	if i := bytes.Index(b[min(5, len(b)):], recordHead); i >= 0 {
		return i + 1
	}
	return max(1, len(b)-len(recordHead)-4) // a head may be cut in two
}
