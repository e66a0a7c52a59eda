package interop

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/sys/unix"

	"github.com/cordon-project/cordon/resolver/upstream/unbound"
)

// quick is between probes where a test waits for counters, which come with each fifth.
const quick = 500 * time.Millisecond

// dig asks the edge once.
func dig(t *testing.T, args ...string) string {
	t.Helper()
	return output(t, "dig", append([]string{"-r", "@" + edgeAddress, "+tries=1", "+timeout=60"}, args...)...)
}

// exchange asks the edge for a name's IPv4 address.
func exchange(name string) (*dns.Msg, error) {
	m, _, err := (&dns.Client{Timeout: patience}).Exchange(new(dns.Msg).SetQuestion(name, dns.TypeA), edgeAddress+":53")
	return m, err
}

// resolves reports nil when the edge answers a name of the tree with an address.
func resolves(name string) error {
	m, err := exchange(name)
	if err == nil && (m.Rcode != dns.RcodeSuccess || len(m.Answer) == 0) {
		err = fmt.Errorf("%s: %v", name, m)
	}
	return err
}

func TestTheTreeIsFollowedAndValidated(t *testing.T) {
	w := plant(t)
	e := newEdge(t, w, unbound.Config{Every: quick})
	for _, tt := range []struct {
		args []string
		want []string
	}{
		{[]string{"www.good.example", "A", "+dnssec"}, []string{"NOERROR", " ad;", "192.0.2.80", "RRSIG"}},
		{[]string{"www.good.example", "A", "+adflag"}, []string{"NOERROR", " ad;", "192.0.2.80", "!RRSIG"}},
		{[]string{"www.good.example", "A", "+noadflag"}, []string{"NOERROR", "! ad;", "192.0.2.80"}},
		{[]string{"x.wild.good.example", "A", "+dnssec"}, []string{"NOERROR", " ad;", "192.0.2.81"}},
		{[]string{"gone.good.example", "A", "+dnssec"}, []string{"NXDOMAIN", " ad;", "NSEC"}},
		{[]string{"www.good.example", "TXT", "+dnssec"}, []string{"NOERROR", " ad;", "ANSWER: 0", "NSEC"}},
		{[]string{"big.good.example", "TXT", "+dnssec"}, []string{"NOERROR", " ad;", "(TCP)"}},
		{[]string{"www.insecure.example", "A", "+dnssec"}, []string{"NOERROR", "! ad;", "192.0.2.80"}},
		{[]string{"www.bogus.example", "A", "+dnssec"}, []string{"SERVFAIL", "EDE: 6 (DNSSEC Bogus)", "!192.0.2.66"}},
		{[]string{"www.bogus.example", "A", "+dnssec", "+cd"}, []string{"NOERROR", "! ad;", " cd;", "192.0.2.66"}},
		{[]string{"www.bogus.example", "A"}, []string{"SERVFAIL", "!192.0.2.66"}}, // the answer to +cd is not for those without
		{[]string{"www.expired.example", "A"}, []string{"SERVFAIL", "EDE: 7 (Signature Expired)"}},
		{[]string{"www.nochain.example", "A"}, []string{"SERVFAIL", "EDE: 9 (DNSKEY Missing)"}},
		{[]string{"www.stripped.example", "A"}, []string{"SERVFAIL", "EDE: 9 (DNSKEY Missing)"}},
		{[]string{"listed.good.example", "A", "+dnssec"}, []string{"NOERROR", "! ad;", stopIPv4, "EDE: 16 (Censored)", "!RRSIG"}},
		{[]string{"listed.good.example", "AAAA", "+dnssec", "+cd"}, []string{"NOERROR", "! ad;", stopIPv6, "EDE: 16 (Censored)", "!RRSIG"}},
		{[]string{"alias.good.example", "A", "+dnssec"}, []string{"NOERROR", "! ad;", stopIPv4, "EDE: 16 (Censored)", "!192.0.2.90"}},
		{[]string{"listed.good.example", "MX", "+dnssec"}, []string{"NOERROR", " ad;", "mail.good.example"}},
		// Unbound's own word for names that it asks nobody about: the SOA is its, not the root's.
		{[]string{"www.test", "A"}, []string{"NXDOMAIN", "nobody.invalid."}},
		{[]string{"www.invalid", "A"}, []string{"NXDOMAIN", "nobody.invalid."}},
		{[]string{"www.onion", "A"}, []string{"NXDOMAIN", "nobody.invalid."}},
		{[]string{"www.home.arpa", "A"}, []string{"NXDOMAIN", "nobody.invalid."}},
		{[]string{"-x", "10.0.0.1"}, []string{"NXDOMAIN", "nobody.invalid."}},
	} {
		has(t, fmt.Sprintf("dig %v", tt.args), dig(t, tt.args...), tt.want...)
	}

	// Proofs that Unbound has seen answer for names that nobody has asked for (RFC 8198): other servers hear of few of them.
	await(t, "counters", func() error {
		if s := e.unbound.State(); s.Counts.Bogus < 3 || s.Counts.Secure < 5 {
			return fmt.Errorf("%+v", s)
		}
		return nil
	})
	before := e.unbound.State().Counts
	for i := range 60 {
		m, err := exchange(fmt.Sprintf("zz%d.good.example.", i))
		if err != nil || m.Rcode != dns.RcodeNameError {
			t.Errorf("a name that is not there: %v, %v", m, err)
		}
	}
	await(t, "counters", func() error {
		if n := e.unbound.State().Counts.Queries - before.Queries; n < 60 {
			return fmt.Errorf("%d questions", n)
		}
		return nil
	})
	if n := e.unbound.State().Counts.Asked - before.Asked; n > 40 {
		t.Errorf("60 names between the same two cost %d questions to other servers", n)
	}
}

