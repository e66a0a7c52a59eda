package wire

import "encoding/binary"

// Summary is what one pass over an upstream reply finds out. Reuse one: Scan keeps its memory, and then allocates nothing.
type Summary struct {
	Rcode    int      // extended by the OPT record's upper bits
	Cut      int      // end of the authority section; what lies behind is for this hop only and never passed on
	TTLs     []uint16 // offsets of all TTL fields before Cut
	Life     uint32   // seconds the whole may be kept: smallest TTL, for a negative answer also the SOA minimum; 0: not at all
	Negative bool     // NXDOMAIN, or no record of the asked type at the end of the chain
	OPT      bool     // the server speaks EDNS
	Cookie   []byte   // of the reply's OPT record (RFC 7873), a part of the message; nil when there is none
	Subnet   []byte   // client subnet of the reply's OPT record (RFC 7871), as Cookie
	EDE      uint16   // first Extended DNS Error of the reply, EDENone when there is none

	seen []uint16 // what a Reader remembers
}

// Scan reads a whole reply and checks every record. It returns ErrAnswer for one that must not be passed on.
func Scan(msg []byte, s *Summary) error {
	var (
		r    = Reader{ttls: s.seen}
		rec  Record
		soa  bool
		hit  bool
		life = ^uint32(0)
	)
	*s = Summary{TTLs: s.TTLs[:0], seen: s.seen}
	defer func() { s.seen = r.ttls[:0] }()
	if err := r.Reset(msg); err != nil {
		return err
	}
	s.Rcode, s.Cut = int(msg[3]&0xf), r.off
	want := binary.BigEndian.Uint16(msg[r.off-questionFixed:])
	for {
		more, err := r.Next(&rec)
		if err != nil {
			return err
		}
		if !more {
			break
		}
		if rec.Section == Additional {
			if rec.Type == TypeOPT {
				s.OPT = true
				s.Rcode |= int(binary.BigEndian.Uint32(msg[rec.TTLAt:])>>24) << 4
				s.EDE = firstEDE(msg[rec.Data:rec.End])
				s.Cookie = option(msg[rec.Data:rec.End], optionCookie)
				s.Subnet = option(msg[rec.Data:rec.End], optionSubnet)
			}
			continue
		}
		s.Cut = rec.End
		s.TTLs = append(s.TTLs, uint16(rec.TTLAt)) // a record behind the first 64 KiB does not exist: MaxMessage
		life = min(life, rec.TTL)
		switch {
		case rec.Section == Answer && (rec.Type == want || want == TypeANY):
			hit = true
		case rec.Section == Authority && rec.Type == TypeSOA:
			soa = true
			life = min(life, binary.BigEndian.Uint32(msg[rec.End-4:]))
		}
	}
	s.Negative = s.Rcode == RcodeNXDomain || s.Rcode == RcodeSuccess && !hit
	if s.Negative && !soa || len(s.TTLs) == 0 {
		life = 0 // RFC 2308 5: without the SOA there is no telling how long
	}
	s.Life = life
	return nil
}

// option is the first option with a code; nil when there is none.
func option(b []byte, want uint16) []byte {
	for len(b) >= optionFixed {
		code, n := binary.BigEndian.Uint16(b), int(binary.BigEndian.Uint16(b[2:]))
		if optionFixed+n > len(b) {
			break
		}
		if code == want {
			return b[optionFixed : optionFixed+n : optionFixed+n]
		}
		b = b[optionFixed+n:]
	}
	return nil
}

func firstEDE(b []byte) uint16 {
	if o := option(b, optionEDE); len(o) >= 2 {
		return binary.BigEndian.Uint16(o)
	}
	return EDENone
}

// Trim makes msg[:cut] of a scanned reply a message of its own, in place: without additional records.
func Trim(msg []byte, cut int) []byte {
	msg = msg[:cut]
	msg[offAR], msg[offAR+1] = 0, 0
	return msg
}

// ClampTTLs lowers every TTL at the given offsets to at most limit, in place (TTLs with the top bit set become 0).
func ClampTTLs(msg []byte, ttls []uint16, limit uint32) {
	for _, at := range ttls {
		ttl := binary.BigEndian.Uint32(msg[at:])
		if ttl>>31 != 0 {
			ttl = 0
		}
		binary.BigEndian.PutUint32(msg[at:], min(ttl, limit))
	}
}
