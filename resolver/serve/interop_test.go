package serve

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/cordon-project/cordon/resolver"
	"github.com/cordon-project/cordon/resolver/canon"
	"github.com/cordon-project/cordon/resolver/match"
	"github.com/cordon-project/cordon/resolver/upstream"
	"github.com/cordon-project/cordon/resolver/upstream/devupstream"
)

// setOf builds a set whose entries are domains with a law behind them.
func setOf(t testing.TB, domains ...string) *match.Set {
	t.Helper()
	const list = match.ListID("hotline/main")
	keys := &match.Keys{Match: sha256.Sum256([]byte("m"))}
	filter := match.Filter{Kinds: []canon.Kind{canon.KindDomain}, Bases: []match.Basis{match.BasisLaw}, Jurisdictions: []string{"XX"}}
	records := make([]match.Record, len(domains))
	for i := range records {
		records[i] = match.Record{
			Digest: keys.Digest(list, canon.ClassName, []byte(domains[i])), Gate: keys.Gate64(canon.ClassName, []byte(domains[i])),
			EntryID: match.EntryID{byte(i), 1},
			Meta: match.Meta{Kind: canon.KindDomain, Category: match.CategoryBaseline, Basis: match.BasisLaw,
				Jurisdiction: [2]byte{'X', 'X'}, ReviewBy: 4_000_000_000},
		}
	}
	edge, err := match.WriteEdge(match.Header{List: list, Seq: 1, Epoch: 1, CanonID: canon.ID()}, records)
	if err != nil {
		t.Fatal(err)
	}
	b, err := match.Compile(edge)
	if err != nil {
		t.Fatal(err)
	}
	ix, err := match.Open(b)
	if err != nil {
		t.Fatal(err)
	}
	s, err := match.NewSet([]match.Member{{Edge: edge, Index: ix, Filter: filter, Keys: keys}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// startWhole runs upstream, resolver and server, all on loopback.
func startWhole(t *testing.T) (r *resolver.Resolver, at netip.AddrPort) {
	t.Helper()
	r = startResolver(t, resolver.Own{})
	s, _ := start(t, Config{Handler: r})
	return r, s.UDPAddrs()[0]
}

// startResolver runs an upstream and a resolver that asks it.
func startResolver(t testing.TB, own resolver.Own) *resolver.Resolver {
	t.Helper()
	up, err := devupstream.Listen(netip.MustParseAddrPort("127.0.0.1:0"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	work.Go(func() { _ = up.Run(ctx) })
	pool, err := upstream.Open(upstream.Config{Servers: []netip.AddrPort{up.Addr()}, Attempt: patience, Total: patience})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = pool.Close()
		cancel()
		work.Wait()
	})
	r, err := resolver.New(resolver.Config{
		Own:        own,
		Stop:       resolver.Stop{LawIPv4: netip.MustParseAddr("127.0.0.16"), LawIPv6: netip.MustParseAddr("fd00::16")},
		NSID:       true,
		Structured: resolver.Structured{Option: 15, Contact: "tel:+99900123456", Law: "Example Act", Organization: "ISP", Language: "en"},
		Upstream:   pool,
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestDigUnderstandsEveryAnswer(t *testing.T) {
	dig, err := exec.LookPath("dig")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("dig is missing: %v", err)
		}
		t.Skip("dig is missing; install bind9-dnsutils to run this test")
	}
	r, at := startWhole(t)
	ask := func(args ...string) string {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		args = append([]string{"-r", "@" + at.Addr().String(), "-p", fmt.Sprint(at.Port()), "+tries=1", "+timeout=30"}, args...)
		out, err := exec.CommandContext(ctx, dig, args...).CombinedOutput()
		if err != nil {
			t.Errorf("dig %v: %v\n%s", args, err, out)
		}
		return string(out)
	}
	if got := ask("a.test", "A"); !strings.Contains(got, "SERVFAIL") || !strings.Contains(got, "EDE: 14 (Not Ready)") {
		t.Errorf("without a set:\n%s", got)
	}
	r.Swap(setOf(t, "bad.test"))
	for _, tt := range []struct {
		args []string
		want []string
	}{
		{[]string{"Www.Bad.Test", "A"}, []string{"NOERROR", "Www.Bad.Test.", "127.0.0.16", "EDE: 16 (Censored)"}},
		{[]string{"bad.test", "AAAA", "+tcp"}, []string{"fd00::16", "EDE: 16 (Censored)"}},
		{[]string{"bad.test", "HTTPS"}, []string{"NOERROR", "ANSWER: 0", "SOA", "EDE: 16"}},
		{[]string{"bad.test", "A", "+noedns"}, []string{"127.0.0.16", "ADDITIONAL: 0"}},
		{[]string{"bad.test", "A", "+dnssec", "+cd"}, []string{"127.0.0.16", "flags: do", " cd;"}},
		{[]string{"bad.test", "MX"}, []string{"NOERROR", "mail.bad.test."}},
		{[]string{"cname-to--bad.test", "A"}, []string{"127.0.0.16", "ANSWER: 1,"}},
		{[]string{"x.dname-to--bad.test", "A"}, []string{"127.0.0.16", "ANSWER: 1,"}},
		{[]string{"svcb-to--bad.test", "HTTPS"}, []string{"ANSWER: 0", "EDE: 16"}},
		{[]string{"good.test", "A", "+nsid"}, []string{"192.0.2.", "NSID: " + hexPairs(r.Set().StateID())}},
		{[]string{"cname-to--good.test", "A"}, []string{"192.0.2.", "ANSWER: 2,"}},
		{[]string{"big--good.test", "TXT"}, []string{"NOERROR", "ANSWER: 1,", "(TCP)"}}, // truncated, then over TCP
		{[]string{"signed--good.test", "A", "+adflag"}, []string{" ad;"}},
		{[]string{"bogus--good.test", "A"}, []string{"SERVFAIL", "EDE: 6 (DNSSEC Bogus)"}},
		{[]string{"a.invalid", "A"}, []string{"NXDOMAIN", "SOA"}},
		{[]string{"version.bind", "CH", "TXT"}, []string{"REFUSED"}},
		{[]string{"bad.test", "A", "+edns=1", "+noednsnegotiation"}, []string{"BADVERS"}},
		{[]string{"bad.test", "A", "+opcode=2"}, []string{"NOTIMP"}},
		{[]string{"bad.test", "A", "+ednsopt=15:0000"}, []string{`EDE: 16 (Censored): ({"c":["tel:+99900123456"],"j":"Example Act","o":"ISP","l":"en"})`}},
		{[]string{"good.test", "A", "+ednsopt=15:0000"}, []string{"192.0.2."}},
		{[]string{"_8443._https.bad.test", "HTTPS"}, []string{"ANSWER: 0", "EDE: 16"}},
		{[]string{"bad.test", "A", "+subnet=192.0.2.0/24", "+cookie"}, []string{"127.0.0.16"}},
	} {
		got := ask(tt.args...)
		for _, w := range append(tt.want, "") {
			if !strings.Contains(got, w) {
				t.Errorf("dig %v: no %q in\n%s", tt.args, w, got)
			}
		}
		if strings.Contains(strings.ToUpper(got), "WARNING") || strings.Contains(got, "CLIENT-SUBNET: 192") {
			t.Errorf("dig %v warns:\n%s", tt.args, got)
		}
	}
}

func hexPairs(id match.StateID) string {
	return strings.TrimSpace(fmt.Sprintf("% x", id[:]))
}

// TestSwapsUnderLoadLoseNoQuestion asks over sockets while sets are swapped: one listed name, one unlisted, one that is
// always new. It counts answers, not only errors.
func TestSwapsUnderLoadLoseNoQuestion(t *testing.T) {
	r, at := startWhole(t)
	sets := []*match.Set{setOf(t, "bad.test"), setOf(t, "bad.test", "other.test")}
	r.Swap(sets[0])
	var done atomic.Bool
	var answered atomic.Int64
	var work sync.WaitGroup
	for w := range 4 {
		work.Go(func() {
			network := []string{"udp", "tcp"}[w%2]
			client := dns.Client{Net: network, Timeout: patience}
			conn, err := client.Dial(at.String())
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			for i := 0; !done.Load(); i++ {
				for name, listed := range map[string]bool{
					"www.bad.test.": true, "cname-to--bad.test.": true, "good.test.": false, fmt.Sprintf("n%d-%d.test.", w, i): false,
				} {
					m, _, err := client.ExchangeWithConn(new(dns.Msg).SetQuestion(name, dns.TypeA), conn)
					if err != nil || m.Rcode != dns.RcodeSuccess || len(m.Answer) != 1 {
						t.Errorf("%s over %s: %v, %v", name, network, m, err)
						return
					}
					if got := m.Answer[0].(*dns.A).A[len(m.Answer[0].(*dns.A).A)-4] == 127; got != listed {
						t.Errorf("%s over %s: blocked is %v, want %v", name, network, got, listed)
					}
					answered.Add(1)
				}
			}
		})
	}
	for i := 0; (i < 200 || answered.Load() < 2000) && !t.Failed(); i++ {
		r.Swap(sets[i%2])
		<-time.After(time.Millisecond)
	}
	done.Store(true)
	work.Wait()
	t.Logf("%d questions answered", answered.Load())
}

// TestNothingIsWrittenAboutQuestions reads back what the process wrote while it answered (P5).
func TestNothingIsWrittenAboutQuestions(t *testing.T) {
	old := [2]*os.File{os.Stdout, os.Stderr}
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	os.Stdout, os.Stderr = writer, writer
	var read bytes.Buffer
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = bufio.NewReader(reader).WriteTo(&read)
	}()
	r, at := startWhole(t)
	r.Swap(setOf(t, "bad.test"))
	for _, name := range []string{"secret.test.", "www.bad.test.", "secret.invalid.", "bogus--secret.test."} {
		_, _ = dns.Exchange(new(dns.Msg).SetQuestion(name, dns.TypeA), at.String())
	}
	os.Stdout, os.Stderr = old[0], old[1]
	_ = writer.Close()
	<-ended
	if read.Len() != 0 {
		t.Errorf("something was written: %q", read.String())
	}
}
