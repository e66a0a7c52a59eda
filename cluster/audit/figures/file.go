package figures

import (
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
