package dns64

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// TestUnboundSaysTheSame holds the translation to Unbound's, for all lengths of prefixes: names, addresses, aliases, response codes. TTLs are left
// out: Unbound's are those of its cache. Where the A question fails behind an empty AAAA answer Unbound keeps the empty answer, and we say that it
// failed, as RFC 6147 5.1.6 has it: a client would take the empty one for the whole truth, and keep it. For an address in the prefix it says the name itself, and we an alias, as RFC 6147 5.3.1 has it: there the
// names are compared.
func TestUnboundSaysTheSame(t *testing.T) {
	program, err := exec.LookPath("unbound")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip("unbound is missing; install it to run this test")
	}
	w := &world{records: map[string][]string{
		"four.zone.example. A":     {"four.zone.example. 900 IN A 192.0.2.1", "four.zone.example. 900 IN A 203.0.113.254"},
		"four.zone.example. AAAA":  {"zone.example. 300 IN SOA ns.test. host.test. 1 2 3 4 60"},
		"six.zone.example. A":      {"six.zone.example. 900 IN A 192.0.2.2"},
		"six.zone.example. AAAA":   {"six.zone.example. 300 IN AAAA 2001:db8::6"},
		"alias.zone.example. A":    {"alias.zone.example. 300 IN CNAME end.zone.example.", "end.zone.example. 300 IN A 198.51.100.8"},
		"alias.zone.example. AAAA": {"alias.zone.example. 300 IN CNAME end.zone.example.", "zone.example. 300 IN SOA ns.test. host.test. 1 2 3 4 60"},
		"end.zone.example. A":      {"end.zone.example. 300 IN A 198.51.100.8"},
		"end.zone.example. AAAA":   {"zone.example. 300 IN SOA ns.test. host.test. 1 2 3 4 60"},
		"gone.zone.example. AAAA":  {"rcode NXDOMAIN", "zone.example. 300 IN SOA ns.test. host.test. 1 2 3 4 60"},
		"gone.zone.example. A":     {"rcode NXDOMAIN", "zone.example. 300 IN SOA ns.test. host.test. 1 2 3 4 60"},
		"empty.zone.example. AAAA": {"zone.example. 300 IN SOA ns.test. host.test. 1 2 3 4 60"},
		"empty.zone.example. A":    {"zone.example. 300 IN SOA ns.test. host.test. 1 2 3 4 60"},
		// What the AAAA question does not get: whatever the reason, but that there is no such name, the A question decides.
		"broken.zone.example. AAAA":       {"rcode SERVFAIL"},
		"broken.zone.example. A":          {"broken.zone.example. 300 IN A 192.0.2.10"},
		"refused.zone.example. AAAA":      {"rcode REFUSED"},
		"refused.zone.example. A":         {"refused.zone.example. 300 IN CNAME end.zone.example.", "end.zone.example. 300 IN A 198.51.100.8"},
		"notimp.zone.example. AAAA":       {"rcode NOTIMP"},
		"notimp.zone.example. A":          {"notimp.zone.example. 300 IN A 192.0.2.11"},
		"silent.zone.example. AAAA":       {"away"},
		"silent.zone.example. A":          {"silent.zone.example. 300 IN A 192.0.2.12"},
		"silentempty.zone.example. AAAA":  {"away"},
		"silentempty.zone.example. A":     {"zone.example. 300 IN SOA ns.test. host.test. 1 2 3 4 60"},
		"brokenempty.zone.example. AAAA":  {"rcode SERVFAIL"},
		"brokenempty.zone.example. A":     {"zone.example. 300 IN SOA ns.test. host.test. 1 2 3 4 60"},
		"brokengone.zone.example. AAAA":   {"rcode SERVFAIL"},
		"brokengone.zone.example. A":      {"rcode NXDOMAIN", "zone.example. 300 IN SOA ns.test. host.test. 1 2 3 4 60"},
		"brokenboth.zone.example. AAAA":   {"rcode SERVFAIL"},
		"brokenboth.zone.example. A":      {"rcode SERVFAIL"},
		"emptygone.zone.example. AAAA":    {"zone.example. 300 IN SOA ns.test. host.test. 1 2 3 4 60"},
		"emptygone.zone.example. A":       {"rcode NXDOMAIN", "zone.example. 300 IN SOA ns.test. host.test. 1 2 3 4 60"},
		"emptybroken.zone.example. AAAA":  {"zone.example. 300 IN SOA ns.test. host.test. 1 2 3 4 60"},
		"emptybroken.zone.example. A":     {"rcode SERVFAIL"},
		"254.113.0.203.in-addr.arpa. PTR": {"254.113.0.203.in-addr.arpa. 300 IN PTR four.zone.example."},
	}}
	for _, text := range []string{"64:ff9b::/96", "2001:db8::/32", "2001:db8:100::/40", "2001:db8:122::/48", "2001:db8:122:300::/56", "2001:db8:122:344::/64"} {
		t.Run(strings.ReplaceAll(text, "/", " "), func(t *testing.T) {
			d, err := New(w, mustPrefix(t, text))
			if err != nil {
				t.Fatal(err)
			}
			at := startUnbound(t, program, text, startWorld(t, w))
			// An address in the prefix, as its PTR question has it.
			reversed, err := dns.ReverseAddr(Embed(d.prefix, mustAddr(t, "203.0.113.254")).String())
			if err != nil {
				t.Fatal(err)
			}
			asked := []string{"four.zone.example. AAAA", "six.zone.example. AAAA", "alias.zone.example. AAAA", "gone.zone.example. AAAA", "empty.zone.example. AAAA",
				"four.zone.example. A", reversed + " PTR"}
			if d.prefix == WellKnown { // how to fail does not depend on the prefix
				for _, name := range []string{"broken", "refused", "notimp", "silent", "silentempty", "brokenempty", "brokengone", "brokenboth", "emptygone"} {
					asked = append(asked, name+".zone.example. AAAA")
				}
			}
			for _, q := range asked {
				reply, err := d.Exchange(t.Context(), question(t, q))
				var ours dns.Msg
				if err != nil || ours.Unpack(reply) != nil {
					t.Errorf("%s: %v", q, err)
					continue
				}
				theirs := askUnbound(t, at, q)
				if a, b := bare(&ours), bare(theirs); ours.Rcode != theirs.Rcode || !slices.Equal(a, b) {
					t.Errorf("%s: ours is rcode %d\n%s\nUnbound's is %d\n%s", q, ours.Rcode, strings.Join(a, "\n"), theirs.Rcode, strings.Join(b, "\n"))
				}
			}
			const differs = "emptybroken.zone.example. AAAA"
			var ours dns.Msg
			if reply, err := d.Exchange(t.Context(), question(t, differs)); err != nil || ours.Unpack(reply) != nil || ours.Rcode != dns.RcodeServerFailure {
				t.Errorf("%s: got %v, %v", differs, &ours, err)
			}
			if theirs := askUnbound(t, at, differs); theirs.Rcode != dns.RcodeSuccess {
				t.Errorf("%s: Unbound says rcode %d: it does as we do now, see above", differs, theirs.Rcode)
			}
		})
	}
}

