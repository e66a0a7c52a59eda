package interop

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/miekg/dns"

	"github.com/cordon-project/cordon/resolver/upstream/unbound"
)

// resolvedProgram is systemd-resolved as tools/deps unpacks it: its package would turn this machine's own resolution over to it.
const resolvedProgram = "/usr/local/libexec/systemd-resolved"

// resolvedScript starts it without systemd, in a mount namespace with its user, its configuration (%[1]s) and an interface besides the
// loopback: without one it takes the machine to be offline.
const resolvedScript = `set -e
ip link show v0 >/dev/null 2>&1 || ip link add v0 type veth peer name v1
ip link set v0 up
ip link set v1 up
ip addr replace 198.51.100.1/24 dev v0
mount -t tmpfs none /run
mkdir -p /run/systemd/resolve /run/dnssec-trust-anchors.d
chown 65533:65533 /run/systemd/resolve
cp %[1]s/root.positive /run/dnssec-trust-anchors.d/
mkdir /run/etc
cp %[1]s/resolved.conf /run/etc/
mount --bind %[1]s/passwd /etc/passwd
mount --bind /run/etc /etc/systemd
exec %[2]s`

// TestResolvedAsksTheEdge: the stub resolver of most Linux desktops, with and without validation of its own.
func TestResolvedAsksTheEdge(t *testing.T) {
	w := plant(t)
	newEdge(t, w, unbound.Config{})
	ds, err := os.ReadFile(w.ds)
	if err != nil {
		t.Fatal(err)
	}
	users, err := os.ReadFile("/etc/passwd")
	if err != nil {
		t.Fatal(err)
	}
	both := []forward{
		{[]string{"gone.good.example", "A"}, []string{"NXDOMAIN"}},
		{[]string{"big.good.example", "TXT"}, []string{"NOERROR", "xxxxx"}},
		{[]string{"listed.good.example", "A"}, []string{"NOERROR", stopIPv4}},
		{[]string{"listed.good.example", "AAAA"}, []string{"NOERROR", stopIPv6}},
		{[]string{"alias.good.example", "A"}, []string{"NOERROR", stopIPv4, "!192.0.2.90"}},
		{[]string{"listed.good.example", "MX"}, []string{"NOERROR", "mail.good.example"}},
		{[]string{"www.listed.insecure.example", "A"}, []string{"NOERROR", stopIPv4}},
		{[]string{"www.bogus.example", "A"}, []string{"SERVFAIL"}},
	}
	for validates, more := range map[string]forward{
		"no":  {[]string{"www.good.example", "A", "+dnssec"}, []string{"NOERROR", "192.0.2.80", "! ad;"}},
		"yes": {[]string{"www.good.example", "A", "+dnssec"}, []string{"NOERROR", "192.0.2.80", " ad;", "RRSIG"}},
	} {
		t.Run("validates "+validates, func(t *testing.T) {
			dir := openFolder(t)
			for name, text := range map[string]string{
				"root.positive": string(ds),
				"passwd":        string(users) + "systemd-resolve:x:65533:65533::/:/usr/sbin/nologin\n",
				"resolved.conf": fmt.Sprintf("[Resolve]\nDNS=%s\nFallbackDNS=\nDNSSEC=%s\nLLMNR=no\nMulticastDNS=no\n", edgeAddress, validates),
			} {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			const stub = "127.0.0.53"
			daemon(t, func() error {
				m, err := dns.Exchange(new(dns.Msg).SetQuestion("www.good.example.", dns.TypeA), stub+":53")
				if err == nil && m.Rcode != dns.RcodeSuccess {
					err = fmt.Errorf("%v", m)
				}
				return err
			}, "unshare", "--mount", "--propagation", "private", "sh", "-c", fmt.Sprintf(resolvedScript, dir, resolvedProgram))
			for _, f := range append(both, more) {
				has(t, fmt.Sprintf("dig %v", f.args), output(t, "dig", append([]string{"-r", "@" + stub, "+tries=1", "+timeout=60"}, f.args...)...), f.want...)
			}
		})
	}
}
