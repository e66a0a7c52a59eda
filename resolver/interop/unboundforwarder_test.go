package interop

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/miekg/dns"

	"github.com/cordon-project/cordon/resolver/upstream/unbound"
)

// viaForwarder asks the forwarder once.
func viaForwarder(t *testing.T, args ...string) string {
	t.Helper()
	return output(t, "dig", append([]string{"-r", "@" + forwarder, "+tries=1", "+timeout=60"}, args...)...)
}

// forwards reports nil when the forwarder answers a name of the tree.
func forwards() error {
	m, err := dns.Exchange(new(dns.Msg).SetQuestion("www.good.example.", dns.TypeA), forwarder+":53")
	if err == nil && m.Rcode != dns.RcodeSuccess {
		err = fmt.Errorf("%v", m)
	}
	return err
}

// forward is one question through a forwarder.
type forward struct {
	args []string
	want []string
}

func askThrough(t *testing.T, all []forward) {
	t.Helper()
	for _, f := range all {
		has(t, fmt.Sprintf("dig %v", f.args), viaForwarder(t, f.args...), f.want...)
	}
}

// scratch makes a folder for a daemon's files, and returns the path of its configuration.
func scratch(t *testing.T, conf string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "conf.yml") // stubby goes by the name
	if err := os.WriteFile(path, []byte(conf), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// plainForwards is what must come through a forwarder that does not validate.
var plainForwards = []forward{
	{[]string{"www.good.example", "A"}, []string{"NOERROR", "192.0.2.80"}},
	{[]string{"gone.good.example", "A"}, []string{"NXDOMAIN"}},
	{[]string{"big.good.example", "TXT"}, []string{"NOERROR", "xxxxx"}},
	{[]string{"listed.good.example", "A"}, []string{"NOERROR", stopIPv4, "!192.0.2.90"}},
	{[]string{"listed.good.example", "AAAA"}, []string{"NOERROR", stopIPv6}},
	{[]string{"listed.good.example", "HTTPS"}, []string{"NOERROR", "ANSWER: 0", "SOA"}},
	{[]string{"listed.good.example", "MX"}, []string{"NOERROR", "mail.good.example"}},
	{[]string{"alias.good.example", "A"}, []string{"NOERROR", stopIPv4, "!192.0.2.90"}},
	{[]string{"www.listed.insecure.example", "A"}, []string{"NOERROR", stopIPv4}},
}

// validatedForwards is what must come through a forwarder that validates: a listed name of a signed zone fails there, as the manual says, since
// nobody forges its signature. It is stopped all the same.
var validatedForwards = []forward{
	{[]string{"www.good.example", "A", "+dnssec"}, []string{"NOERROR", " ad;", "192.0.2.80"}},
	{[]string{"gone.good.example", "A", "+dnssec"}, []string{"NXDOMAIN", " ad;"}},
	{[]string{"x.wild.good.example", "A", "+dnssec"}, []string{"NOERROR", " ad;", "192.0.2.81"}},
	{[]string{"www.insecure.example", "A", "+dnssec"}, []string{"NOERROR", "! ad;", "192.0.2.80"}},
	{[]string{"www.bogus.example", "A"}, []string{"SERVFAIL", "!192.0.2.66"}},
	{[]string{"www.nochain.example", "A"}, []string{"SERVFAIL"}},
	{[]string{"listed.good.example", "A"}, []string{"SERVFAIL", "!192.0.2.90"}},
	{[]string{"alias.good.example", "A"}, []string{"SERVFAIL", "!192.0.2.90"}},
	{[]string{"listed.good.example", "A", "+cd"}, []string{"NOERROR", stopIPv4}},
	{[]string{"listed.good.example", "MX", "+dnssec"}, []string{"NOERROR", " ad;", "mail.good.example"}},
	{[]string{"www.listed.insecure.example", "A", "+dnssec"}, []string{"NOERROR", "! ad;", stopIPv4}},
}

// TestUnboundForwardsToAnEdge: another Unbound, of an enterprise say, has the edge as its forwarder.
func TestUnboundForwardsToAnEdge(t *testing.T) {
	w := plant(t)
	e := newEdge(t, w, unbound.Config{})
	conf := func(modules, more, at string) string {
		return fmt.Sprintf(`server:
  interface: %s
  access-control: 192.0.2.0/24 allow
  chroot: ""
  username: ""
  pidfile: ""
  directory: %q
  use-syslog: no
  logfile: ""
  ede: yes
  module-config: %q
%s
forward-zone:
  name: "."
  forward-addr: %s
remote-control:
  control-enable: no
`, forwarder, t.TempDir(), modules, more, at)
	}
	anchor := fmt.Sprintf("  trust-anchor-file: %q\n", w.anchor)
	overTLS := fmt.Sprintf("  tls-upstream: yes\n  tls-cert-bundle: %q", e.ca)
	for _, tt := range []struct {
		name, modules, more, at string
		asks                    []forward
	}{
		{"without validation", "iterator", "", edgeAddress, append([]forward{{[]string{"www.bogus.example", "A"}, []string{"SERVFAIL", "!192.0.2.66"}}}, plainForwards...)},
		{"with validation", "validator iterator", anchor, edgeAddress, validatedForwards},
		{"over TCP", "validator iterator", anchor + "  tcp-upstream: yes", edgeAddress, validatedForwards[:3]},
		{"over TLS", "validator iterator", anchor + overTLS, edgeAddress + "@853#dns.isp.example", validatedForwards},
	} {
		t.Run(tt.name, func(t *testing.T) {
			daemon(t, forwards, "unbound", "-d", "-p", "-c", scratch(t, conf(tt.modules, tt.more, tt.at)))
			askThrough(t, tt.asks)
		})
	}
}
