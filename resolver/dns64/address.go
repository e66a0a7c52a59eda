package dns64

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"net/netip"
	"sync/atomic"

	"github.com/cordon-project/cordon/resolver/upstream"
	"github.com/cordon-project/cordon/resolver/wire"
)

// address is an AAAA question on its way: it is asked as it is and, when that gives no address, for IPv4. Questions of either kind leave together
// as their Waiters were told together. It is used again once both have flushed.
//
//	AAAA -- addresses, NXDOMAIN --> as it is
//	  |
//	  |  no address, or any failure (RFC 6147 5.1.2, 5.1.3)
//	  v
//	A -- addresses --> translated
//	  |-- none --> what the AAAA question got, when that was an answer
//	  `-- else --> this empty answer or failure (RFC 6147 5.1.6)
type address struct {
	d    *DNS64
	ctx  context.Context
	w    upstream.Waiter
	q    wire.Question
	name [wire.MaxName]byte // of q
	left atomic.Int32       // Flushes to come
	more bool               // the second question was asked; owned by first

	six    []byte // the answer for IPv6, without an address; empty: it failed
	subnet []byte // of six
	most   uint32 // seconds that what is made may be kept

	reader wire.Reader
	sum    wire.Summary
	out    []byte
	label  []byte // a target
	owner  []byte // of a record, in lower case
	alias  []byte // the last target in out, as well
}

// first waits for the AAAA answer, second for that of A.
type (
	first  address
	second address
)

func newAddress(d *DNS64) *address { return &address{d: d} }

// defaultTTL is how long a made-up answer is good when the empty one did not say how long that is (RFC 6147 5.1.7).
const defaultTTL = 600

// maxKept is how much memory for replies is kept to be used again: such as come in datagrams.
const maxKept = 4 * wire.MaxUDP

// address asks an AAAA question.
func (d *DNS64) address(ctx context.Context, q wire.Question, w upstream.Waiter) {
	a := d.addresses.Get().(*address)
	a.ctx, a.w, a.q, a.more = ctx, w, q, false
	a.q.Name = a.name[:copy(a.name[:], q.Name)]
	a.six, a.subnet, a.most = a.six[:0], nil, defaultTTL
	a.left.Store(1)
	d.next.Queue(ctx, q, (*first)(a))
}

// Told asks for IPv4 where there is no IPv6.
func (f *first) Told(reply []byte, sum *wire.Summary, err error) {
	a := (*address)(f)
	if reply, sum, enough := a.enough(reply, sum, err); enough {
		a.w.Told(reply, sum, err)
		return
	}
	a.more = true
	a.left.Add(1)
	q := a.q
	q.Type = wire.TypeA
	a.d.next.Queue(a.ctx, q, (*second)(a))
	a.d.queued.Store(true)
}

// Flush sends the questions for IPv4 of all that were told together.
func (f *first) Flush() {
	a := (*address)(f)
	d := a.d
	if !a.more {
		a.w.Flush()
	}
	a.leave()
	if d.queued.Swap(false) {
		d.next.Flush()
	}
}

// Told gives the answer.
func (s *second) Told(reply []byte, sum *wire.Summary, err error) {
	a := (*address)(s)
	reply, err = a.settle(reply, sum, err)
	a.w.Told(reply, nil, err)
}

// Flush is for who was told.
func (s *second) Flush() {
	a := (*address)(s)
	a.w.Flush()
	a.leave()
}

func (a *address) leave() {
	if a.left.Add(-1) == 0 {
		a.ctx, a.w = nil, nil
		if cap(a.out)+cap(a.six) > maxKept {
			a.out, a.six = nil, nil
		}
		a.d.addresses.Put(a)
	}
}