// bare are the records of an answer without TTLs, sorted.
func bare(m *dns.Msg) (out []string) {
	for _, rr := range m.Answer {
		if m.Question[0].Qtype == dns.TypePTR {
			if ptr, ok := rr.(*dns.PTR); ok {
				out = append(out, ptr.Ptr)
			}
			continue
		}
		rr = dns.Copy(rr)
		rr.Header().Ttl = 0
		out = append(out, strings.Join(strings.Fields(rr.String()), " "))
	}
	slices.Sort(out)
	return out
}

// startWorld serves a world over UDP on loopback.
func startWorld(t *testing.T, w *world) (at string) {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &dns.Server{PacketConn: conn, Handler: dns.HandlerFunc(func(rw dns.ResponseWriter, r *dns.Msg) {
		m := new(dns.Msg).SetReply(r)
		m.RecursionAvailable = true
		for _, text := range w.records[strings.ToLower(r.Question[0].Name)+" "+dns.TypeToString[r.Question[0].Qtype]] {
			if text == "away" {
				return
			}
			if code, ok := strings.CutPrefix(text, "rcode "); ok {
				m.Rcode = dns.StringToRcode[code]
			} else if rr, err := dns.NewRR(text); err == nil && rr.Header().Rrtype == dns.TypeSOA {
				m.Ns = append(m.Ns, rr)
			} else if err == nil {
				m.Answer = append(m.Answer, rr)
			}
		}
		_ = rw.WriteMsg(m)
	})}
	ended := make(chan error, 1)
	go func() { ended <- s.ActivateAndServe() }()
	t.Cleanup(func() { _ = s.Shutdown(); <-ended })
	return conn.LocalAddr().String()
}