// TestServersAboveHearOnlyWhatTheyMust listens to what reaches the root's server (RFC 9156).
func TestServersAboveHearOnlyWhatTheyMust(t *testing.T) {
	w := plant(t)
	// ETH_P_IP in network byte order
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0x0008)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	newEdge(t, w, unbound.Config{Listen: netip.MustParseAddrPort("[::1]:5335"), Threads: 2})
	if err := resolves("www.good.example."); err != nil {
		t.Fatal(err)
	}
	heard := map[string]int{}
	var buf [2048]byte
	for {
		n, _, err := unix.Recvfrom(fd, buf[:], unix.MSG_DONTWAIT)
		if err == unix.EAGAIN {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		ip := buf[:n]
		if n < 28 || ip[9] != unix.IPPROTO_UDP || ip[22] != 0 || ip[23] != 53 { // no options in what we send ourselves
			continue
		}
		var q dns.Msg
		if q.Unpack(ip[28:]) == nil && len(q.Question) == 1 && !q.Response && q.Question[0].Name != "a.root." { // its own name
			to := fmt.Sprintf("%d.%d.%d.%d", ip[16], ip[17], ip[18], ip[19])
			if to == rootServer && dns.CountLabel(q.Question[0].Name) > 1 || to == tldServer && dns.CountLabel(q.Question[0].Name) > 2 {
				t.Errorf("%s was asked for %s", to, q.Question[0].Name)
			}
			heard[to]++
		}
	}
	if heard[rootServer] == 0 || heard[tldServer] == 0 || heard[zoneServer] == 0 {
		t.Errorf("questions to servers: %v", heard)
	}
}

// TestANameThatTakesSecondsIsFound: a server far away, or a busy one, answers after 0.7 s. Unbound waits
// 0.4 s for a server that it does not know, then longer each time, and has the answer after more than two seconds.
func TestANameThatTakesSecondsIsFound(t *testing.T) {
	newEdge(t, plant(t), unbound.Config{})
	socket, err := net.ListenPacket("udp", slowServer+":53")
	if err != nil {
		t.Fatal(err)
	}
	slow := &dns.Server{PacketConn: socket, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		<-time.After(700 * time.Millisecond)
		m := new(dns.Msg).SetReply(q)
		m.Authoritative = true
		if q.Question[0].Qtype == dns.TypeA {
			m.Answer = []dns.RR{&dns.A{Hdr: dns.RR_Header{Name: q.Question[0].Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 300}, A: net.IPv4(192, 0, 2, 82)}}
		}
		_ = w.WriteMsg(m)
	})}
	served := make(chan error, 1)
	go func() { served <- slow.ActivateAndServe() }()
	t.Cleanup(func() {
		_ = slow.Shutdown()
		<-served
	})
	has(t, "a slow name", dig(t, "www.slow.example", "A"), "NOERROR", "192.0.2.82")
}

