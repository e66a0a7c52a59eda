package edge

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/cordon-project/cordon/appliance/config"
	"github.com/cordon-project/cordon/appliance/metrics"
	"github.com/cordon-project/cordon/resolver"
	"github.com/cordon-project/cordon/resolver/cache"
	"github.com/cordon-project/cordon/resolver/match"
	"github.com/cordon-project/cordon/resolver/serve"
	"github.com/cordon-project/cordon/resolver/upstream"
	"github.com/cordon-project/cordon/resolver/upstream/unbound"
	"github.com/cordon-project/cordon/resolver/upstream/upstreamtest"
)

// TestMetricsMoveWithTraffic: questions over sockets, a real upstream and a silent zone, and what a scraper reads of it. The same answer is
// compared with the table of the manual. The upstream has two seconds for an answer, else a busy machine would ask it twice.
func TestMetricsMoveWithTraffic(t *testing.T) {
	up := upstreamtest.Start(t, upstreamtest.Plain)
	silent := upstreamtest.Start(t, func(upstreamtest.Query) upstreamtest.Reply { return upstreamtest.Reply{} })
	pool, err := upstream.OpenZones(upstream.Config{Servers: []netip.AddrPort{up.Addr(), up.Addr()}, Attempt: 2 * time.Second, Total: 4 * time.Second},
		[]upstream.Zone{{Name: "corp.example", Servers: []netip.AddrPort{silent.Addr()}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pool.Close() })
	c := &config.Edge{DNSListen: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}, Clients: config.DefaultClients()}
	gate, err := openGuard(t.Context(), c, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	kept := cache.New(cache.Config{Bytes: 1 << 20})
	answers, err := resolver.New(resolver.Config{Stop: resolver.Stop{LawIPv4: netip.MustParseAddr("198.51.100.16")}, Upstream: pool, Cache: kept, Guard: gate})
	if err != nil {
		t.Fatal(err)
	}
	s, err := serve.Open(serveConfig(c, answers, gate, nil))
	if err != nil {
		t.Fatal(err)
	}
	m := &meters{answers: answers, cache: kept, guard: gate, dns: s, has: transportsOf(c), pool: pool, follower: new(follower)}
	// What this edge has not is added, so that every metric is there once.
	own, ends := new(unbound.State), time.Unix(1790000000, 0)
	shown, err := metrics.Open(t.Context(), netip.MustParseAddrPort("127.0.0.1:0"), func() metrics.Snapshot {
		x := m.snapshot()
		x.Unbound, x.Ends, x.Fresh, x.Transports = own, ends, ends, append(slices.Clone(x.Transports), 2, 3, 4)
		return x
	}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, end := context.WithCancel(t.Context())
	ended := make(chan error, 2)
	go func() { ended <- s.Run(ctx) }()
	go func() { ended <- shown.Run(ctx) }()
	t.Cleanup(func() {
		end()
		for range 2 {
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
	})
	scrape := func() string {
		t.Helper()
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+shown.Addr().String()+"/metrics", nil)
		req.Header.Set("Accept", "application/openmetrics-text;version=1.0.0")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != http.StatusOK || !strings.HasPrefix(resp.Header.Get("Content-Type"), "application/openmetrics-text") || !strings.HasSuffix(string(b), "# EOF\n") {
			t.Fatalf("status %d, %s, %v:\n%s", resp.StatusCode, resp.Header.Get("Content-Type"), err, b)
		}
		return string(b)
	}
	has := func(text string, lines ...string) {
		t.Helper()
		for _, l := range lines {
			if !strings.Contains(text, "\n"+l+"\n") {
				t.Errorf("no line %q in:\n%s", l, regexp.MustCompile(`(?m)^(#|go_|process_).*\n`).ReplaceAllString(text, ""))
			}
		}
	}
	ask := func(network, name string, rcode int) {
		t.Helper()
		at := s.UDPAddrs()[0]
		client := &dns.Client{Net: network, Timeout: time.Minute}
		if m, _, err := client.Exchange(new(dns.Msg).SetQuestion(name, dns.TypeA), at.String()); err != nil || m.Rcode != rcode {
			t.Fatalf("%s over %s: %v, %v", name, network, m, err)
		}
	}

	ask("udp", "secret-name.test.", dns.RcodeServerFailure)
	has(scrape(), "cordon_ready 0.0", "cordon_dns_servfail_total 1.0", `cordon_dns_questions_total{transport="udp"} 1.0`, "cordon_dns_missed_total 0.0")

	set, err := match.NewSet(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	answers.Swap(set)
	ask("udp", "secret-name.test.", dns.RcodeSuccess)
	ask("udp", "secret-name.test.", dns.RcodeSuccess) // of the cache
	ask("tcp", "secret-name-2.test.", dns.RcodeSuccess)
	ask("udp", "host.corp.example.", dns.RcodeServerFailure)
	text := scrape()
	first, zone := `{server="`+up.Addr().String()+`",zone="."}`, `{server="`+silent.Addr().String()+`",zone="corp.example"}`
	has(text, "cordon_ready 1.0", `cordon_dns_questions_total{transport="udp"} 4.0`, `cordon_dns_questions_total{transport="tcp"} 1.0`,
		`cordon_dns_connections_total{transport="tcp"} 1.0`, "cordon_dns_missed_total 3.0", "cordon_dns_servfail_total 2.0", "cordon_cache_answers 3.0",
		`cordon_upstream_questions_total{zone="."} 2.0`, `cordon_upstream_questions_total{zone="corp.example"} 1.0`,
		"cordon_upstream_asked_total"+first+" 2.0", "cordon_upstream_answers_total"+first+" 2.0", "cordon_upstream_up"+first+" 1.0",
		"cordon_upstream_asked_total"+zone+" 2.0", "cordon_upstream_timeouts_total"+zone+" 2.0", "cordon_upstream_answers_total"+zone+" 0.0")
	if strings.Contains(text, "secret-name") || strings.Contains(text, `"127.0.0.1"`) {
		t.Errorf("a name or a client is in:\n%s", text)
	}
	if strings.Contains(text, "cache_hits_total") && !strings.Contains(text, "cordon_unbound_cache_hits_total") || regexp.MustCompile(`cordon_\w*(stopped|listed)`).MatchString(text) {
		t.Errorf("stopped answers can be counted:\n%s", text)
	}

	// The manual names what is there, and nothing else.
	manual, err := os.ReadFile("../../docs/operator.md")
	if err != nil {
		t.Fatal(err)
	}
	names := func(pattern, text string) (out []string) {
		for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(text, -1) {
			out = append(out, m[1]+" "+m[2])
		}
		slices.Sort(out)
		return out
	}
	served := names(`(?m)^# HELP (cordon_\w+) (.*)$`, text)
	for i := range served {
		served[i] = strings.ReplaceAll(served[i], `\"`, `"`)
	}
	documented := names("(?m)^\\| `(cordon_\\w+?)(?:_total)?` \\| [^|]*\\| (.*) \\|$", string(manual))
	if len(served) < 40 || !slices.Equal(served, documented) {
		t.Errorf("the endpoint has\n%s\nand docs/operator.md\n%s", strings.Join(served, "\n"), strings.Join(documented, "\n"))
	}
}
