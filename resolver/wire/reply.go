package wire

import (
	"encoding/binary"
	"net/netip"
)

// Options is what our own OPT record carries, when the query had one: an Extended DNS Error and, when the client asked for
// it, the name server id, or sent it, its subnet with the answer's scope.
type Options struct {
	EDE  uint16 // EDENone for none
	Text []byte // EXTRA-TEXT of the EDE: fixed when the process starts, so that nothing of a question or a list is in it; nil for none
	NSID []byte // sent only to clients that asked; nil for none

	Subnet Subnet // whom the answer is for, sent only to clients that sent theirs
}

// The Append methods write a whole answer to the query q was parsed from (query is that packet) behind dst and
// return the longer slice, like append: no allocation when dst has room (MaxUDP bytes always do over UDP). The
// question is echoed in the client's own case (0x20), RD and CD are the client's, RA is set, AA and Z are clear.

// AppendAddress answers an A or AAAA question with the one address addr.
func (q *Query) AppendAddress(dst, query []byte, addr netip.Addr, ttl uint32, o *Options) []byte {
	base := len(dst)
	dst = q.begin(dst, query, RcodeSuccess, 1, 0)
	if addr.Is4() {
		a := addr.As4()
		dst = appendRecord(dst, TypeA, ttl, len(a))
		dst = append(dst, a[:]...)
	} else {
		a := addr.As16()
		dst = appendRecord(dst, TypeAAAA, ttl, len(a))
		dst = append(dst, a[:]...)
	}
	return q.finish(dst, base, RcodeSuccess, o)
}

// AppendNoData answers "the name exists, this type does not". The SOA record lets the client remember it for ttl
// seconds (RFC 2308); it is made of the asked name alone and tells nothing of any zone.
func (q *Query) AppendNoData(dst, query []byte, ttl uint32, o *Options) []byte {
	base := len(dst)
	dst = q.begin(dst, query, RcodeSuccess, 0, 1)
	dst = appendRecord(dst, TypeSOA, ttl, 1+1+soaFixed)
	dst = append(dst, 0, 0) // primary server and mailbox: the root, meaning none
	dst = binary.BigEndian.AppendUint32(dst, 1)
	for range 4 { // refresh, retry, expire, minimum
		dst = binary.BigEndian.AppendUint32(dst, ttl)
	}
	return q.finish(dst, base, RcodeSuccess, o)
}

// AppendError answers with a response code and no records. The question is echoed when it could be read.
func (q *Query) AppendError(dst, query []byte, rcode int, o *Options) []byte {
	base := len(dst)
	dst = q.begin(dst, query, rcode, 0, 0)
	return q.finish(dst, base, rcode, o)
}

// AppendAnswer answers with a packed upstream answer that Scan accepted for this very question: msg is its header,
// question, answer and authority (nothing behind them), ttls the offsets of its TTL fields, age how many seconds each has
// run down. When it does not fit the client's limit only the question is sent, with TC set.
func (q *Query) AppendAnswer(dst, query, msg []byte, ttls []uint16, age uint32, tcp bool, o *Options) []byte {
	base, extra := len(dst), q.optLen(o)
	rcode := int(msg[3] & 0xf)
	if len(msg) < q.end || len(msg)+extra > q.Limit(tcp) {
		return q.AppendTruncated(dst, query, rcode, o)
	}
	dst = append(dst, msg...)
	out := dst[base:]
	flags := q.replyFlags() | uint16(rcode)
	if q.WantsAD() {
		flags |= binary.BigEndian.Uint16(msg[offFlags:]) & flagAD
	}
	binary.BigEndian.PutUint16(out, q.ID)
	binary.BigEndian.PutUint16(out[offFlags:], flags)
	binary.BigEndian.PutUint16(out[offAR:], 0)
	copy(out[HeaderLen:q.end], query[HeaderLen:q.end])
	if age > 0 {
		for _, at := range ttls {
			left := binary.BigEndian.Uint32(out[at:])
			binary.BigEndian.PutUint32(out[at:], left-min(left, age))
		}
	}
	return q.finish(dst, base, rcode, o)
}

// AppendTruncated answers with a response code, no records and TC set: the client asks again over TCP.
func (q *Query) AppendTruncated(dst, query []byte, rcode int, o *Options) []byte {
	base := len(dst)
	dst = q.begin(dst, query, rcode, 0, 0)
	dst[base+offFlags] |= byte(flagTC >> 8)
	return q.finish(dst, base, rcode, o)
}

func (q *Query) replyFlags() uint16 {
	return flagQR | q.Flags&(opcodeMask|flagRD|flagCD) | flagRA
}

func (q *Query) begin(dst, query []byte, rcode int, an, ns uint16) []byte {
	dst = binary.BigEndian.AppendUint16(dst, q.ID)
	dst = binary.BigEndian.AppendUint16(dst, q.replyFlags()|uint16(rcode&0xf))
	qd := uint16(1)
	if q.end == 0 {
		qd = 0
	}
	dst = binary.BigEndian.AppendUint16(dst, qd)
	dst = binary.BigEndian.AppendUint16(dst, an)
	dst = binary.BigEndian.AppendUint16(dst, ns)
	dst = binary.BigEndian.AppendUint16(dst, 0)
	if q.end > 0 {
		dst = append(dst, query[HeaderLen:q.end]...)
	}
	return dst
}

// appendRecord writes owner (a pointer to the question's name) up to rdlength.
func appendRecord(dst []byte, typ uint16, ttl uint32, n int) []byte {
	dst = append(dst, pointerBits, HeaderLen)
	dst = binary.BigEndian.AppendUint16(dst, typ)
	dst = binary.BigEndian.AppendUint16(dst, ClassIN)
	dst = binary.BigEndian.AppendUint32(dst, ttl)
	return binary.BigEndian.AppendUint16(dst, uint16(n))
}

func (q *Query) optLen(o *Options) int {
	if !q.EDNS {
		return 0
	}
	n := optFixed
	if o.EDE != EDENone {
		n += optionFixed + 2 + len(o.Text)
	}
	if q.NSID && len(o.NSID) > 0 {
		n += optionFixed + len(o.NSID)
	}
	if o.Subnet.Is() {
		n += optionFixed + int(o.Subnet.n)
	}
	return n
}

// finish adds the OPT record when, and only when, the query had one.
func (q *Query) finish(dst []byte, base, rcode int, o *Options) []byte {
	if !q.EDNS {
		return dst
	}
	dst[base+offAR+1] = 1
	dst = append(dst, 0)
	dst = binary.BigEndian.AppendUint16(dst, TypeOPT)
	dst = binary.BigEndian.AppendUint16(dst, MaxUDP)
	ttl := uint32(rcode>>4) << 24
	if q.DO {
		ttl |= ednsDO
	}
	dst = binary.BigEndian.AppendUint32(dst, ttl)
	dst = binary.BigEndian.AppendUint16(dst, uint16(q.optLen(o)-optFixed))
	if o.EDE != EDENone {
		dst = binary.BigEndian.AppendUint16(dst, optionEDE)
		dst = binary.BigEndian.AppendUint16(dst, uint16(2+len(o.Text)))
		dst = binary.BigEndian.AppendUint16(dst, o.EDE)
		dst = append(dst, o.Text...)
	}
	if q.NSID && len(o.NSID) > 0 {
		dst = binary.BigEndian.AppendUint16(dst, optionNSID)
		dst = binary.BigEndian.AppendUint16(dst, uint16(len(o.NSID)))
		dst = append(dst, o.NSID...)
	}
	if o.Subnet.Is() {
		dst = appendSubnet(dst, &o.Subnet)
	}
	return dst
}
