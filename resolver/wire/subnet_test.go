package wire

import (
	"net"
	"testing"

	"github.com/miekg/dns"
)

func TestSubnetsAreReadAsRFC7871Says(t *testing.T) {
	for _, tt := range []struct {
		name, data string
		want       bool
	}{
		{"IPv4", "\x00\x01\x18\x00\xc0\x00\x02", true},
		{"a whole IPv4 address", "\x00\x01\x20\x00\xc0\x00\x02\x01", true},
		{"IPv6", "\x00\x02\x38\x30\x20\x01\x0d\xb8\x00\x01\x02", true},
		{"a whole IPv6 address", "\x00\x02\x80\x00\x20\x01\x0d\xb8\x00\x01\x02\x00\x00\x00\x00\x00\x00\x00\x00\x01", true},
		{"none, of IPv4", "\x00\x01\x00\x00", true},
		{"none, of no family", "\x00\x00\x00\x00", true},
		{"bits within a byte", "\x00\x01\x0c\x00\xc0\x10", true},
		{"nothing", "", false},
		{"a part of the head", "\x00\x01\x18", false},
		{"too few bytes", "\x00\x01\x18\x00\xc0\x00", false},
		{"too many bytes", "\x00\x01\x18\x00\xc0\x00\x02\x00", false},
		{"bits behind the prefix", "\x00\x01\x0c\x00\xc0\x11", false},
		{"33 bits of IPv4", "\x00\x01\x21\x00\xc0\x00\x02\x01\x00", false},
		{"129 bits of IPv6", "\x00\x02\x81\x00\x20\x01\x0d\xb8\x00\x01\x02\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00", false},
		{"a scope beyond the address", "\x00\x01\x18\x21\xc0\x00\x02", false},
		{"a family that is none", "\x00\x03\x08\x00\xc0", false},
		{"an address of no family", "\x00\x00\x08\x00\xc0", false},
	} {
		s, ok := ParseSubnet([]byte(tt.data))
		if ok != tt.want || ok && string(s.bytes()) != tt.data || s.Is() != ok {
			t.Errorf("%s: got %x, %v", tt.name, s.bytes(), ok)
		}
	}
}

// TestSubnetsGoOutAndComeBackAsTheOracleReadsThem: behind a cookie or alone in a question, with its scope in an answer.
func TestSubnetsGoOutAndComeBackAsTheOracleReadsThem(t *testing.T) {
	sent := &dns.EDNS0_SUBNET{Code: dns.EDNS0SUBNET, Family: 2, SourceNetmask: 56, Address: net.ParseIP("2001:db8:1:200::")}
	packet := ask(t, "A.test.", dns.TypeA, func(m *dns.Msg) {
		m.SetEdns0(4096, true)
		m.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_NSID{Code: dns.EDNS0NSID}, sent}
	})
	var q Query
	if err := q.Parse(packet); err != nil || q.Subnet.Is() {
		t.Fatalf("parsed: %v, subnet %v", err, q.Subnet.Is())
	}
	s, ok := q.ReadSubnet(packet)
	if !ok || !s.Is() {
		t.Fatal("the subnet is not read")
	}
	q.Subnet = s
	question := q.Question()
	for _, cookie := range []string{"", "12345678"} {
		b := question.AppendQuery([]byte("before"), 4711, MaxUDP)
		options := 1
		if cookie != "" {
			b, options = AppendCookie(b, []byte(cookie)), 2
		}
		b = question.AppendSubnet(b, len("before"))
		var m dns.Msg
		if err := m.Unpack(b[len("before"):]); err != nil {
			t.Fatalf("%x: %v", b, err)
		}
		opt := m.IsEdns0()
		if opt == nil || len(opt.Option) != options || opt.Option[options-1].String() != sent.String() {
			t.Errorf("with cookie %q: upstream is asked %v", cookie, &m)
		}
	}
	answer := q.AppendError(nil, packet, RcodeServFail, &Options{Subnet: s.WithScope(48), EDE: EDENoReachableAuthority})
	var m dns.Msg
	var sum Summary
	if err := m.Unpack(answer); err != nil || Scan(answer, &sum) != nil {
		t.Fatal(err)
	}
	back, ok := ParseSubnet(sum.Subnet)
	got, _ := m.IsEdns0().Option[1].(*dns.EDNS0_SUBNET)
	if !ok || back.Scope() != 48 || back.WithScope(0) != s || got == nil || got.SourceScope != 48 || !got.Address.Equal(sent.Address) {
		t.Errorf("the answer is %v", &m)
	}
	if err := q.Parse(packet); err != nil || q.Subnet.Is() {
		t.Error("the next question has the subnet of the one before")
	}
}
