package wire

import "encoding/binary"

// Subnet is an EDNS client subnet (RFC 7871): for what part of the network an answer is asked, or holds. The zero value is none. It is a value of
// fixed size, so that two can be compared and none keeps a packet alive.
type Subnet struct {
	n    uint8
	data [subnetFixed + 16]byte // of the option: family, source and scope prefix length, address
}

const (
	subnetFixed  = 4
	subnetSource = 2
	subnetScope  = 3
)

// ParseSubnet reads an option's data: the address as long as its prefix, with nothing behind it (RFC 7871 6). Family 0 is for "no subnet at all".
func ParseSubnet(data []byte) (s Subnet, ok bool) {
	if len(data) < subnetFixed || len(data) > len(s.data) {
		return Subnet{}, false
	}
	most := byte(0)
	switch binary.BigEndian.Uint16(data) {
	case 0:
	case 1:
		most = 32
	case 2:
		most = 128
	default:
		return Subnet{}, false
	}
	source, address := data[subnetSource], data[subnetFixed:]
	if source > most || data[subnetScope] > most || len(address) != (int(source)+7)/8 {
		return Subnet{}, false
	}
	if rest := source % 8; rest != 0 && address[len(address)-1]<<rest != 0 {
		return Subnet{}, false
	}
	s.n = uint8(copy(s.data[:], data))
	return s, true
}

// Is reports whether there is one.
func (s Subnet) Is() bool { return s.n != 0 }

// Scope is for how much of the network around it an answer holds; 0 in questions.
func (s Subnet) Scope() byte { return s.data[subnetScope] }

// WithScope is the same subnet with another scope.
func (s Subnet) WithScope(scope byte) Subnet {
	s.data[subnetScope] = scope
	return s
}

func (s Subnet) bytes() []byte { return s.data[:s.n] }

// AppendSubnet adds q's subnet, when it has one, to the query that AppendQuery wrote at msg[at:], behind what options it has.
func (q *Question) AppendSubnet(msg []byte, at int) []byte {
	if !q.Subnet.Is() {
		return msg
	}
	length := msg[at+HeaderLen+len(q.Name)+questionFixed+optFixed-2:]
	binary.BigEndian.PutUint16(length, binary.BigEndian.Uint16(length)+optionFixed+uint16(q.Subnet.n))
	return appendSubnet(msg, &q.Subnet)
}

func appendSubnet(dst []byte, s *Subnet) []byte {
	dst = binary.BigEndian.AppendUint16(dst, optionSubnet)
	dst = binary.BigEndian.AppendUint16(dst, uint16(s.n))
	return append(dst, s.bytes()...)
}
