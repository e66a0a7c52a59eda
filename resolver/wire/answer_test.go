package wire

import (
	"encoding/binary"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

func answer(t testing.TB, typ uint16, rrs ...string) []byte {
	t.Helper()
	m := new(dns.Msg).SetQuestion("a.test.", typ)
	m.Response, m.Compress = true, true
	for _, s := range rrs {
		to := &m.Answer
		if rest, ok := strings.CutPrefix(s, "authority "); ok {
			s, to = rest, &m.Ns
		} else if rest, ok := strings.CutPrefix(s, "additional "); ok {
			s, to = rest, &m.Extra
		}
		rr, err := dns.NewRR(s)
		if err != nil {
			t.Fatalf("%s: %v", s, err)
		}
		*to = append(*to, rr)
	}
	return pack(t, m)
}

func TestReaderFindsEveryName(t *testing.T) {
	msg := answer(t, dns.TypeHTTPS,
		"a.test. 300 IN CNAME B.test.",
		"b.test. 300 IN HTTPS 1 C.a.test. alpn=h2 ipv4hint=192.0.2.1",
		"sub.test. 60 IN DNAME d.test.",
		"b.test. 300 IN RRSIG DNAME 8 2 300 20300101000000 20200101000000 1 test. AAAA",
		"authority test. 30 IN SOA ns.test. h.test. 1 2 3 4 5",
		"additional x.test. 30 IN SRV 1 2 3 y.test.")
	var r Reader
	if err := r.Reset(msg); err != nil {
		t.Fatal(err)
	}
	var got []string
	for {
		var rec Record
		var owner, target NameBuf
		more, err := r.Next(&rec)
		if err != nil {
			t.Fatal(err)
		}
		if !more {
			break
		}
		if err := r.Owner(&rec, &owner); err != nil {
			t.Fatal(err)
		}
		line := string(owner.Bytes())
		switch rec.Type {
		case TypeCNAME, TypeDNAME, TypeHTTPS:
			if err := r.Target(&rec, &target); err != nil {
				t.Fatal(err)
			}
			line += " to " + string(target.Bytes())
		case TypeRRSIG:
			if r.Covered(&rec) != TypeDNAME {
				t.Errorf("covered type is %d, want DNAME", r.Covered(&rec))
			}
		}
		got = append(got, line)
	}
	want := []string{"a.test to b.test", "b.test to c.a.test", "sub.test to d.test", "b.test", "test", "x.test"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestScanMeasuresLife(t *testing.T) {
	for _, tt := range []struct {
		name     string
		msg      []byte
		life     uint32
		negative bool
	}{
		{"smallest TTL", answer(t, dns.TypeA, "a.test. 300 IN CNAME b.test.", "b.test. 20 IN A 192.0.2.1"), 20, false},
		{"SOA minimum", answer(t, dns.TypeA, "authority test. 300 IN SOA ns.test. h.test. 1 2 3 4 5"), 5, true},
		{"SOA TTL", answer(t, dns.TypeA, "authority test. 3 IN SOA ns.test. h.test. 1 2 3 4 5"), 3, true},
		{"alias to nothing", answer(t, dns.TypeA, "a.test. 300 IN CNAME b.test.", "authority test. 60 IN SOA ns.test. h.test. 1 2 3 4 50"), 50, true},
		{"negative without SOA", answer(t, dns.TypeA, "a.test. 300 IN CNAME b.test."), 0, true},
		{"empty", answer(t, dns.TypeA), 0, true},
		{"top bit", answer(t, dns.TypeA, "a.test. 2147483648 IN A 192.0.2.1"), 0, false},
		{"ANY", answer(t, dns.TypeANY, "a.test. 30 IN MX 1 b.test."), 30, false},
		{"additional does not count", answer(t, dns.TypeMX, "a.test. 30 IN MX 1 b.test.", "additional b.test. 1 IN A 192.0.2.1"), 30, false},
	} {
		var s Summary
		if err := Scan(tt.msg, &s); err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
		if s.Life != tt.life || s.Negative != tt.negative {
			t.Errorf("%s: life %d, negative %v, want %d, %v", tt.name, s.Life, s.Negative, tt.life, tt.negative)
		}
	}
}

func TestScanRefusesMalformedReplies(t *testing.T) {
	good := answer(t, dns.TypeA, "a.test. 300 IN CNAME b.test.", "b.test. 20 IN A 192.0.2.1")
	edit := func(f func(b []byte) []byte) []byte { return f(slices.Clone(good)) }
	q := 12 + 8 + 4 // behind the question
	for name, msg := range map[string][]byte{
		"cut":                    good[:len(good)-1],
		"no question":            edit(func(b []byte) []byte { b[5] = 0; return b }),
		"a record too many":      edit(func(b []byte) []byte { b[7]++; return b }),
		"a pointer to itself":    edit(func(b []byte) []byte { b[q], b[q+1] = 0xc0, byte(q); return b }),
		"a pointer forward":      edit(func(b []byte) []byte { b[q], b[q+1] = 0xc0, byte(q+4); return b }),
		"a pointer to header":    edit(func(b []byte) []byte { b[q], b[q+1] = 0xc0, 2; return b }),
		"an A of three bytes":    edit(func(b []byte) []byte { b[len(b)-5] = 3; return b[:len(b)-1] }),
		"data beyond the end":    edit(func(b []byte) []byte { b[len(b)-5] = 200; return b }),
		"a CNAME with a tail":    edit(func(b []byte) []byte { b[q+11]++; return b }),
		"a reserved label":       edit(func(b []byte) []byte { b[q] = 0x80; return b }),
		"an OPT in the answer":   edit(func(b []byte) []byte { b[q+3] = 41; return b }),
		"a HTTPS without target": edit(func(b []byte) []byte { b[len(b)-13] = 65; return b }),
	} {
		var s Summary
		if err := Scan(msg, &s); err != ErrAnswer {
			t.Errorf("%s: got %v, want %v", name, err, ErrAnswer)
		}
	}
	var s Summary
	if err := Scan(good, &s); err != nil {
		t.Errorf("the good one: %v", err)
	}
}

func TestPointerLaddersAreBounded(t *testing.T) {
	// A name of 127 labels, then records that each point to it: the work is the message's size times the labels at most.
	msg := make([]byte, 12)
	msg[5] = 1
	for range 127 {
		msg = append(msg, 1, 'a')
	}
	msg = append(msg, 0, 0, 1, 0, 1)
	n := 0
	for len(msg)+16 < MaxMessage {
		msg = append(msg, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 9, 0, 4, 1, 2, 3, 4)
		n++
	}
	binary.BigEndian.PutUint16(msg[6:], uint16(n))
	var s Summary
	if err := Scan(msg, &s); err != nil || len(s.TTLs) != n || s.Life != 9 {
		t.Errorf("%d records, life %d, %v; want %d, 9, no error", len(s.TTLs), s.Life, err, n)
	}
	var name NameBuf
	if _, err := name.Expand(append(msg[:12:12], 1, 'a', 0xc0, 12), 12); err == nil {
		t.Error("a name that points back into itself is accepted")
	}
}

func TestAppendAnswerRewritesAndTruncates(t *testing.T) {
	msg := answer(t, dns.TypeA, "a.test. 300 IN CNAME b.test.", "b.test. 20 IN A 192.0.2.1", "additional b.test. 1 IN AAAA ::1")
	msg[3] |= 0x20 // AD
	var s Summary
	if err := Scan(msg, &s); err != nil {
		t.Fatal(err)
	}
	query := ask(t, "A.tEST.", dns.TypeA, func(m *dns.Msg) { m.SetEdns0(1232, true); m.CheckingDisabled = true })
	var q Query
	if err := q.Parse(query); err != nil {
		t.Fatal(err)
	}
	var m dns.Msg
	if err := m.Unpack(q.AppendAnswer(nil, query, msg[:s.Cut], s.TTLs, 15, false, &Options{})); err != nil {
		t.Fatal(err)
	}
	if m.Question[0].Name != "A.tEST." || len(m.Answer) != 2 || m.Answer[0].Header().Ttl != 285 || m.Answer[1].Header().Ttl != 5 ||
		!m.AuthenticatedData || !m.CheckingDisabled || m.Truncated || m.IsEdns0() == nil || len(m.Extra) != 1 {
		t.Errorf("answer is %v", &m)
	}
	// An age beyond the TTL gives 0, never a wrapped number.
	if err := m.Unpack(q.AppendAnswer(nil, query, msg[:s.Cut], s.TTLs, 1000, false, &Options{})); err != nil || m.Answer[1].Header().Ttl != 0 {
		t.Errorf("old answer is %v, %v", &m, err)
	}
	long := slices.Repeat([]string{"a.test. 9 IN A 192.0.2.1"}, 100)
	msg = answer(t, dns.TypeA, long...)
	if err := Scan(msg, &s); err != nil {
		t.Fatal(err)
	}
	if err := m.Unpack(q.AppendAnswer(nil, query, msg[:s.Cut], s.TTLs, 0, false, &Options{})); err != nil ||
		!m.Truncated || len(m.Answer) != 0 || m.IsEdns0() == nil {
		t.Errorf("truncated answer is %v, %v", &m, err)
	}
}

func TestRedirect(t *testing.T) {
	for _, tt := range []struct{ name, owner, target, want string }{
		{"www.a.test", "a.test", "b.example", "www.b.example"},
		{"x.y.a.test", "a.test", "", "x.y"},
		{"www.test", "", "b.example", "www.test.b.example"},
		{"a.test", "a.test", "b.example", "no"},
		{"xa.test", "a.test", "b.example", "no"},
		{"test", "a.test", "b.example", "no"},
		{strings.Repeat("a.", 100) + "test", "test", strings.Repeat("b.", 50) + "test", "no"},
	} {
		var b NameBuf
		b.Set([]byte("no"))
		b.Redirect([]byte(tt.name), []byte(tt.owner), []byte(tt.target))
		if string(b.Bytes()) != tt.want {
			t.Errorf("%+v: got %q", tt, b.Bytes())
		}
	}
}

// FuzzWalkAnswer: no reply makes Scan or the reader panic; a reply that Scan accepts keeps its TTL fields, its cut
// message can be read by the oracle when the whole could, and its names are those the oracle sees.
func FuzzWalkAnswer(f *testing.F) {
	f.Add(answer(f, dns.TypeA, "a.test. 300 IN CNAME b.test.", "b.test. 20 IN A 192.0.2.1"))
	f.Add(answer(f, dns.TypeHTTPS, "a.test. 300 IN HTTPS 1 b.a.test. alpn=h2", "authority test. 3 IN SOA ns.test. h.test. 1 2 3 4 5"))
	f.Add(answer(f, dns.TypeMX, "a.test. 300 IN MX 1 a.test.", "a.test. 1 IN NAPTR 1 2 \"a\" \"b\" \"c\" a.test.", "a.test. 1 IN TXT \"x\""))
	f.Fuzz(func(t *testing.T, msg []byte) {
		var s Summary
		if Scan(msg, &s) != nil {
			return
		}
		var whole dns.Msg
		readable := whole.Unpack(msg) == nil
		cut := Trim(slices.Clone(msg), s.Cut)
		ClampTTLs(cut, s.TTLs, 1)
		var m dns.Msg
		err := m.Unpack(cut)
		if !readable {
			return
		}
		if err != nil {
			t.Fatalf("the oracle reads %x but not what is left of it: %v", msg, err)
		}
		if len(m.Answer)+len(m.Ns) != len(s.TTLs) {
			t.Fatalf("%d TTLs for %d records", len(s.TTLs), len(m.Answer)+len(m.Ns))
		}
		var r Reader
		if err := r.Reset(msg); err != nil {
			t.Fatal(err)
		}
		for i := range whole.Answer {
			var rec Record
			var owner NameBuf
			if more, err := r.Next(&rec); !more || err != nil {
				t.Fatalf("record %d: %v %v", i, more, err)
			}
			if err := r.Owner(&rec, &owner); err != nil {
				t.Fatal(err)
			}
			if want := whole.Answer[i].Header().Name; !strings.Contains(want, `\`) && strings.ToLower(want) != string(owner.Bytes())+"." && want != "." {
				t.Fatalf("owner %d is %q, the oracle says %q", i, owner.Bytes(), want)
			}
			if m.Answer[i].Header().Ttl > 1 {
				t.Fatalf("TTL %d was not lowered", m.Answer[i].Header().Ttl)
			}
		}
	})
}

func BenchmarkParse(b *testing.B) {
	msg := ask(b, "www.some.example.test.", dns.TypeA, func(m *dns.Msg) { m.SetEdns0(1232, true) })
	var q Query
	b.ReportAllocs()
	for b.Loop() {
		_ = q.Parse(msg)
	}
}
