package wire

import "encoding/binary"

// Section says which part of a message a record stands in.
type Section uint8

// Sections in the order of the message.
const (
	Answer Section = iota
	Authority
	Additional
)

// Record is one record of a message as offsets into it.
type Record struct {
	Section Section
	Type    uint16
	Class   uint16
	TTL     uint32 // values with the top bit set are read as 0 (RFC 2181 8)
	Start   int    // where the record and its owner name begin
	TTLAt   int    // where its TTL field stands
	Data    int    // where its data begins
	End     int    // behind its data
}

// Reader walks the records of a reply in order, checking each one's bounds and the names in it before handing it
// out. It borrows the message until the next Reset. Not for concurrent use.
type Reader struct {
	msg  []byte
	off  int
	at   Section
	left [3]int
	ttls []uint16 // TTL fields of the records so far; keeps its capacity over Resets
	name NameBuf
}

// Reset starts at the first record of msg, which must have exactly one question.
func (r *Reader) Reset(msg []byte) error {
	if len(msg) < HeaderLen || len(msg) > MaxMessage || binary.BigEndian.Uint16(msg[offQD:]) != 1 {
		return ErrAnswer
	}
	next, err := r.name.Expand(msg, HeaderLen)
	if err != nil || next+questionFixed > len(msg) {
		return ErrAnswer
	}
	r.msg, r.off, r.at, r.ttls = msg, next+questionFixed, Answer, r.ttls[:0]
	for i := range r.left {
		r.left[i] = int(binary.BigEndian.Uint16(msg[offAN+2*i:]))
	}
	return nil
}

// Next fills rec with the next record; false at the end. Work is bounded by the message: a record takes at least
// eleven bytes, and each name in it at most 127 labels.
func (r *Reader) Next(rec *Record) (bool, error) {
	for r.left[r.at] == 0 {
		if r.at == Additional {
			return false, nil
		}
		r.at++
	}
	r.left[r.at]--
	rec.Section, rec.Start = r.at, r.off
	off, err := r.name.expand(r.msg, r.off, r.ttls)
	if err != nil || off+recordFixed > len(r.msg) {
		return false, ErrAnswer
	}
	rec.Type = binary.BigEndian.Uint16(r.msg[off:])
	rec.Class = binary.BigEndian.Uint16(r.msg[off+2:])
	rec.TTLAt = off + 4
	rec.TTL = binary.BigEndian.Uint32(r.msg[rec.TTLAt:])
	if rec.TTL>>31 != 0 && rec.Type != TypeOPT {
		rec.TTL = 0
	}
	r.ttls = append(r.ttls, uint16(rec.TTLAt)) // a record behind the first 64 KiB does not exist: MaxMessage
	rec.Data = off + recordFixed
	rec.End = rec.Data + int(binary.BigEndian.Uint16(r.msg[off+8:]))
	if rec.End > len(r.msg) || !r.checkData(rec) {
		return false, ErrAnswer
	}
	r.off = rec.End
	return true, nil
}

// Owner is the owner name of rec, Target the name in its data for CNAME, DNAME, SVCB and HTTPS (and any other type
// whose data starts with a name). Both expand into a buffer of the caller.
func (r *Reader) Owner(rec *Record, into *NameBuf) error {
	_, err := into.expand(r.msg, rec.Start, r.ttls)
	return err
}

// Target: see Owner.
func (r *Reader) Target(rec *Record, into *NameBuf) error {
	at := rec.Data
	if rec.Type == TypeSVCB || rec.Type == TypeHTTPS {
		at += 2 // priority
	}
	_, err := into.expand(r.msg, at, r.ttls)
	return err
}

// Covered is the type an RRSIG record covers, 0 for other records.
func (r *Reader) Covered(rec *Record) uint16 {
	if rec.Type != TypeRRSIG || rec.End-rec.Data < 2 {
		return 0
	}
	return binary.BigEndian.Uint16(r.msg[rec.Data:])
}

// checkData looks into the data of the types that hold names or fixed sizes, so that a reply we pass on can be read
// by any client, and a compression pointer in it cannot lead outside. Types it does not know are opaque (RFC 3597).
func (r *Reader) checkData(rec *Record) bool {
	at, end, ok := rec.Data, rec.End, true
	name := func() {
		if ok {
			next, err := r.name.expand(r.msg, at, r.ttls)
			ok = err == nil && next <= end
			at = next
		}
	}
	switch rec.Type {
	case TypeA:
		return end-at == 4
	case TypeAAAA:
		return end-at == 16
	case TypeNS, 3, 4, TypeCNAME, 7, 8, 9, TypePTR, TypeDNAME: // one name
		name()
	case TypeSOA:
		name()
		name()
		at += soaFixed
	case 14, 17: // MINFO, RP
		name()
		name()
	case TypeMX, 18, 21, 36: // AFSDB, RT, KX: preference and name
		at += 2
		name()
	case TypeSRV:
		at += 6
		name()
	case TypeSVCB, TypeHTTPS:
		at += 2
		name()
		return ok && serviceParams(r.msg[at:end])
	case TypeTXT:
		for at < end {
			at += 1 + int(r.msg[at])
		}
		return at == end && rec.Data < end
	case TypeOPT:
		return rec.Section == Additional
	default:
		return true
	}
	return ok && at == end
}

// serviceParams checks the framing of SvcParams (RFC 9460 2.2): keys strictly increasing, lengths inside.
func serviceParams(b []byte) bool {
	for last := -1; len(b) > 0; {
		if len(b) < 4 {
			return false
		}
		key, n := int(binary.BigEndian.Uint16(b)), int(binary.BigEndian.Uint16(b[2:]))
		if key <= last || 4+n > len(b) {
			return false
		}
		last, b = key, b[4+n:]
	}
	return true
}
