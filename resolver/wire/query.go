package wire

import "encoding/binary"

// Query is one parsed question. The zero value is ready for Parse; reuse one per worker. It holds copies of the
// name, so it stays valid when the packet's buffer is reused; the Append methods need the packet again, for the
// client's own spelling of the name. Not for concurrent use.
type Query struct {
	ID    uint16
	Flags uint16 // as received
	Type  uint16
	Class uint16

	EDNS    bool   // the query has an OPT record, so the answer has one
	Version uint8  // EDNS version asked for
	Size    uint16 // largest datagram the client says it takes
	DO      bool   // DNSSEC records wanted
	NSID    bool   // name server id wanted

	// What a caller may set after Parse, which clears both: they go into Question, and NAT64 into Key. An answer for a Subnet is for nobody else,
	// whatever its key.
	NAT64  bool
	Subnet Subnet

	end  int // offset behind the question, 0 when it could not be read
	opts int // offset of the options of EDNS version 0, 0 for none; checked
	last int // offset behind them
	n    int // bytes of the wire name, root label included
	dots int // bytes of the dotted name
	low  [MaxName + keyExtra]byte
	dot  [MaxName + 1]byte // one spare byte behind the longest name: match may put a class byte there
}

// Parse reads a query from a whole message. On ErrFormat, ErrOpcode and ErrVersion the parts read so far are kept,
// which is what AppendError echoes. Rules beyond RFC 1035: exactly one question without compression, no answer or
// authority records, at most one OPT at the root, at most eight additional records, no bytes behind the message.
//
// Hot path: no allocation, see TestParseDoesNotAllocate.
func (q *Query) Parse(msg []byte) error {
	q.Type, q.Class, q.EDNS, q.Version, q.Size, q.DO, q.NSID = 0, 0, false, 0, 0, false, false
	q.end, q.opts, q.last, q.n, q.dots = 0, 0, 0, 0, 0
	q.NAT64, q.Subnet = false, Subnet{}
	if len(msg) < HeaderLen {
		return ErrIgnore
	}
	q.ID = binary.BigEndian.Uint16(msg)
	q.Flags = binary.BigEndian.Uint16(msg[offFlags:])
	if q.Flags&flagQR != 0 {
		return ErrIgnore // answering a response is how loops start
	}
	err := q.body(msg)
	if q.Flags&opcodeMask != 0 {
		return ErrOpcode // after looking for OPT: the refusal keeps it too (RFC 6891 7)
	}
	return err
}

func (q *Query) body(msg []byte) error {
	if len(msg) > MaxMessage {
		return ErrFormat
	}
	// One comparison for QDCOUNT 1, ANCOUNT 0, NSCOUNT 0.
	if binary.BigEndian.Uint16(msg[offQD:]) != 1 || binary.BigEndian.Uint32(msg[offAN:]) != 0 {
		return ErrFormat
	}
	off, err := q.question(msg)
	if err != nil {
		return err
	}
	return q.additional(msg, off)
}

// question reads the name in both forms the resolver needs, lower-case wire (cache key) and lower-case dotted
// (match), in one pass.
func (q *Query) question(msg []byte) (int, error) {
	off, n, d := HeaderLen, 0, 0
	for {
		if off >= len(msg) {
			return 0, ErrFormat
		}
		l := int(msg[off])
		off++
		if l == 0 {
			q.low[n] = 0
			n++
			break
		}
		// 64..255 are compression pointers and reserved kinds: nothing lies before a question to point at.
		if l > 63 || n+1+l+1 > MaxName || off+l > len(msg) {
			return 0, ErrFormat
		}
		q.low[n] = byte(l)
		n++
		if d > 0 {
			q.dot[d] = '.'
			d++
		}
		for _, c := range msg[off : off+l] {
			q.low[n] = fold[c]
			q.dot[d] = dotted[c]
			n++
			d++
		}
		off += l
	}
	if off+questionFixed > len(msg) {
		return 0, ErrFormat
	}
	q.Type = binary.BigEndian.Uint16(msg[off:])
	q.Class = binary.BigEndian.Uint16(msg[off+2:])
	off += questionFixed
	q.end, q.n, q.dots = off, n, d
	return off, nil
}