// enough is whether the reply to the AAAA question, or its failure, is the client's; else what of it matters is kept.
func (a *address) enough(reply []byte, sum *wire.Summary, err error) ([]byte, *wire.Summary, bool) {
	if err != nil {
		return nil, nil, errors.Is(err, upstream.ErrBusy) || a.ctx.Err() != nil // there is no room, or nobody who waits, for another question either
	}
	if sum = a.scan(a.q, reply, sum); sum == nil {
		return nil, nil, false
	}
	if !a.about(sum) || sum.Rcode == wire.RcodeNXDomain {
		return reply, sum, true // for another subnet: it is the resolver's to refuse
	}
	if sum.Rcode != wire.RcodeSuccess {
		return nil, nil, false
	}
	addresses, mapped := a.look(reply)
	if addresses > 0 && mapped > 0 {
		if out, ok := a.compose(reply, sum.Subnet); ok {
			return out, nil, true
		}
	}
	if addresses > 0 {
		return reply, sum, true
	}
	a.six = append(a.six, reply...)
	if n := len(sum.Subnet); n > 0 {
		at := bytes.Index(reply, sum.Subnet)
		a.subnet = a.six[at : at+n]
	}
	return nil, nil, false
}

// settle is what the client gets when there was no IPv6, of the reply to the A question.
func (a *address) settle(reply []byte, sum *wire.Summary, err error) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	q := a.q
	q.Type = wire.TypeA
	if sum = a.scan(q, reply, sum); sum == nil || !a.about(sum) {
		return nil, errReply
	}
	if sum.Rcode != wire.RcodeSuccess {
		return a.retype(reply), nil
	}
	if out, ok := a.compose(reply, narrower(a.subnet, sum.Subnet)); ok {
		return out, nil
	}
	if len(a.six) > 0 {
		return a.six, nil
	}
	if sum.Negative {
		return a.retype(reply), nil
	}
	return a.begin(reply), nil // its addresses are none that can be reached
}

// errReply is what an upstream sent that was no answer to the question.
var errReply = errors.New("dns64: the upstream's reply is no answer")

// scan is what is in a reply; nil when it is none to q.
func (a *address) scan(q wire.Question, reply []byte, sum *wire.Summary) *wire.Summary {
	if sum == nil && answers(q, reply) && wire.Scan(reply, &a.sum) == nil {
		return &a.sum
	}
	return sum
}

// answers is whether a message is a whole reply to q.
func answers(q wire.Question, reply []byte) bool {
	return len(reply) >= wire.HeaderLen && q.Answers(reply, binary.BigEndian.Uint16(reply)) && !wire.Truncated(reply)
}

// about is whether a reply is for the subnet that was asked about, or for everybody (RFC 7871 7.3).
func (a *address) about(sum *wire.Summary) bool {
	if !a.q.Subnet.Is() || sum.Subnet == nil {
		return true
	}
	got, ok := wire.ParseSubnet(sum.Subnet)
	return ok && got.WithScope(0) == a.q.Subnet
}

// narrower is for whom an answer holds that was made of two replies, each of which says it or nothing.
func narrower(one, other []byte) []byte {
	a, ok := wire.ParseSubnet(one)
	if b, is := wire.ParseSubnet(other); !ok || is && b.Scope() > a.Scope() {
		return other
	}
	return one
}

// look counts the addresses of an AAAA answer, and IPv4 addresses written as IPv6, which are none (RFC 6147 5.1.4); and finds how long the zone
// says that there is nothing.
func (a *address) look(msg []byte) (addresses, mapped int) {
	var rec wire.Record
	if a.reader.Reset(msg) != nil {
		return 0, 0
	}
	for {
		switch more, err := a.reader.Next(&rec); {
		case err != nil || !more:
			return addresses, mapped
		case rec.Section == wire.Answer && rec.Type == wire.TypeAAAA:
			if isMapped(msg[rec.Data:rec.End]) {
				mapped++
			} else {
				addresses++
			}
		case rec.Section == wire.Authority && rec.Type == wire.TypeSOA:
			a.most = min(rec.TTL, binary.BigEndian.Uint32(msg[rec.End-4:]))
		}
	}
}

func isMapped(b []byte) bool { return netip.AddrFrom16([16]byte(b)).Is4In6() }

// private addresses mean nothing behind the well-known prefix (RFC 6052 3.1).
func private(a netip.Addr) bool { return !a.IsGlobalUnicast() || a.IsPrivate() }
