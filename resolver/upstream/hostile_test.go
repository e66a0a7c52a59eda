package upstream

import (
	"context"
	"encoding/binary"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/cordon-project/cordon/resolver/wire"
)

// FuzzReply gives a question's socket whatever bytes, with the right id in front of every second one: what reaches the waiter is a whole reply to the
// question, and nothing panics or is waited for twice.
func FuzzReply(f *testing.F) {
	silent, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		f.Fatal(err)
	}
	defer silent.Close()
	p, err := Open(Config{Servers: []netip.AddrPort{silent.LocalAddr().(*net.UDPAddr).AddrPort()}, Attempt: time.Minute, Total: time.Minute})
	if err != nil {
		f.Fatal(err)
	}
	defer p.Close()
	m := new(dns.Msg).SetQuestion("a.test.", dns.TypeA)
	m.Response = true
	for _, change := range []func(){
		func() {},
		func() {
			m.Answer = []dns.RR{&dns.A{Hdr: dns.RR_Header{Name: "a.test.", Rrtype: 1, Class: 1, Ttl: 5}, A: net.IPv4(192, 0, 2, 1)}}
		},
		func() { m.Truncated = true },
		func() { m.Truncated, m.Rcode = false, dns.RcodeFormatError },
		func() { m.Rcode = dns.RcodeServerFailure },
		func() { m.Rcode, m.Question = 0, append(m.Question, m.Question[0]) },
		func() { m.Question = m.Question[:1]; m.SetEdns0(1232, true) },
	} {
		change()
		b, err := m.Pack()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b, true)
		f.Add(b, false)
	}
	f.Add([]byte{}, true)
	name := []byte("\x01a\x04test\x00")
	q := wire.Question{Name: name, Type: dns.TypeA, Class: dns.ClassINET}
	f.Fuzz(func(t *testing.T, msg []byte, right bool) {
		told := 0
		var got []byte
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		p.Ask(ctx, q, func(reply []byte, err error) {
			if told++; err == nil {
				got = append([]byte(nil), reply...)
			}
		})
		var s *shard
		var fl *flight
		for _, s = range p.shards {
			s.mu.Lock()
			if len(s.flights) > 0 {
				fl = s.flights[0]
				break
			}
			s.mu.Unlock()
		}
		a := &fl.tries[0]
		k := a.socket
		if right && len(msg) >= wire.HeaderLen+len(a.cased) {
			binary.BigEndian.PutUint16(msg, a.id)
			if string(wire.AppendLower(nil, msg[wire.HeaderLen:wire.HeaderLen+len(a.cased)])) == string(name) {
				copy(msg[wire.HeaderLen:], a.cased)
			}
		}
		var lands landed
		s.reply(k, msg, new(wire.Summary), time.Now(), &lands)
		if len(s.flights) > 0 {
			s.land(fl, nil, nil, ErrNoAnswer, &lands)
		}
		s.mu.Unlock()
		lands.tell()
		if told != 1 {
			t.Fatalf("the waiter was told %d times", told)
		}
		if got == nil {
			return
		}
		var sum wire.Summary
		if !q.Answers(got, binary.BigEndian.Uint16(got)) || wire.Truncated(got) || wire.Scan(got, &sum) != nil {
			t.Fatalf("the waiter got %x", got)
		}
	})
}
