package probe_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/cordon-project/cordon/resolver/probe"
)

var (
	stop  = netip.MustParseAddr("192.0.2.43")
	stop6 = netip.MustParseAddr("2001:db8::43")
	id    = strings.Repeat("ab", probe.StateSize)
)

func TestAnHonestResolverPasses(t *testing.T) {
	f := &fake{}
	r := run(t, f)
	for _, c := range r.Checks {
		if !c.Pass && c.Name != probe.CheckPage {
			t.Errorf("%s: %s %v", c.Name, c.Detail, c.Causes)
		}
	}
	if !r.Blocks || len(r.States) != 1 || fmt.Sprintf("%x", r.States[0]) != id || !slices.Equal(r.Stops, []netip.Addr{stop, stop6}) {
		t.Errorf("got blocks %t, states %x, stops %v", r.Blocks, r.States, r.Stops)
	}
	if r.Asked > 100 || int64(r.Asked) != f.asked.Load() {
		t.Errorf("it asked %d times, the resolver heard %d", r.Asked, f.asked.Load())
	}
}

func TestEachLieOfAResolverIsNamed(t *testing.T) {
	isCanary := func(q *dns.Msg) bool { return strings.EqualFold(q.Question[0].Name, canary+".") }
	nothing := func(q *dns.Msg) *dns.Msg { // what a resolver without any list says
		m := new(dns.Msg).SetRcode(q, dns.RcodeNameError)
		if o := q.IsEdns0(); o != nil {
			m.SetEdns0(1232, o.Do())
		}
		return m
	}
	overTCP := func(w dns.ResponseWriter) bool { _, ok := w.RemoteAddr().(*net.TCPAddr); return ok }
	do := func(q *dns.Msg) bool { o := q.IsEdns0(); return o != nil && o.Do() }
	var turn atomic.Int64
	for _, c := range []struct {
		name  string
		check string // that must fail
		says  string
		lie   func(w dns.ResponseWriter, q, m *dns.Msg) *dns.Msg
	}{
		{"no list at all", probe.CheckCanary, "not stopped: NXDOMAIN", func(_ dns.ResponseWriter, q, m *dns.Msg) *dns.Msg { return nothing(q) }},
		{"NXDOMAIN for a listed name", probe.CheckCanary, "NXDOMAIN, and a listed name", func(_ dns.ResponseWriter, q, m *dns.Msg) *dns.Msg {
			if isCanary(q) {
				m.Answer, m.Rcode = nil, dns.RcodeNameError
			}
			return m
		}},
		{"lists over UDP only", probe.CheckCanary, "over TCP with EDNS: not stopped", func(w dns.ResponseWriter, q, m *dns.Msg) *dns.Msg {
			if overTCP(w) {
				return nothing(q)
			}
			return m
		}},
		{"lower case only", probe.CheckCanary, "CANARY.HOTLINE-ONE.TEST A over UDP with EDNS: not stopped", func(_ dns.ResponseWriter, q, m *dns.Msg) *dns.Msg {
			if q.Question[0].Name == strings.ToUpper(canary+".") {
				return nothing(q)
			}
			return m
		}},
		{"more than one address", probe.CheckCanary, "2 records", func(_ dns.ResponseWriter, q, m *dns.Msg) *dns.Msg {
			if len(m.Answer) == 1 {
				m.Answer = append(m.Answer, dns.Copy(m.Answer[0]))
			}
			return m
		}},
		{"a day to live", probe.CheckTTL, "86400 seconds", func(_ dns.ResponseWriter, q, m *dns.Msg) *dns.Msg {
			for _, rr := range slices.Concat(m.Answer, m.Ns) {
				rr.Header().Ttl = 86400
			}
			return m
		}},
		{"another reason", probe.CheckReason, "Extended DNS Error 17, which no list of Cordon gives", func(_ dns.ResponseWriter, q, m *dns.Msg) *dns.Msg {
			recode(m, dns.ExtendedErrorCodeFiltered)
			return m
		}},
		{"a law that does not exist", probe.CheckReason, "16 (a law or order), and its hotline's charter has none", func(_ dns.ResponseWriter, q, m *dns.Msg) *dns.Msg {
			recode(m, dns.ExtendedErrorCodeCensored)
			return m
		}},
		{"two reasons", probe.CheckReason, "2 Extended DNS Errors", func(_ dns.ResponseWriter, q, m *dns.Msg) *dns.Msg {
			if isCanary(q) && len(m.Answer) > 0 {
				ede(m, dns.ExtendedErrorCodeStaleAnswer)
			}
			return m
		}},
		{"OPT without being asked", probe.CheckReason, "an OPT record nobody asked with", func(_ dns.ResponseWriter, q, m *dns.Msg) *dns.Msg {
			if q.IsEdns0() == nil {
				m.SetEdns0(1232, false)
			}
			return m
		}},
		{"OPT dropped", probe.CheckReason, "the OPT record is missing", func(_ dns.ResponseWriter, q, m *dns.Msg) *dns.Msg {
			if isCanary(q) && q.Question[0].Qtype == dns.TypeAAAA {
				m.Extra = nil
			}
			return m
		}},
		{"HTTPS let through", probe.CheckTypes, "HTTPS: NXDOMAIN", func(_ dns.ResponseWriter, q, m *dns.Msg) *dns.Msg {
			if q.Question[0].Qtype == dns.TypeHTTPS {
				return nothing(q)
			}
			return m
		}},
		{"mail stopped", probe.CheckTypes, "MX: stopped (Extended DNS Error 15)", func(_ dns.ResponseWriter, q, m *dns.Msg) *dns.Msg {
			if isCanary(q) && q.Question[0].Qtype == dns.TypeMX {
				ede(m, dns.ExtendedErrorCodeBlocked)
			}
			return m
		}},
		{"DO lets pass", probe.CheckDNSSEC, "not stopped: NXDOMAIN", func(_ dns.ResponseWriter, q, m *dns.Msg) *dns.Msg {
			if do(q) {
				return nothing(q)
			}
			return m
		}},
		{"called authentic", probe.CheckDNSSEC, "called authentic", func(_ dns.ResponseWriter, q, m *dns.Msg) *dns.Msg {
			m.AuthenticatedData = do(q)
			return m
		}},
		{"a made-up signature", probe.CheckDNSSEC, "a signature for an answer", func(_ dns.ResponseWriter, q, m *dns.Msg) *dns.Msg {
			if do(q) && len(m.Answer) > 0 {
				h := *m.Answer[0].Header()
				h.Rrtype = dns.TypeRRSIG
				m.Answer = append(m.Answer, &dns.RRSIG{Hdr: h, TypeCovered: h.Rrtype, SignerName: "test.", Signature: "AAAA"})
			}
			return m
		}},
		{"a host taken for a domain", probe.CheckExact, "stopped with Extended DNS Error 15", func(_ dns.ResponseWriter, q, m *dns.Msg) *dns.Msg {
			if strings.HasSuffix(q.Question[0].Name, "."+canary+".") {
				ede(m, dns.ExtendedErrorCodeBlocked)
			}
			return m
		}},
		{"a name of its own, with the reason", probe.CheckUnlisted, "open.example A over UDP with EDNS: stopped with Extended DNS Error 15", func(_ dns.ResponseWriter, q, m *dns.Msg) *dns.Msg {
			if q.Question[0].Name == "open.example." {
				ede(m, dns.ExtendedErrorCodeBlocked)
			}
			return m
		}},
		{"a name of its own, in silence", probe.CheckUnlisted, "open.example A over TCP with EDNS: it leads to the stop address 192.0.2.43", func(w dns.ResponseWriter, q, m *dns.Msg) *dns.Msg {
			if q.Question[0].Name == "open.example." && q.Question[0].Qtype == dns.TypeA && overTCP(w) {
				m.Rcode = 0
				m.Answer = []dns.RR{&dns.A{Hdr: dns.RR_Header{Name: "open.example.", Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 30}, A: stop.AsSlice()}}
			}
			return m
		}},
		{"a wildcard for what does not exist", probe.CheckUnlisted, "stopped with Extended DNS Error 17", func(_ dns.ResponseWriter, q, m *dns.Msg) *dns.Msg {
			if !isCanary(q) {
				ede(m, dns.ExtendedErrorCodeFiltered)
			}
			return m
		}},
		{"a state for each question", probe.CheckNSID, "states", func(_ dns.ResponseWriter, q, m *dns.Msg) *dns.Msg {
			if m.IsEdns0() != nil {
				nsid(m, fmt.Sprintf("%064x", turn.Add(1)))
			}
			return m
		}},
		{"a server beside it that says nothing", probe.CheckNSID, "name no state, and others do", func(_ dns.ResponseWriter, q, m *dns.Msg) *dns.Msg {
			if o := m.IsEdns0(); o != nil && !isCanary(q) {
				o.Option = slices.DeleteFunc(o.Option, func(x dns.EDNS0) bool { return x.Option() == dns.EDNS0NSID })
			}
			return m
		}},
		{"a host name for a state", probe.CheckNSID, "it names 2 bytes", func(_ dns.ResponseWriter, q, m *dns.Msg) *dns.Msg {
			if m.IsEdns0() != nil {
				nsid(m, "6e31")
			}
			return m
		}},
		{"another name in the question", probe.CheckAnswers, "not a well-formed answer", func(_ dns.ResponseWriter, q, m *dns.Msg) *dns.Msg {
			m.Question[0].Name = "other.test."
			return m
		}},
		{"a lower-case echo", probe.CheckCanary, "not a well-formed answer", func(_ dns.ResponseWriter, q, m *dns.Msg) *dns.Msg {
			m.Question[0].Name = strings.ToLower(m.Question[0].Name)
			return m
		}},
		{"nothing over UDP", probe.CheckAnswers, "over UDP with EDNS: no answer in time", func(w dns.ResponseWriter, q, m *dns.Msg) *dns.Msg {
			if !overTCP(w) {
				return nil
			}
			return m
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := run(t, &fake{lie: c.lie}, func(pc *probe.Config) {
				if c.name == "nothing over UDP" {
					pc.Timeout = 20 * time.Millisecond
				}
			})
			got := find(r, c.check)
			if got.Pass || got.Skipped || !strings.Contains(strings.Join(got.Causes, "\n"), c.says) {
				t.Errorf("%s: got pass %t, %q %q; want a cause with %q", c.check, got.Pass, got.Detail, got.Causes, c.says)
			}
			if len(r.Checks) != 10 {
				t.Errorf("got %d checks", len(r.Checks))
			}
		})
	}
}

