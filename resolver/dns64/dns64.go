// Package dns64 gives IPv6-only clients behind a NAT64 an AAAA answer for names that have IPv4 addresses alone (RFC 6147).
//
// In come questions on their way to an upstream; out come its answers, and for AAAA questions that are marked (wire.Question.NAT64) and have no
// IPv6 address the same name's A answer with each address embedded in a prefix (RFC 6052). It promises:
//   - a question that is not marked is answered as if there were no DNS64;
//   - a name that has IPv6 addresses keeps them, NXDOMAIN stays NXDOMAIN, and a client that validates by itself (DO and CD) gets what is signed;
//   - a name whose IPv6 addresses cannot be had, for whatever other reason, counts as one that has none (RFC 6147 5.1.2, 5.1.3);
//   - what is made up is never called validated: AD is clear, and no signature is left over it;
//   - names of aliases stay in the answer, so that whoever tests the names of an answer tests these too;
//   - ipv4only.arpa, by which clients find the prefix, and the reverse of its addresses are answered without an upstream (RFC 7050, RFC 8880);
//   - for whom the upstream says that its answer holds (RFC 7871) is said of what is made of it.
package dns64

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/miekg/dns"

	"github.com/cordon-project/cordon/resolver/upstream"
	"github.com/cordon-project/cordon/resolver/wire"
)

// Queuer asks an upstream resolver many questions at once, as resolver.Queuer says.
type Queuer interface {
	Queue(ctx context.Context, q wire.Question, w upstream.Waiter)
	Flush()
}

// DNS64 is a Queuer, a resolver.Asker and a resolver.Exchanger, in front of another Queuer. It may be used concurrently.
type DNS64 struct {
	next      Queuer
	prefix    netip.Prefix
	reverse   string      // of the prefix: what PTR questions end in, ".ip6.arpa." included
	addresses sync.Pool   // of *address
	queued    atomic.Bool // there is a second question that waits for next.Flush
}

// WellKnown is the prefix that needs no agreement (RFC 6052 2.1). It must not be used for private IPv4 addresses.
var WellKnown = netip.MustParsePrefix("64:ff9b::/96")

// CheckPrefix says what is wrong with a prefix: RFC 6052 knows six lengths, and bits 64 to 71 are zero.
func CheckPrefix(p netip.Prefix) error {
	switch {
	case !p.IsValid() || !p.Addr().Is6() || p.Addr().Is4In6():
		return fmt.Errorf("%v is not an IPv6 prefix", p)
	case p != p.Masked():
		return fmt.Errorf("%v has bits behind the prefix", p)
	case p.Bits() != 32 && p.Bits() != 40 && p.Bits() != 48 && p.Bits() != 56 && p.Bits() != 64 && p.Bits() != 96:
		return fmt.Errorf("%v has %d bits; a NAT64 prefix has 32, 40, 48, 56, 64 or 96", p, p.Bits())
	case p.Addr().As16()[8] != 0:
		return fmt.Errorf("%v has bits 64 to 71 set, which must be zero", p)
	}
	return nil
}

// New puts DNS64 in front of next.
func New(next Queuer, prefix netip.Prefix) (*DNS64, error) {
	if err := CheckPrefix(prefix); err != nil {
		return nil, fmt.Errorf("make dns64: %w", err)
	}
	d := &DNS64{next: next, prefix: prefix, reverse: reverse(prefix)}
	d.addresses.New = func() any { return newAddress(d) }
	return d, nil
}

// Embed is an IPv4 address in a checked prefix (RFC 6052 2.2): its bits follow the prefix and leave out bits 64 to 71.
func Embed(prefix netip.Prefix, four netip.Addr) netip.Addr {
	b, v4 := prefix.Addr().As16(), four.As4()
	at := prefix.Bits() / 8
	for _, v := range v4 {
		if at == 8 {
			at++
		}
		b[at] = v
		at++
	}
	return netip.AddrFrom16(b)
}

// extract is the reverse of Embed.
func extract(prefix netip.Prefix, six netip.Addr) (netip.Addr, bool) {
	b := six.As16()
	var v4 [4]byte
	at := prefix.Bits() / 8
	for i := range v4 {
		if at == 8 {
			at++
		}
		v4[i] = b[at]
		at++
	}
	four := netip.AddrFrom4(v4)
	return four, Embed(prefix, four) == six
}

// Exchange: see resolver.Exchanger.
func (d *DNS64) Exchange(ctx context.Context, q wire.Question) ([]byte, error) {
	type result struct {
		reply []byte
		err   error
	}
	ended := make(chan result, 1)
	d.Ask(ctx, q, func(reply []byte, err error) { ended <- result{slices.Clone(reply), err} })
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case r := <-ended:
		return r.reply, r.err
	}
}

// Ask: see resolver.Asker.
func (d *DNS64) Ask(ctx context.Context, q wire.Question, done func(reply []byte, err error)) {
	d.Queue(ctx, q, told(done))
	d.Flush()
}

// told is an upstream.Waiter that puts nothing off.
type told func(reply []byte, err error)

func (f told) Told(reply []byte, _ *wire.Summary, err error) { f(reply, err) }
func (told) Flush()                                          {}

// Flush: see resolver.Queuer.
func (d *DNS64) Flush() { d.next.Flush() }

// Queue: see resolver.Queuer. What is found in a reply is handed on only where the reply is the upstream's own.
func (d *DNS64) Queue(ctx context.Context, q wire.Question, w upstream.Waiter) {
	switch {
	case q.Class != wire.ClassIN || q.DO && q.CD:
	case bytes.HasSuffix(q.Name, arpa):
		d.below(ctx, q, w)
		return
	case q.NAT64 && q.Type == wire.TypeAAAA:
		d.address(ctx, q, w)
		return
	}
	d.next.Queue(ctx, q, w)
}

// arpa is what all names end in that are answered here, or stand for an address.
var arpa = []byte("\x04arpa\x00")

// below answers, or asks, a question for a name that may be one of these.
func (d *DNS64) below(ctx context.Context, q wire.Question, w upstream.Waiter) {
	name, _, err := dns.UnpackDomainName(q.Name, 0)
	if err != nil {
		w.Told(nil, nil, fmt.Errorf("dns64: read the name of a question: %w", err))
		w.Flush()
		return
	}
	if z := zone(name); z != "" {
		reply, err := d.discovered(q, name, z)
		w.Told(reply, nil, err)
		w.Flush()
		return
	}
	if four, ok := d.pointed(name); ok && q.NAT64 && q.Type == wire.TypePTR {
		d.pointer(ctx, q, name, four, w)
		return
	}
	if q.NAT64 && q.Type == wire.TypeAAAA {
		d.address(ctx, q, w)
		return
	}
	d.next.Queue(ctx, q, w)
}
