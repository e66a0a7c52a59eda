package wire

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

func pack(t testing.TB, m *dns.Msg) []byte {
	t.Helper()
	b, err := m.Pack()
	if err != nil {
		t.Fatalf("pack %v: %v", m, err)
	}
	return b
}

func ask(t testing.TB, name string, typ uint16, change ...func(*dns.Msg)) []byte {
	m := new(dns.Msg).SetQuestion(name, typ)
	for _, f := range change {
		f(m)
	}
	return pack(t, m)
}

func TestParseReadsWhatTheOracleWrote(t *testing.T) {
	for _, tt := range []struct {
		name, want string
	}{
		{".", ""},
		{"test.", "test"},
		{"WWW.Example.TEST.", "www.example.test"},
		{`a\.b.test.`, "a\x00b.test"},
		{`\000\255.test.`, "\x00\xff.test"},
		{strings.Repeat("a.", 127), strings.Repeat("a.", 126) + "a"},
		{strings.Repeat(strings.Repeat("X", 61)+".", 4), strings.Repeat(strings.Repeat("x", 61)+".", 3) + strings.Repeat("x", 61)},
	} {
		var q Query
		msg := ask(t, tt.name, dns.TypeAAAA, func(m *dns.Msg) {
			m.CheckingDisabled = true
			m.SetEdns0(1400, true)
			m.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_NSID{Code: dns.EDNS0NSID}}
		})
		if err := q.Parse(msg); err != nil {
			t.Errorf("%q: %v", tt.name, err)
			continue
		}
		if string(q.Name()) != tt.want {
			t.Errorf("%q: name is %q, want %q", tt.name, q.Name(), tt.want)
		}
		if cap(q.Name()) <= len(q.Name()) {
			t.Errorf("%q: no spare byte behind the name", tt.name)
		}
		if q.Type != dns.TypeAAAA || q.Class != 1 || !q.EDNS || !q.DO || !q.NSID || q.Size != 1400 || !q.CD() {
			t.Errorf("%q: parsed as %+v", tt.name, q)
		}
		name, _, err := dns.UnpackDomainName(q.WireName(), 0)
		if err != nil || !strings.EqualFold(name, tt.name) {
			t.Errorf("%q: wire name is %q, %v", tt.name, name, err)
		}
		if want := string(q.WireName()) + "\x00\x1c\x00\x01\x03"; string(q.Key()) != want {
			t.Errorf("%q: key is %q, want %q", tt.name, q.Key(), want)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	good := ask(t, "www.example.test.", dns.TypeA)
	withOPT := ask(t, "www.example.test.", dns.TypeA, func(m *dns.Msg) { m.SetEdns0(1232, false) })
	edit := func(b []byte, f func(b []byte) []byte) []byte { return f(bytes.Clone(b)) }
	opt := withOPT[len(good):]
	for _, tt := range []struct {
		name string
		msg  []byte
		want error
	}{
		{"nothing", nil, ErrIgnore},
		{"half a header", good[:11], ErrIgnore},
		{"a response", edit(good, func(b []byte) []byte { b[2] |= 0x80; return b }), ErrIgnore},
		{"an update", edit(good, func(b []byte) []byte { b[2] |= 5 << 3; return b }), ErrOpcode},
		{"no question", edit(good, func(b []byte) []byte { b[5] = 0; return b }), ErrFormat},
		{"two questions", edit(good, func(b []byte) []byte { b[5] = 2; return b }), ErrFormat},
		{"an answer", edit(good, func(b []byte) []byte { b[7] = 1; return b }), ErrFormat},
		{"an authority record", edit(good, func(b []byte) []byte { b[9] = 1; return b }), ErrFormat},
		{"cut in the name", good[:20], ErrFormat},
		{"cut before the type", good[:len(good)-4], ErrFormat},
		{"cut in the class", good[:len(good)-1], ErrFormat},
		{"bytes behind", append(bytes.Clone(good), 0), ErrFormat},
		{"a pointer in the question", edit(good, func(b []byte) []byte { b[12], b[13] = 0xc0, 4; return b }), ErrFormat},
		{"a label of 64", edit(good, func(b []byte) []byte { b[12] = 64; return b }), ErrFormat},
		{"missing additional record", edit(good, func(b []byte) []byte { b[11] = 1; return b }), ErrFormat},
		{"too many additional records", edit(good, func(b []byte) []byte { b[10] = 1; return b }), ErrFormat},
		{"two OPT records", edit(append(bytes.Clone(withOPT), opt...), func(b []byte) []byte { b[11] = 2; return b }), ErrFormat},
		{"OPT not at the root", edit(withOPT, func(b []byte) []byte {
			return append(append(b[:len(good):len(good)], 1, 'x'), opt...)
		}), ErrFormat},
		{"OPT data cut", edit(withOPT, func(b []byte) []byte { b[len(b)-1] = 4; return b }), ErrFormat},
		{"option cut", edit(withOPT, func(b []byte) []byte { b[len(b)-1] = 4; return append(b, 0, 3, 0, 1) }), ErrFormat},
		{"EDNS version 1", edit(withOPT, func(b []byte) []byte { b[len(good)+6] = 1; return b }), ErrVersion},
		{"a good one", good, nil},
		{"a good one with OPT", withOPT, nil},
		{"a signature is stepped over", pack(t, func() *dns.Msg {
			m := new(dns.Msg).SetQuestion("www.example.test.", dns.TypeA)
			m.Extra = []dns.RR{&dns.TXT{Hdr: dns.RR_Header{Name: "www.example.test.", Rrtype: dns.TypeTXT, Class: 1}, Txt: []string{"x"}}}
			m.Compress = true
			return m
		}()), nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var q Query
			if got := q.Parse(tt.msg); got != tt.want {
				t.Fatalf("got %v, want %v", got, tt.want)
			}
			if tt.want == ErrIgnore {
				return
			}
			var m dns.Msg
			b := q.AppendError(nil, tt.msg, RcodeBadVers, &Options{EDE: EDEBlocked})
			if err := m.Unpack(b); err != nil {
				t.Errorf("the oracle cannot read the error answer %x: %v", b, err)
			}
			if q.EDNS && m.Rcode != RcodeBadVers {
				t.Errorf("extended response code is %d, want %d", m.Rcode, RcodeBadVers)
			}
		})
	}
}

