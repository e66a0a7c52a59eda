package upstream_test

import (
	"encoding/hex"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/miekg/dns"

	"github.com/cordon-project/cordon/resolver/upstream"
	"github.com/cordon-project/cordon/resolver/upstream/upstreamtest"
)

const given = "0102030405060708"

// cookie is the one of a query.
func cookie(q upstreamtest.Query) string {
	if opt := q.IsEdns0(); opt != nil {
		for _, o := range opt.Option {
			if c, ok := o.(*dns.EDNS0_COOKIE); ok {
				return c.Cookie
			}
		}
	}
	return ""
}

func withCookie(m *dns.Msg, c string) {
	m.Extra = nil
	m.SetEdns0(1232, false)
	m.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: c}}
}

func TestAServersCookieIsSentBack(t *testing.T) {
	s := upstreamtest.Start(t, func(q upstreamtest.Query) upstreamtest.Reply {
		return upstreamtest.Change(q, func(m *dns.Msg) {
			c := cookie(q)
			if len(c) == 16 {
				c += given
				m.Rcode, m.Answer = dns.RcodeBadCookie, nil
			}
			withCookie(m, c)
		})
	})
	p := pool(t, upstream.Config{}, s)
	for i := range 3 {
		if m, err := exchange(p, fmt.Sprintf("n%d.test", i), dns.TypeA); err != nil || len(m.Answer) != 1 {
			t.Fatalf("got %v, %v", m, err)
		}
	}
	seen := s.Seen()
	if c := p.Counts(); len(seen) != 4 || c.TCP != 0 || c.Failures != 0 {
		t.Errorf("three questions took %d queries, counts are %+v", len(seen), c)
	}
	own := cookie(seen[0])
	if b, err := hex.DecodeString(own); err != nil || len(b) != 8 {
		t.Errorf("our cookie is %q", own)
	}
	for _, q := range seen[1:] {
		if cookie(q) != own+given {
			t.Errorf("sent %q, want %q", cookie(q), own+given)
		}
	}
}

func TestRepliesWithAWrongCookieOrNoneAreNotBelieved(t *testing.T) {
	for what, lie := range map[string]func(m *dns.Msg, q upstreamtest.Query){
		"another one": func(m *dns.Msg, q upstreamtest.Query) { withCookie(m, "ffffffffffffffff"+given) },
		"none":        func(m *dns.Msg, q upstreamtest.Query) { m.Extra = nil },
	} {
		var n atomic.Int64
		s := upstreamtest.Start(t, func(q upstreamtest.Query) upstreamtest.Reply {
			return upstreamtest.Change(q, func(m *dns.Msg) {
				if q.TCP {
					return
				}
				if n.Add(1) == 1 {
					withCookie(m, cookie(q)[:16]+given)
					return
				}
				lie(m, q)
				m.Answer[0].(*dns.A).A[3] = 66
			})
		})
		p := pool(t, upstream.Config{}, s)
		for i := range 2 {
			m, err := exchange(p, fmt.Sprintf("n%d.test", i), dns.TypeA)
			if err != nil || m.Answer[0].(*dns.A).A[3] == 66 {
				t.Errorf("%s: got %v, %v", what, m, err)
			}
		}
		if c := p.Counts(); c.TCP != 1 {
			t.Errorf("%s: counts are %+v, want one over TCP", what, c)
		}
	}
}

// TestAServerMayGiveUpCookies: one that gave them and was set up anew is not asked over TCP until the next restart.
func TestAServerMayGiveUpCookies(t *testing.T) {
	var gave atomic.Bool
	s := upstreamtest.Start(t, func(q upstreamtest.Query) upstreamtest.Reply {
		return upstreamtest.Change(q, func(m *dns.Msg) {
			if m.Extra = nil; !gave.Swap(true) {
				withCookie(m, cookie(q)[:16]+given)
			}
		})
	})
	p := pool(t, upstream.Config{}, s)
	for i := range 30 {
		if m, err := exchange(p, fmt.Sprintf("n%d.test", i), dns.TypeA); err != nil || len(m.Answer) != 1 {
			t.Fatalf("got %v, %v", m, err)
		}
	}
	seen := s.Seen()
	if c := p.Counts(); c.TCP != 8 {
		t.Errorf("%d of 29 questions over TCP, want 8", c.TCP)
	}
	if first, last := cookie(seen[0]), cookie(seen[len(seen)-1]); len(last) != 16 || last == first {
		t.Errorf("the last cookie is %q, want a new one of our own; the first was %q", last, first)
	}
}

// TestAServerThatWantsAnotherCookieEachTimeIsAskedOverTCP: as several machines behind one address do, each with a secret of its own.
func TestAServerThatWantsAnotherCookieEachTimeIsAskedOverTCP(t *testing.T) {
	var n atomic.Uint64
	s := upstreamtest.Start(t, func(q upstreamtest.Query) upstreamtest.Reply {
		return upstreamtest.Change(q, func(m *dns.Msg) {
			if !q.TCP {
				m.Rcode, m.Answer = dns.RcodeBadCookie, nil
				withCookie(m, cookie(q)[:16]+fmt.Sprintf("%016x", n.Add(1)))
			}
		})
	})
	p := pool(t, upstream.Config{}, s)
	if m, err := exchange(p, "a.test", dns.TypeA); err != nil || len(m.Answer) != 1 {
		t.Errorf("got %v, %v", m, err)
	}
	if seen := len(s.Seen()); seen != 3 {
		t.Errorf("one question took %d queries, want two over UDP and one over TCP", seen)
	}
}