// additional looks for the OPT record. Other records there (a transaction signature, say) are stepped over: this
// resolver shares no keys with its clients.
func (q *Query) additional(msg []byte, off int) error {
	count := int(binary.BigEndian.Uint16(msg[offAR:]))
	if count > maxAdditional {
		return ErrFormat
	}
	for range count {
		start := off
		off = skipName(msg, off)
		if off < 0 || off+recordFixed > len(msg) {
			return ErrFormat
		}
		typ := binary.BigEndian.Uint16(msg[off:])
		class := binary.BigEndian.Uint16(msg[off+2:])
		ttl := binary.BigEndian.Uint32(msg[off+4:])
		end := off + recordFixed + int(binary.BigEndian.Uint16(msg[off+8:]))
		if end > len(msg) {
			return ErrFormat
		}
		if typ == TypeOPT {
			if q.EDNS || msg[start] != 0 {
				return ErrFormat // RFC 6891 6.1.1: one OPT, owned by the root
			}
			q.EDNS, q.Size, q.Version, q.DO = true, class, byte(ttl>>16), ttl&ednsDO != 0
			if q.Version == 0 {
				if !q.options(msg[off+recordFixed : end]) {
					return ErrFormat
				}
				q.opts, q.last = off+recordFixed, end
			}
		}
		off = end
	}
	if off != len(msg) {
		return ErrFormat
	}
	if q.Version != 0 {
		return ErrVersion
	}
	return nil
}

func (q *Query) options(b []byte) bool {
	for len(b) > 0 {
		if len(b) < optionFixed {
			return false
		}
		code, n := binary.BigEndian.Uint16(b), int(binary.BigEndian.Uint16(b[2:]))
		if optionFixed+n > len(b) {
			return false
		}
		if code == optionNSID {
			q.NSID = true
		}
		b = b[optionFixed+n:]
	}
	return true
}

// ReadSubnet is the client subnet of the packet that was parsed. ok is false when there is one that is malformed.
func (q *Query) ReadSubnet(query []byte) (s Subnet, ok bool) {
	data, there := q.Option(query, optionSubnet)
	if !there {
		return Subnet{}, true
	}
	s, ok = ParseSubnet(data)
	return s, ok && s.Scope() == 0 // RFC 7871 6
}

// Option is the first EDNS option with a code, of the packet that was parsed. ok is false when there is none.
func (q *Query) Option(query []byte, code uint16) (data []byte, ok bool) {
	for b := query[q.opts:q.last]; len(b) >= optionFixed; {
		n := optionFixed + int(binary.BigEndian.Uint16(b[2:]))
		if binary.BigEndian.Uint16(b) == code {
			return b[optionFixed:n], true
		}
		b = b[n:]
	}
	return nil, false
}

// Name is the asked name for match: lower case, dotted, no trailing dot, empty for the root; a dot inside a label is
// a NUL. The slice belongs to q, has spare capacity of at least one byte, and lives until the next Parse.
func (q *Query) Name() []byte { return q.dot[:q.dots] }

// WireName is the asked name in lower-case wire form with its root label. It belongs to q until the next Parse.
func (q *Query) WireName() []byte { return q.low[:q.n] }

// Key is the cache key: lower-case wire name, type, class, and the DO, CD and NAT64 bits. It belongs to q until the next Parse.
func (q *Query) Key() []byte {
	k := q.low[:q.n+keyExtra]
	binary.BigEndian.PutUint16(k[q.n:], q.Type)
	binary.BigEndian.PutUint16(k[q.n+2:], q.Class)
	var bits byte
	if q.DO {
		bits |= 1
	}
	if q.CD() {
		bits |= 2
	}
	if q.NAT64 {
		bits |= 4
	}
	k[q.n+4] = bits
	return k
}

// Question is the query as an upstream is asked it: name, type, class, DO, CD, NAT64 and Subnet, nothing else of the client's. Its
// Name belongs to q until the next Parse.
func (q *Query) Question() Question {
	return Question{Name: q.WireName(), Type: q.Type, Class: q.Class, DO: q.DO, CD: q.CD(), NAT64: q.NAT64, Subnet: q.Subnet}
}

// CD reports whether the client asked for checking disabled (RFC 4035).
func (q *Query) CD() bool { return q.Flags&flagCD != 0 }

// WantsAD reports whether the client wants to be told that an answer was validated (RFC 6840 5.7: AD or DO set).
func (q *Query) WantsAD() bool { return q.DO || q.Flags&flagAD != 0 }

// Limit is the largest answer this client may be sent over the given transport.
func (q *Query) Limit(tcp bool) int {
	switch {
	case tcp:
		return MaxMessage
	case !q.EDNS:
		return MinUDP
	}
	return min(max(int(q.Size), MinUDP), MaxUDP)
}

// Meta reports whether t is OPT or one of the types 128 to 254 that ask for an action and not for records
// (RFC 6895); ANY is not among them.
func Meta(t uint16) bool { return t == TypeOPT || t >= firstMeta && t < TypeANY }