func TestNameTooLongIsRefused(t *testing.T) {
	msg := make([]byte, 12, 400)
	msg[5] = 1
	for range 128 { // 256 bytes and the root
		msg = append(msg, 1, 'a')
	}
	msg = append(msg, 0, 0, 1, 0, 1)
	var q Query
	if err := q.Parse(msg); err != ErrFormat {
		t.Errorf("got %v, want %v", err, ErrFormat)
	}
}

func TestParseAndAppendDoNotAllocate(t *testing.T) {
	msg := ask(t, "Www.Example.Test.", dns.TypeA, func(m *dns.Msg) { m.SetEdns0(1232, true) })
	var q Query
	o := &Options{EDE: EDECensored, NSID: make([]byte, 32)}
	dst := make([]byte, 0, 512)
	addr := netip.MustParseAddr("192.0.2.1")
	if n := testing.AllocsPerRun(200, func() {
		_ = q.Parse(msg)
		q.Key()
		q.AppendAddress(dst, msg, addr, 30, o)
		q.AppendNoData(dst, msg, 30, o)
		q.AppendError(dst, msg, RcodeServFail, o)
	}); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}

func TestLimitFollowsTheClient(t *testing.T) {
	for _, tt := range []struct {
		edns bool
		size uint16
		tcp  bool
		want int
	}{{false, 0, false, 512}, {true, 0, false, 512}, {true, 700, false, 700}, {true, 4096, false, 1232}, {true, 512, true, 65535}} {
		q := Query{EDNS: tt.edns, Size: tt.size}
		if got := q.Limit(tt.tcp); got != tt.want {
			t.Errorf("%+v: got %d", tt, got)
		}
	}
}

func TestQuestionIsWhatTheOracleReads(t *testing.T) {
	var q Query
	if err := q.Parse(ask(t, "A.test.", dns.TypeMX, func(m *dns.Msg) {
		m.SetEdns0(4096, true)
		m.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: "0011223344556677"}}
	})); err != nil {
		t.Fatal(err)
	}
	var m dns.Msg
	b := q.Question().AppendQuery(nil, 4711, MaxUDP)
	if err := m.Unpack(b); err != nil {
		t.Fatal(err)
	}
	opt := m.IsEdns0()
	if m.Id != 4711 || !m.RecursionDesired || !m.AuthenticatedData || m.Question[0].Name != "a.test." ||
		m.Question[0].Qtype != dns.TypeMX || opt == nil || !opt.Do() || opt.UDPSize() != MaxUDP || len(opt.Option) != 0 {
		t.Errorf("upstream is asked %v", &m)
	}
	answer := bytes.Clone(b)
	answer[2] |= 0x80
	answer[13] = 'A'
	if !q.Question().Answers(answer, 4711) {
		t.Error("its answer in another case is not accepted")
	}
	for name, change := range map[string]func(b []byte){
		"another id":       func(b []byte) { b[0]++ },
		"a query":          func(b []byte) { b[2] &^= 0x80 },
		"another name":     func(b []byte) { b[13] = 'b' },
		"another type":     func(b []byte) { b[20]++ },
		"no question":      func(b []byte) { b[5] = 0 },
		"another class":    func(b []byte) { b[22]++ },
		"a notify message": func(b []byte) { b[2] |= 4 << 3 },
	} {
		b := bytes.Clone(answer)
		change(b)
		if q.Question().Answers(b, 4711) {
			t.Errorf("%s is accepted as the answer", name)
		}
	}
}

// FuzzQuery: parsing agrees with the oracle on every message both accept, and what we accept the oracle accepts.
func FuzzQuery(f *testing.F) {
	for _, name := range []string{".", "a.test.", `x\.y.Test.`} {
		f.Add(ask(f, name, dns.TypeA))
		f.Add(ask(f, name, dns.TypeHTTPS, func(m *dns.Msg) { m.SetEdns0(1232, true) }))
	}
	f.Fuzz(func(t *testing.T, msg []byte) {
		var q Query
		if err := q.Parse(msg); err != nil {
			return
		}
		if len(q.Name()) > 253 || len(q.WireName()) > MaxName {
			t.Fatalf("name of %d bytes, wire %d", len(q.Name()), len(q.WireName()))
		}
		name, _, err := dns.UnpackDomainName(msg, HeaderLen)
		if err != nil {
			t.Fatalf("the oracle does not accept the name: %v", err)
		}
		low, _, err := dns.UnpackDomainName(q.WireName(), 0)
		if err != nil || !strings.EqualFold(low, name) {
			t.Fatalf("name is %q, the oracle says %q", low, name)
		}
		if got := binary.BigEndian.Uint16(msg[len(q.WireName())+HeaderLen:]); q.Type != got {
			t.Fatalf("type is %d, want %d", q.Type, got)
		}
	})
}