func TestASilentResolverIsNotWaitedForLong(t *testing.T) {
	f := &fake{lie: func(dns.ResponseWriter, *dns.Msg, *dns.Msg) *dns.Msg { return nil }}
	r := run(t, f, func(c *probe.Config) { c.Timeout = 20 * time.Millisecond })
	if a := find(r, probe.CheckAnswers); a.Pass || len(a.Causes) != 2 || r.Asked != 3 {
		t.Errorf("got %+v after %d questions", a, r.Asked)
	}
	if c := find(r, probe.CheckCanary); !c.Skipped || c.Pass {
		t.Errorf("got %+v", c)
	}
}

func TestALawMayBeTheReason(t *testing.T) {
	f := &fake{lie: func(_ dns.ResponseWriter, q, m *dns.Msg) *dns.Msg {
		recode(m, dns.ExtendedErrorCodeCensored)
		return m
	}}
	for _, c := range []probe.Canary{{Name: canary}, {Name: canary, Law: true}, {Name: canary, Law: true, Voluntary: true}} {
		if got := find(run(t, f, func(pc *probe.Config) { pc.Canaries = []probe.Canary{c} }), probe.CheckReason); !got.Pass {
			t.Errorf("%+v: %v", c, got.Causes)
		}
	}
	if got := find(run(t, new(fake), func(pc *probe.Config) { pc.Canaries = []probe.Canary{{Name: canary, Law: true}} }), probe.CheckReason); got.Pass {
		t.Error("15 passes where only laws are a basis")
	}
}

