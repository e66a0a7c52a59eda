package wire

import "encoding/binary"

// Question is what one resolver asks another: no client options, and a client's subnet only where somebody decided that.
type Question struct {
	Name  []byte // wire form, lower case, root label included
	Type  uint16
	Class uint16
	DO    bool
	CD    bool

	NAT64  bool   // for a client behind one: to be translated on the way, by who does that
	Subnet Subnet // sent by AppendSubnet
}

// AppendQuery writes a query for it: RD set, AD set (so that the upstream says whether it validated, RFC 6840 5.7),
// CD as asked, and an OPT record of our own with the DO bit and size as the datagram size.
func (q Question) AppendQuery(dst []byte, id, size uint16) []byte {
	flags := flagRD | flagAD
	if q.CD {
		flags |= flagCD
	}
	dst = binary.BigEndian.AppendUint16(dst, id)
	dst = binary.BigEndian.AppendUint16(dst, flags)
	dst = append(dst, 0, 1, 0, 0, 0, 0, 0, 1)
	dst = append(dst, q.Name...)
	dst = binary.BigEndian.AppendUint16(dst, q.Type)
	dst = binary.BigEndian.AppendUint16(dst, q.Class)
	dst = append(dst, 0)
	dst = binary.BigEndian.AppendUint16(dst, TypeOPT)
	dst = binary.BigEndian.AppendUint16(dst, size)
	var ttl uint32
	if q.DO {
		ttl = ednsDO
	}
	dst = binary.BigEndian.AppendUint32(dst, ttl)
	return append(dst, 0, 0)
}

// AppendCookie adds a cookie (RFC 7873) to a query that AppendQuery has just written at the end of msg.
func AppendCookie(msg, cookie []byte) []byte {
	binary.BigEndian.PutUint16(msg[len(msg)-2:], uint16(optionFixed+len(cookie)))
	msg = binary.BigEndian.AppendUint16(msg, optionCookie)
	msg = binary.BigEndian.AppendUint16(msg, uint16(len(cookie)))
	return append(msg, cookie...)
}

// FlagAD is the AD bit in the fourth byte of a message.
const FlagAD = byte(flagAD & 0xff)

// OPTLen is how long the OPT record at the end of AppendQuery's queries is.
const OPTLen = optFixed

// AppendLower appends a wire name in lower case.
func AppendLower(dst, name []byte) []byte {
	for _, c := range name {
		dst = append(dst, fold[c])
	}
	return dst
}

// Answers reports whether msg is a response to this question with this id: QR set, opcode QUERY, exactly this one
// question (case aside). Anything else on the socket is somebody's guess.
func (q Question) Answers(msg []byte, id uint16) bool {
	end := HeaderLen + len(q.Name) + questionFixed
	if len(msg) < end || len(msg) > MaxMessage || binary.BigEndian.Uint16(msg) != id {
		return false
	}
	flags := binary.BigEndian.Uint16(msg[offFlags:])
	if flags&flagQR == 0 || flags&opcodeMask != 0 || binary.BigEndian.Uint16(msg[offQD:]) != 1 {
		return false
	}
	for i, c := range q.Name {
		if fold[msg[HeaderLen+i]] != c {
			return false
		}
	}
	return binary.BigEndian.Uint16(msg[end-4:]) == q.Type && binary.BigEndian.Uint16(msg[end-2:]) == q.Class
}

// Truncated reports the TC bit of a message that Answers accepted.
func Truncated(msg []byte) bool { return msg[offFlags]&byte(flagTC>>8) != 0 }
