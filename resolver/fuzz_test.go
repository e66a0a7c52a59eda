package resolver

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"testing"

	"github.com/miekg/dns"

	"github.com/cordon-project/cordon/resolver/canon"
	"github.com/cordon-project/cordon/resolver/wire"
)

func seeds(t testing.TB) [][]byte {
	out := [][]byte{nil, {0}, make([]byte, 12), make([]byte, 600)}
	for _, typ := range []uint16{dns.TypeA, dns.TypeAAAA, dns.TypeHTTPS, dns.TypeANY, dns.TypeMX, dns.TypeAXFR, 0} {
		for _, name := range []string{".", "www.bad.test.", "ok.example.", `a\.b\000\255.test.`} {
			out = append(out, question(t, name, typ), question(t, name, typ, edns), question(t, name, typ, func(m *dns.Msg) {
				m.SetEdns0(512, true)
				m.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_NSID{Code: dns.EDNS0NSID}, &dns.EDNS0_SUBNET{Code: dns.EDNS0SUBNET, Family: 1, SourceNetmask: 24, Address: net.IPv4(192, 0, 2, 0)}}
			}))
		}
	}
	return out
}

// FuzzQuery: no query makes the resolver panic, every answer can be read by the oracle and fits the client's limit, the
// question comes back as it was, Fast, Slow and Busy agree on what is to be answered at all, and a batch says what Fast says.
func FuzzQuery(f *testing.F) {
	for _, s := range seeds(f) {
		f.Add(s, false)
		f.Add(s, true)
	}
	g := newRig(f)
	g.Swap(makeSet(f, law(canon.KindDomain, "bad.test")))
	g.up.set("*", func(q wire.Question) ([]byte, error) { return reply(q, nil) })
	worker, other := g.Worker(), question(f, "www.bad.test", dns.TypeA)
	f.Fuzz(func(t *testing.T, query []byte, tcp bool) {
		resp, done := g.Fast(nil, query, over(tcp))
		batch := []wire.Ask{{Query: query, From: over(tcp)}, {Query: other, From: over(tcp)}, {Query: query, From: over(tcp)}}
		worker.Answer(batch)
		for _, i := range []int{0, 2} {
			if string(batch[i].Resp) != string(resp) || batch[i].Done != done {
				t.Fatalf("in a batch the answer is %x, %v, alone %x, %v", batch[i].Resp, batch[i].Done, resp, done)
			}
		}
		if !done {
			if resp != nil {
				t.Fatalf("Fast left %x and did not answer", resp)
			}
			resp = g.slow(context.Background(), query, over(tcp))
		}
		busy := g.Busy(nil, query, over(tcp))
		if (len(busy) == 0) != (len(resp) == 0) {
			t.Fatalf("Busy says %x, the answer is %x", busy, resp)
		}
		if len(resp) == 0 {
			if len(query) >= 12 && query[2]&0x80 == 0 {
				t.Fatalf("no answer to the query %x", query)
			}
			return
		}
		for _, b := range [][]byte{resp, busy} {
			var m dns.Msg
			if err := m.Unpack(b); err != nil {
				t.Fatalf("the oracle cannot read %x: %v", b, err)
			}
			if m.Id != binary.BigEndian.Uint16(query) || !m.Response {
				t.Fatalf("header %+v for the query %x", m.MsgHdr, query[:4])
			}
			if !tcp && len(b) > wire.MaxUDP {
				t.Fatalf("%d bytes over UDP", len(b))
			}
			var q dns.Msg
			if q.Unpack(query) == nil && len(m.Question) == 1 && q.Question[0] != m.Question[0] {
				t.Fatalf("question %v, want %v", m.Question[0], q.Question[0])
			}
		}
	})
}

// FuzzAnswer: whatever an upstream sends, the resolver does not panic and its answer can be read by the oracle, at the first
// asking and from the cache, provided that the oracle could read the reply (data of types that neither side of us
// interprets is passed on untouched). A reply that the oracle sees leading to a listed name never shows an address of it.
func FuzzAnswer(f *testing.F) {
	q := wire.Question{Name: []byte("\x02ok\x07example\x00"), Type: dns.TypeA, Class: 1}
	for _, rrs := range [][]string{
		nil,
		{"ok.example. 300 IN A 192.0.2.1"},
		{"ok.example. 300 IN CNAME www.bad.test.", "www.bad.test. 300 IN A 192.0.2.1"},
		{"ok.example. 300 IN HTTPS 1 www.bad.test. alpn=h2"},
		{"example. 300 IN DNAME bad.test.", "ok.example. 300 IN CNAME ok.bad.test."},
		{"authority example. 300 IN SOA ns.example. h.example. 1 2 3 4 5"},
		{"ok.example. 300 IN MX 10 ok.example.", "ok.example. 300 IN TXT \"a\" \"b\"", "ok.example. 4294967295 IN SRV 1 2 3 ok.example."},
	} {
		b, err := reply(q, func(m *dns.Msg) { m.SetEdns0(1232, true) }, rrs...)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b, uint16(dns.TypeA))
		f.Add(b, uint16(dns.TypeHTTPS))
		f.Add(b, uint16(dns.TypeMX))
	}
	set := makeSet(f, law(canon.KindDomain, "bad.test"))
	f.Fuzz(func(t *testing.T, message []byte, typ uint16) {
		g := newRig(t)
		g.Swap(set)
		query := question(t, "Ok.Example", typ, edns)
		g.up.set("*", func(q wire.Question) ([]byte, error) {
			if len(message) == 0 {
				return nil, errors.New("nothing")
			}
			b := append([]byte(nil), message...)
			// Mostly let the reply be to the question, or nothing of it is looked at.
			if len(b) >= 12+12+4 {
				copy(b[12:], q.Name)
				binary.BigEndian.PutUint16(b[24:], q.Type)
				binary.BigEndian.PutUint16(b[26:], q.Class)
			}
			return b, nil
		})
		var first dns.Msg
		for range 3 {
			resp, done := g.Fast(nil, query, over(true))
			if !done {
				resp = g.slow(context.Background(), query, over(true))
			}
			patched, _ := g.up.replies["*"](wire.Question{Name: q.Name, Type: typ, Class: 1})
			if err := first.Unpack(patched); err != nil && len(patched) > 0 {
				continue
			}
			var m dns.Msg
			if err := m.Unpack(resp); err != nil {
				t.Fatalf("the oracle cannot read %x made of %x: %v", resp, message, err)
			}
			for _, rr := range m.Answer {
				if actionOf(typ) != pass && dns.IsSubDomain("bad.test.", rr.Header().Name) && rr.Header().Rrtype != dns.TypeDNAME {
					t.Fatalf("a record of a listed name got through: %v", rr)
				}
			}
		}
	})
}