func TestStopPages(t *testing.T) {
	const body = "<!doctype html><title>stopped</title><p>Why"
	for _, c := range []struct {
		name string
		says string // "" for a page that passes
		page func(w http.ResponseWriter, r *http.Request)
	}{
		{"voluntary", "", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(403); fmt.Fprint(w, body) }},
		{"law", "", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Link", `<https://isp.example/>; rel="blocked-by"`)
			w.WriteHeader(451)
			fmt.Fprint(w, body)
		}},
		{"nobody blocks", "451 without a Link", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(451) }},
		{"all is well", "status 200", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, body) }},
		{"kept", "a browser may keep it", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "max-age=9")
			w.WriteHeader(403)
		}},
		{"the host is repeated", "it repeats", func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(403)
			fmt.Fprint(w, strings.ToUpper(r.Host))
		}},
		{"the path is repeated in a header", "it repeats", func(w http.ResponseWriter, r *http.Request) { w.Header().Set("X-Path", r.URL.Path); w.WriteHeader(403) }},
		{"cookie", "a Set-Cookie header", func(w http.ResponseWriter, r *http.Request) { w.Header().Set("Set-Cookie", "a=b"); w.WriteHeader(403) }},
		{"redirect", "a Location header", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", "https://x.test/")
			w.WriteHeader(403)
		}},
		{"script", `the page has "<script"`, func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(403); fmt.Fprint(w, "<SCRIPT>1</SCRIPT>") }},
		{"asset", `the page has "src="`, func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(403)
			fmt.Fprint(w, `<video src="//x.test">`)
		}},
		{"too long", "more than 14336 bytes", func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(403)
			fmt.Fprint(w, strings.Repeat("a", 20000))
		}},
		{"endless", "more than 14336 bytes", func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(403)
			for range 1 << 20 {
				if _, err := fmt.Fprint(w, strings.Repeat("a", 1000)); err != nil {
					return
				}
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header()["Date"] = nil
				w.Header().Set("Cache-Control", "no-store")
				c.page(w, r)
			}))
			defer s.Close()
			r := run(t, &fake{}, func(pc *probe.Config) {
				pc.Pages = []netip.AddrPort{netip.MustParseAddrPort(s.Listener.Addr().String())}
			})
			got := find(r, probe.CheckPage)
			if c.says == "" && !got.Pass || c.says != "" && (got.Pass || !strings.Contains(strings.Join(got.Causes, "\n"), c.says)) {
				t.Errorf("got pass %t, %q; want %q", got.Pass, got.Causes, c.says)
			}
		})
	}
}

func TestWhatCannotBeAskedIsRefused(t *testing.T) {
	at := netip.MustParseAddrPort("127.0.0.1:53")
	for name, c := range map[string]probe.Config{
		"no address":     {},
		"no port":        {Resolver: netip.AddrPortFrom(at.Addr(), 0)},
		"an empty name":  {Resolver: at, Unlisted: []string{""}},
		"a long label":   {Resolver: at, Unlisted: []string{strings.Repeat("a", 64) + ".test"}},
		"a long name":    {Resolver: at, Unlisted: []string{strings.Repeat("a.", 130) + "test"}},
		"a control mark": {Resolver: at, Canaries: []probe.Canary{{Name: "a\n.test"}}},
		"no ASCII":       {Resolver: at, Unlisted: []string{"bücher.example"}},
		"too many":       {Resolver: at, Unlisted: make([]string, 65)},
	} {
		if _, err := probe.Run(t.Context(), c); !errors.Is(err, probe.ErrConfig) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := probe.Run(ctx, probe.Config{Resolver: at}); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled context: got %v", err)
	}
}