// TestUnboundIsKilledUnderLoad: whoever asks is answered all the time, what is cached or listed rightly, and the rest again soon.
func TestUnboundIsKilledUnderLoad(t *testing.T) {
	e := newEdge(t, plant(t), unbound.Config{})
	cached := []string{"www.good.example.", "x.wild.good.example."}
	for _, name := range cached {
		if err := resolves(name); err != nil {
			t.Fatal(err)
		}
	}
	var done atomic.Bool
	var fresh, failed, hot atomic.Int64
	var work sync.WaitGroup
	for worker := range 3 {
		work.Go(func() {
			for i := 0; !done.Load(); i++ {
				m, err := exchange(fmt.Sprintf("n%d-%d.wild.good.example.", worker, i))
				switch {
				case err != nil:
					t.Errorf("a new name: %v", err)
				case m.Rcode == dns.RcodeSuccess && len(m.Answer) == 1:
					fresh.Add(1)
				case m.Rcode == dns.RcodeServerFailure:
					failed.Add(1)
				default:
					t.Errorf("a new name: %v", m)
				}
				for _, name := range append(cached, "www.listed.good.example.") {
					m, err := exchange(name)
					if err != nil || m.Rcode != dns.RcodeSuccess || len(m.Answer) != 1 {
						t.Errorf("%s: %v, %v", name, m, err)
						return
					}
					if got := m.Answer[0].(*dns.A).A.String() == stopIPv4; got != strings.Contains(name, "listed") {
						t.Errorf("%s: %v", name, m.Answer[0])
					}
					hot.Add(1)
				}
			}
		})
	}
	killed := 0
	for i := range 3 {
		var s unbound.State
		await(t, "unbound answers", func() error {
			if s = e.unbound.State(); !s.Answering || s.Process == killed {
				return fmt.Errorf("%+v", s)
			}
			return nil
		})
		at := fresh.Load()
		await(t, "new names are answered", func() error {
			if n := fresh.Load() - at; n < 20 {
				return fmt.Errorf("%d more", n)
			}
			return nil
		})
		if i < 2 {
			if err := syscall.Kill(s.Process, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			killed = s.Process
		}
	}
	done.Store(true)
	work.Wait()
	t.Logf("%d new names answered, %d failed meanwhile, %d cached and listed ones answered", fresh.Load(), failed.Load(), hot.Load())
}

func TestWithoutUnboundListedNamesAreStoppedAndOthersFail(t *testing.T) {
	e := newEdge(t, plant(t), unbound.Config{Program: "no-such-unbound"})
	await(t, "the reason", func() error {
		if s := e.unbound.State(); s.Err == nil || !strings.Contains(s.Err.Error(), "install Debian's package unbound") {
			return fmt.Errorf("%+v", s)
		}
		return nil
	})
	has(t, "an unlisted name", dig(t, "www.good.example", "A"), "SERVFAIL", "EDE: 23 (Network Error)")
	has(t, "a listed name", dig(t, "listed.good.example", "A"), "NOERROR", stopIPv4, "EDE: 16 (Censored)")
}

// TestAnUnboundWithoutAWayOutIsCalledBlind: nobody is where the root's server should be.
func TestAnUnboundWithoutAWayOutIsCalledBlind(t *testing.T) {
	hints := filepath.Join(openFolder(t), "hints")
	if err := os.WriteFile(hints, []byte(". 3600 NS a.root.\na.root. 3600 A 192.0.2.200\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	e := newEdge(t, plant(t), unbound.Config{RootHints: hints, Every: quick})
	n := 0
	await(t, "blind", func() error {
		var work sync.WaitGroup
		for range 30 {
			n++
			name := fmt.Sprintf("n%d.good.example.", n)
			work.Go(func() {
				if m, err := exchange(name); err != nil || m.Rcode != dns.RcodeServerFailure {
					t.Errorf("without a way out: %v, %v", m, err)
				}
			})
		}
		work.Wait()
		if s := e.unbound.State(); !errors.Is(s.Err, unbound.ErrBlind) || !s.Answering {
			return fmt.Errorf("%+v", s)
		}
		return nil
	})
}

// TestValidatingClientsBelieveTheEdge: delv and drill validate by themselves what the edge hands through, from the root's key.
func TestValidatingClientsBelieveTheEdge(t *testing.T) {
	w := plant(t)
	newEdge(t, w, unbound.Config{})
	delv := func(args ...string) string {
		return output(t, "delv", append([]string{"@" + edgeAddress, "-a", w.anchors, "+root"}, args...)...)
	}
	has(t, "delv good", delv("www.good.example", "A"), "; fully validated", "192.0.2.80")
	has(t, "delv nothing there", delv("gone.good.example", "A"), "ncache", "; negative response, fully validated")
	has(t, "delv wildcard", delv("y.wild.good.example", "A"), "; fully validated", "192.0.2.81")
	has(t, "delv insecure", delv("www.insecure.example", "A"), "; unsigned answer", "192.0.2.80")
	for _, name := range []string{"www.bogus.example", "www.expired.example", "www.nochain.example", "www.stripped.example"} {
		has(t, "delv "+name, delv(name, "A"), ";; resolution failed", "!192.0.2.66")
	}
	// A listed name of a signed zone has no signature: whoever validates by himself sees that, and gets nothing.
	has(t, "delv listed", delv("listed.good.example", "A"), ";; resolution failed", "!192.0.2.90")
	has(t, "delv listed, other types", delv("listed.good.example", "MX"), "; fully validated", "mail.good.example")

	drill := func(args ...string) string {
		return output(t, "drill", append(args, "@"+edgeAddress)...)
	}
	has(t, "drill chases signatures", drill("-S", "-k", filepath.Join(w.dir, "dsset-."), "www.good.example", "A"), "Chase successful")
	has(t, "drill sees bogus data", drill("-S", "-k", filepath.Join(w.dir, "dsset-."), "www.bogus.example", "A"), "!Chase successful")
	has(t, "drill sees that a listed name has no signature", drill("-S", "-k", filepath.Join(w.dir, "dsset-."), "listed.good.example", "A"), "!Chase successful")
}
