package section

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
)

// HeadHash is the head hash of the file that has these fields and sections of these lengths, where sums are the SHA-256 of the sections that
// are not covered in blocks: it needs none of what is covered. It panics for fields or sums that no head can have, and returns ErrTooLarge
// when the file would pass MaxFile.
func HeadHash(magic string, covered int, lengths []uint64, fields []byte, sums [][32]byte) ([32]byte, error) {
	if len(magic) != magicSize || len(fields) != FieldsSize || len(sums) != len(lengths)-covered {
		panic("section: no head has these fields")
	}
	b := make([]byte, headLen(len(lengths))-trailer)
	copy(b, magic)
	binary.LittleEndian.PutUint32(b[8:], uint32(headLen(len(lengths))))
	binary.LittleEndian.PutUint32(b[12:], uint32(len(lengths)))
	copy(b[fieldsAt:], fields)
	end := uint64(headLen(len(lengths)))
	for i, n := range lengths {
		if n > MaxFile || end > MaxFile {
			return [32]byte{}, fmt.Errorf("head of %s: section of %d bytes: %w", magic, n, ErrTooLarge)
		}
		e := b[tableAt+i*entrySize:]
		binary.LittleEndian.PutUint32(e, uint32(i+1))
		binary.LittleEndian.PutUint64(e[8:], end)
		binary.LittleEndian.PutUint64(e[16:], n)
		if i < len(sums) {
			copy(e[24:56], sums[i][:])
		} else {
			binary.LittleEndian.PutUint32(e[4:], 1)
		}
		end = align(end + n)
	}
	if end > MaxFile {
		return [32]byte{}, fmt.Errorf("head of %s: %d bytes: %w", magic, end, ErrTooLarge)
	}
	binary.LittleEndian.PutUint64(b[16:], end)
	return sha256.Sum256(b), nil
}
