package dns64

import (
	"bytes"
	"encoding/binary"
	"net/netip"

	"github.com/cordon-project/cordon/resolver/wire"
)

const (
	offAN        = 6 // of a header: how many answers
	optionSubnet = 8
	pointerTo    = 0xc000
	maxPointed   = 1 << 14 // a compression pointer reaches no further
)

// begin is the AAAA question with the header of a reply, and no record.
func (a *address) begin(reply []byte) []byte {
	a.out = append(a.out[:0], reply[:wire.HeaderLen]...)
	clear(a.out[offAN:])
	a.out[3] &^= wire.FlagAD // nobody has signed this
	a.out = append(a.out, a.q.Name...)
	a.out = binary.BigEndian.AppendUint16(a.out, wire.TypeAAAA)
	a.out = binary.BigEndian.AppendUint16(a.out, a.q.Class)
	return a.out
}

// retype is the reply to the A question as one to the AAAA question: an empty answer, or a failure.
func (a *address) retype(reply []byte) []byte {
	a.out = append(a.out[:0], reply...)
	a.out[3] &^= wire.FlagAD
	binary.BigEndian.PutUint16(a.out[wire.HeaderLen+len(a.q.Name):], wire.TypeAAAA)
	return a.out
}

// compose makes the AAAA answer of a scanned one: aliases, the addresses that a client can use, and those of IPv4 translated. ok is false when
// there is no address in it. Signatures and what else there is are left out.
func (a *address) compose(msg, subnet []byte) (out []byte, ok bool) {
	var rec wire.Record
	if a.reader.Reset(msg) != nil {
		return nil, false
	}
	a.begin(msg)
	a.alias = append(a.alias[:0], a.q.Name...)
	last, records := wire.HeaderLen, uint16(0) // where that name is
	for {
		more, err := a.reader.Next(&rec)
		if err != nil {
			return nil, false
		}
		if !more || rec.Section != wire.Answer {
			break
		}
		if rec.Class != wire.ClassIN {
			continue
		}
		data, ttl := msg[rec.Data:rec.End], rec.TTL
		var six [16]byte
		switch rec.Type {
		case wire.TypeCNAME, wire.TypeDNAME:
			a.label = expand(a.label[:0], msg, rec.Data)
			data = a.label
		case wire.TypeAAAA:
			if isMapped(data) {
				continue
			}
			ok = true
		case wire.TypeA:
			four := netip.AddrFrom4([4]byte(data))
			if a.d.prefix == WellKnown && private(four) {
				continue
			}
			six = Embed(a.d.prefix, four).As16()
			data, ttl, ok = six[:], min(ttl, a.most), true
		default:
			continue
		}
		at := len(a.out)
		a.out = expand(a.out, msg, rec.Start)
		if a.owner = wire.AppendLower(a.owner[:0], a.out[at:]); last < maxPointed && bytes.Equal(a.owner, a.alias) {
			a.out = binary.BigEndian.AppendUint16(a.out[:at], uint16(pointerTo|last))
		}
		typ := rec.Type
		if typ == wire.TypeA {
			typ = wire.TypeAAAA
		}
		a.out = binary.BigEndian.AppendUint16(a.out, typ)
		a.out = binary.BigEndian.AppendUint16(a.out, wire.ClassIN)
		a.out = binary.BigEndian.AppendUint32(a.out, ttl)
		a.out = binary.BigEndian.AppendUint16(a.out, uint16(len(data)))
		if typ == wire.TypeCNAME {
			a.alias, last = wire.AppendLower(a.alias[:0], data), len(a.out)
		}
		a.out = append(a.out, data...)
		records++
	}
	binary.BigEndian.PutUint16(a.out[offAN:], records)
	if subnet != nil {
		a.out = append(a.out, 0)
		for _, v := range []uint16{wire.TypeOPT, wire.MaxUDP, 0, 0, uint16(len(subnet) + 4), optionSubnet, uint16(len(subnet))} {
			a.out = binary.BigEndian.AppendUint16(a.out, v)
		}
		a.out = append(a.out, subnet...)
		a.out[wire.HeaderLen-1] = 1
	}
	return a.out, ok && len(a.out) <= wire.MaxMessage
}

// expand appends the name at an offset of a message that a Reader has checked, without pointers.
func expand(dst, msg []byte, at int) []byte {
	for {
		switch l := int(msg[at]); {
		case l == 0:
			return append(dst, 0)
		case l >= pointerTo>>8:
			at = int(binary.BigEndian.Uint16(msg[at:])) &^ pointerTo
		default:
			dst = append(dst, msg[at:at+1+l]...)
			at += 1 + l
		}
	}
}