// startUnbound runs Unbound with its dns64 module in front of a server, on a port below those that the kernel gives to whoever asks for any.
func startUnbound(t *testing.T, program, prefix, upstream string) (at string) {
	t.Helper()
	said := ""
	for range 20 {
		if at, said = tryUnbound(t, program, prefix, upstream, 20000+rand.IntN(12000)); at != "" {
			return at
		}
		if !strings.Contains(said, "in use") {
			break
		}
	}
	t.Fatalf("unbound does not answer:\n%s", said)
	return ""
}

// tryUnbound gives what Unbound said when it does not answer.
func tryUnbound(t *testing.T, program, prefix, upstream string, port int) (at, said string) {
	t.Helper()
	dir := t.TempDir()
	config := fmt.Sprintf(`server:
  directory: %q
  chroot: ""
  username: ""
  pidfile: ""
  use-syslog: no
  interface: 127.0.0.1
  port: %d
  do-tcp: no
  do-not-query-localhost: no
  qname-minimisation: no
  outbound-msg-retry: 1
  unknown-server-time-limit: 500
  infra-cache-min-rtt: 500
  module-config: "dns64 iterator"
  dns64-prefix: %s
  local-zone: "in-addr.arpa." nodefault
  local-zone: "113.0.203.in-addr.arpa." nodefault
  local-zone: "8.b.d.0.1.0.0.2.ip6.arpa." nodefault
remote-control:
  control-enable: no
forward-zone:
  name: "."
  forward-addr: %s
`, dir, port, prefix, strings.Replace(upstream, ":", "@", 1))
	path := filepath.Join(dir, "unbound.conf")
	if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	cmd := exec.Command(program, "-d", "-c", path)
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait()
	}()
	end := func() { _ = cmd.Process.Kill(); <-ended }
	t.Cleanup(end)
	at = fmt.Sprintf("127.0.0.1:%d", port)
	for late := time.Now().Add(time.Minute); time.Now().Before(late); <-time.After(20 * time.Millisecond) {
		select {
		case <-ended:
			return "", log.String()
		default:
		}
		c := dns.Client{Timeout: time.Second}
		if m, _, err := c.Exchange(new(dns.Msg).SetQuestion("six.zone.example.", dns.TypeAAAA), at); err == nil && m.Rcode == dns.RcodeSuccess {
			return at, ""
		}
	}
	end()
	return "", log.String()
}

func askUnbound(t *testing.T, at, q string) *dns.Msg {
	t.Helper()
	name, typ, _ := strings.Cut(q, " ")
	c := dns.Client{Timeout: time.Minute}
	m, _, err := c.Exchange(new(dns.Msg).SetQuestion(name, dns.StringToType[typ]), at)
	if err != nil {
		t.Fatalf("%s: %v", q, err)
	}
	return m
}
