package wire

import (
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// answerOf is what we send for a query, with an OPT record of our own when the query had one.
func answerOf(t testing.TB, query []byte, ede uint16) []byte {
	t.Helper()
	var q Query
	if err := q.Parse(query); err != nil {
		t.Fatal(err)
	}
	return q.AppendNoData(nil, query, 30, &Options{EDE: ede})
}

func queryWith(t testing.TB, name string, options ...dns.EDNS0) []byte {
	t.Helper()
	m := new(dns.Msg).SetQuestion(name, dns.TypeA)
	if options != nil {
		m.SetEdns0(1232, true)
		m.IsEdns0().Option = options
	}
	b, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestWhatAQueryAsksOfItsConnection(t *testing.T) {
	padding, keepalive := &dns.EDNS0_PADDING{Padding: make([]byte, 9)}, &dns.EDNS0_TCP_KEEPALIVE{Code: dns.EDNS0TCPKEEPALIVE}
	signed := new(dns.Msg).SetQuestion("a.test.", dns.TypeA)
	signed.SetEdns0(1232, false)
	signed.IsEdns0().Option = []dns.EDNS0{padding}
	signed.Extra = append(signed.Extra, &dns.TXT{Hdr: dns.RR_Header{Name: "sig.test.", Rrtype: dns.TypeTXT, Class: dns.ClassINET}, Txt: []string{"x"}})
	behind, err := signed.Pack()
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name  string
		query []byte
		want  Asked
	}{
		{"no EDNS", queryWith(t, "a.test."), Asked{}},
		{"neither", queryWith(t, "a.test.", &dns.EDNS0_NSID{Code: dns.EDNS0NSID}), Asked{}},
		{"padding", queryWith(t, "a.test.", padding), Asked{Padding: true}},
		{"both", queryWith(t, "a.test.", keepalive, padding), Asked{true, true}},
		{"a record behind OPT", behind, Asked{Padding: true}},
		{"cut", behind[:len(behind)-30], Asked{}},
		{"empty", nil, Asked{}},
	} {
		if got := AskedBy(tt.query); got != tt.want {
			t.Errorf("%s: got %+v, want %+v", tt.name, got, tt.want)
		}
	}
}

func TestPaddedAnswersHaveTheSizeOfABlock(t *testing.T) {
	ask := &dns.EDNS0_PADDING{}
	for _, length := range []int{1, 20, 63} {
		query := queryWith(t, strings.Repeat("a", length)+".test.", ask)
		for _, ede := range []uint16{EDENone, EDECensored} {
			plain := answerOf(t, query, ede)
			msg := AppendKeepalive(append([]byte{1, 2}, plain...), 2, 100)
			msg = AppendPadding(msg, 2)[2:]
			if len(msg) != PaddingBlock {
				t.Errorf("name of %d, code %d: %d bytes, want %d", length, ede, len(msg), PaddingBlock)
			}
			var m dns.Msg
			if err := m.Unpack(msg); err != nil {
				t.Fatalf("name of %d, code %d: %v", length, ede, err)
			}
			var keepalive, padding bool
			for _, o := range m.IsEdns0().Option {
				switch o := o.(type) {
				case *dns.EDNS0_TCP_KEEPALIVE:
					keepalive = o.Timeout == 100
				case *dns.EDNS0_PADDING:
					padding = true
				}
			}
			if !keepalive || !padding || len(m.Ns) != 1 {
				t.Errorf("name of %d, code %d: %v", length, ede, &m)
			}
		}
	}
	none := answerOf(t, queryWith(t, "a.test."), EDENone)
	if got := AppendPadding(AppendKeepalive(none, 0, 1), 0); len(got) != len(none) {
		t.Error("an answer without OPT has grown")
	}
	full := make([]byte, MaxMessage-10-HeaderLen-optFixed)
	large := append(append(make([]byte, HeaderLen), 0, 0, 99, 0, 1, 0, 0, 0, 0, byte(len(full)>>8), byte(len(full))), full...)
	large[offAR+1] = 2
	large = append(large, 0, 0, byte(TypeOPT), 0, 0, 0, 0, 0, 0, 0, 0)
	if lastOPT(large) < 0 {
		t.Fatal("the large answer has no OPT")
	}
	if got := AppendPadding(large, 0); len(got) != len(large) {
		t.Errorf("an answer of %d bytes has grown to %d", len(large), len(got))
	}
}

func FuzzTransportOptions(f *testing.F) {
	f.Add(queryWith(f, "a.test.", &dns.EDNS0_PADDING{Padding: []byte{0}}, &dns.EDNS0_TCP_KEEPALIVE{Code: dns.EDNS0TCPKEEPALIVE}))
	f.Add(answerOf(f, queryWith(f, "a.test.", &dns.EDNS0_PADDING{}), EDEBlocked))
	f.Fuzz(func(t *testing.T, msg []byte) {
		asked, kept := AskedBy(msg), string(msg)
		if asked != (Asked{}) {
			if start, _ := findOPT([]byte(kept)); start < 0 {
				t.Error("asks without OPT")
			}
		}
		out := AppendPadding(append([]byte(nil), msg...), 0)
		if len(out) != len(msg) && len(out)%PaddingBlock != 0 || len(out) > max(MaxMessage, len(msg)) {
			t.Errorf("%d bytes became %d", len(msg), len(out))
		}
		if len(out) != len(msg) && lastOPT(out) < 0 {
			t.Error("the grown message has lost its OPT")
		}
	})
}
