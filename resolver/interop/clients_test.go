package interop

import (
	"fmt"
	"strings"
	"testing"

	"github.com/cordon-project/cordon/resolver/upstream/unbound"
)

// TestClientsOfAllKindsUnderstandTheEdge asks the same of an edge with clients that nobody here wrote, over IPv4 and IPv6.
func TestClientsOfAllKindsUnderstandTheEdge(t *testing.T) {
	newEdge(t, plant(t), unbound.Config{})
	for _, tt := range []struct {
		command []string
		want    []string
	}{
		// what fits and what does not, by what the client says it takes
		{[]string{"dig", "@" + edgeAddress, "big.good.example", "TXT", "+noedns", "+ignore"}, []string{" tc ", "(UDP)"}},
		{[]string{"dig", "@" + edgeAddress, "big.good.example", "TXT", "+noedns"}, []string{"Truncated, retrying in TCP", "ANSWER: 1", "(TCP)"}},
		{[]string{"dig", "@" + edgeAddress, "big.good.example", "TXT", "+bufsize=512", "+ignore"}, []string{" tc ", "EDNS: version: 0"}},
		{[]string{"dig", "@" + edgeAddress, "big.good.example", "TXT", "+bufsize=512"}, []string{"ANSWER: 1", "(TCP)"}},
		{[]string{"dig", "@" + edgeAddress, "big.good.example", "TXT", "+bufsize=1232", "+ignore"}, []string{" tc ", "EDNS: version: 0"}},
		{[]string{"dig", "@" + edgeAddress, "big.good.example", "TXT", "+bufsize=4096"}, []string{"ANSWER: 1", "(TCP)"}}, // no fragments: 1232 at most
		{[]string{"dig", "@" + edgeAddress, "www.good.example", "A", "+bufsize=0", "+dnssec"}, []string{"NOERROR", "RRSIG"}},
		{[]string{"dig", "@" + edgeAddress, "listed.good.example", "A", "+bufsize=512"}, []string{stopIPv4, "EDE: 16 (Censored)", "(UDP)"}},
		{[]string{"dig", "@" + edgeIPv6, "www.good.example", "AAAA", "+dnssec"}, []string{"NOERROR", " ad;", "2001:db8::80"}},
		{[]string{"dig", "@" + edgeIPv6, "listed.good.example", "AAAA", "+tcp"}, []string{stopIPv6, "EDE: 16 (Censored)", "(TCP)"}},
		{[]string{"dig", "@" + edgeAddress, "+tcp", "+keepopen", "www.good.example", "A", "listed.good.example", "A", "gone.good.example", "A"}, []string{"192.0.2.80", stopIPv4, "NXDOMAIN"}},

		{[]string{"kdig", "@" + edgeAddress, "www.good.example", "A", "+dnssec"}, []string{"NOERROR", " ad;", "192.0.2.80", "RRSIG"}},
		{[]string{"kdig", "@" + edgeAddress, "big.good.example", "TXT"}, []string{"NOERROR", "xxxxx", "TCP"}},
		{[]string{"kdig", "@" + edgeAddress, "listed.good.example", "A", "+edns"}, []string{"NOERROR", stopIPv4, "EDE: 16 (Censored)"}},
		{[]string{"kdig", "@" + edgeAddress, "+tcp", "+keepopen", "www.good.example", "A", "listed.good.example", "A"}, []string{"192.0.2.80", stopIPv4}},
		{[]string{"kdig", "@" + edgeAddress, "www.bogus.example", "A", "+edns"}, []string{"SERVFAIL", "EDE: 6 (DNSSEC Bogus)"}},
		{[]string{"kdig", "@" + edgeIPv6, "listed.good.example", "HTTPS", "+edns"}, []string{"NOERROR", "ANSWER: 0", "SOA", "EDE: 16 (Censored)"}},

		{[]string{"drill", "www.good.example", "@" + edgeAddress, "A"}, []string{"rcode: NOERROR", "192.0.2.80"}},
		{[]string{"drill", "-D", "www.good.example", "@" + edgeAddress, "A"}, []string{"rcode: NOERROR", " ad ", "RRSIG"}},
		{[]string{"drill", "-t", "big.good.example", "@" + edgeAddress, "TXT"}, []string{"rcode: NOERROR", "xxxxx"}},
		{[]string{"drill", "listed.good.example", "@" + edgeAddress, "A"}, []string{"rcode: NOERROR", stopIPv4}},
		{[]string{"drill", "-b", "512", "listed.good.example", "@" + edgeAddress, "MX"}, []string{"rcode: NOERROR", "mail.good.example"}},
	} {
		got := output(t, tt.command[0], tt.command[1:]...)
		has(t, fmt.Sprint(tt.command), strings.ToLower(got), "!malformed", "!mismatch", "!extra bytes", "!unexpected")
		has(t, fmt.Sprint(tt.command), got, tt.want...)
	}
}

// TestStubbyAsksTheEdge: a stub resolver of the kind that people have on their machines, with the edge behind it.
func TestStubbyAsksTheEdge(t *testing.T) {
	e := newEdge(t, plant(t), unbound.Config{})
	// over TLS it knows the edge by its key, and by nothing else
	pin := "    tls_pubkey_pinset:\n      - digest: \"sha256\"\n        value: " + e.pin + "\n"
	for transport, more := range map[string]string{"UDP": "", "TCP": "", "TLS": pin} {
		t.Run(transport, func(t *testing.T) {
			conf := scratch(t, fmt.Sprintf(`resolution_type: GETDNS_RESOLUTION_STUB
tls_authentication: GETDNS_AUTHENTICATION_REQUIRED
tls_query_padding_blocksize: 128
dns_transport_list:
  - GETDNS_TRANSPORT_%s
listen_addresses:
  - %s@53
upstream_recursive_servers:
  - address_data: %s
%s`, transport, forwarder, edgeAddress, more))
			daemon(t, forwards, "stubby", "-C", conf)
			askThrough(t, []forward{
				{[]string{"www.good.example", "A"}, []string{"NOERROR", "192.0.2.80"}},
				{[]string{"gone.good.example", "A"}, []string{"NXDOMAIN"}},
				{[]string{"listed.good.example", "A"}, []string{"NOERROR", stopIPv4}},
				{[]string{"www.bogus.example", "A"}, []string{"SERVFAIL"}},
			})
		})
	}
}
