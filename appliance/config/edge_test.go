package config

import (
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestAnEdgeTakesTheDefaultsOfTheManual(t *testing.T) {
	e := exampleEdge()
	e.Clients = Clients{}
	e.ServeStale = 0
	e.CacheMB, e.MaxStale, e.Stop.TTL, e.Stop.ListenPort, e.Stop.Languages, e.Stop.Law.Listen = 0, 0, 0, 0, nil, nil
	text := string(e.YAML())
	for _, key := range []string{"nsid", "cache_mb", "serve_stale", "max_stale", "log_level", "  ttl", "  listen_port"} {
		text = drop(t, text, key+": ")
	}
	got, err := LoadEdge(folder(t, "edge.yaml", []byte(text)))
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got.Clients, DefaultClients()) {
		t.Errorf("clients are %+v", got.Clients)
	}
	if !got.NSID || got.CacheMB != 64 || got.ServeStale != 24*time.Hour || got.MaxStale != 5*time.Minute || got.LogLevel != slog.LevelInfo ||
		got.Stop.TTL != 30*time.Second || got.Stop.ListenPort != 80 || !slices.Equal(got.Stop.Law.Listen, got.Stop.Law.Answers()) {
		t.Errorf("got %+v", got)
	}
}

// drop removes the one line that begins with prefix.
func drop(t *testing.T, text, prefix string) string {
	t.Helper()
	lines := strings.SplitAfter(text, "\n")
	kept := slices.DeleteFunc(lines, func(l string) bool { return strings.HasPrefix(l, prefix) })
	if len(kept)+1 != len(strings.SplitAfter(text, "\n")) {
		t.Fatalf("no single line %q in\n%s", prefix, text)
	}
	return strings.Join(kept, "")
}

// TestAnEdgeFileIsRefused changes one line of a good file for each case.
func TestAnEdgeFileIsRefused(t *testing.T) {
	tests := []struct{ name, old, new, want string }{
		{"equal listen addresses", "  - 192.0.2.53:53", "  - 192.0.2.53:53\n  - 0.0.0.0:53", "both take the same place, as 192.0.2.53:53 and 0.0.0.0:53"},
		{"the same address twice", "  - 192.0.2.53:53", "  - 192.0.2.53:53\n  - 192.0.2.53:53", "in the list twice"},
		{"a resolver that asks itself", "- 127.0.0.1:5353", "- 192.0.2.53:53", "in circles"},
		{"one address for both pages", "ipv4: 192.0.2.81", "ipv4: 192.0.2.80", "the address alone tells the pages apart"},
		{"a stop page on port 443", "listen_port: 8080", "listen_port: 443", "must stay closed"},
		{"a port that is none", "listen_port: 8080", "listen_port: 70000", "from 1 to 65535"},
		{"an octal port", "listen_port: 8080", "listen_port: 010", "from 1 to 65535"},
		{"an IPv6 address as ipv4", "ipv4: 192.0.2.80", "ipv4: 2001:db8::1", "write an IPv4 address"},
		{"a mapped address", "ipv6: 2001:db8::80", "ipv6: \"::ffff:192.0.2.1\"", "its own family"},
		{"a ttl of a day", "ttl: 20s", "ttl: 24h", "write 10s to 1m"},
		{"a ttl in fractions", "ttl: 20s", "ttl: 20.5s", "whole seconds"},
		{"plain http to a control node", "https://192.0.2.10:7443", "http://192.0.2.10:7443", "https://ADDRESS:PORT"},
		{"a path to a control node", "https://192.0.2.10:7443", "https://192.0.2.10:7443/x", "https://ADDRESS:PORT"},
		{"a web page as contact", "mailto:blocking@isp.example", "https://isp.example", "mailto:"},
		{"a mail with headers as contact", "mailto:blocking@isp.example", "mailto:a@isp.example?cc=b@isp.example", "mailto:"},
		{"a script as implementer", "https://isp.example/blocking", "javascript:alert(1)", "https://isp.example/blocking"},
		{"an unknown language", "    - ar", "    - xx", "not a language"},
		{"a language twice", "    - ar", "    - fr", "twice"},
		{"a checkpoint alarm in an instant", "max_stale: 10m", "max_stale: 1s", "write 2m to 720h"},
		{"a key from a credential outside systemd", "key: node.key", "key: credential:node", "LoadCredentialEncrypted=node"},
		{"a folder as key", "key: node.key", "key: .", "not a plain file"},
		{"a credential that climbs", "key: node.key", "key: credential:../node", "not a credential"},
		{"a certificate authority as credential", "ca: ca.crt", "ca: credential:ca", "only keys come as credentials or sealed to the TPM"},
		{"upstreams that prove nothing", "upstream_tls:\n  name: up.isp.example\n  ca: ca.crt\n  pins:\n    - AQIDAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n    - BAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n", "upstream_tls: {}\n", "anybody could be your upstream"},
		{"an authority without a name", "  name: up.isp.example\n", "", "vouches for a name"},
		{"a pin that is none", "    - AQID", "    - AQIDx", "in base64"},
		{"a zone forwarded in a circle", "      - 192.0.2.5:53", "      - 192.0.2.53:53", "in circles"},
		{"a zone without servers", "    servers:\n      - 192.0.2.5:53\n      - \"[2001:db8::5]:53\"\n", "", "forward.servers is missing"},
		{"stale answers for ever", "serve_stale: off", "serve_stale: 9999h", "out of range"},
		{"a list where a value stands", "cache_mb: 128", "cache_mb: [1]", "this is a list; write a whole number"},
		{"memory with a unit", "cache_mb: 128", "cache_mb: 128MB", "cache_mb: 128MB is not a whole number; write one from 1 to 65536"},
		{"stale answers, yes", "serve_stale: off", "serve_stale: true", "true\" is not a duration; write a number with a unit: 30s, 5m, 1h, or off"},
		{"a number where an address stands", "metrics_listen: 10.0.0.1:9153", "metrics_listen: 9153", "\"9153\" is not an IP address with a port"},
		{"metrics on every address", "metrics_listen: 10.0.0.1:9153", "metrics_listen: 0.0.0.0:9153", "0.0.0.0:9153 can be reached from anywhere"},
		{"an address where a prefix stands", "    - 192.0.2.7/32", "    - 192.0.2.7", "192.0.2.7 is not a prefix; write 192.0.2.7/32"},
		{"an IPv6 address where a prefix stands", "    - 192.0.2.7/32", "    - 2001:db8::7", "write 2001:db8::7/128"},
		{"a prefix that is allowed and denied", "    - 192.0.2.128/25", "    - 192.0.2.0/24", "clients.deny: 192.0.2.0/24 is in allow, too"},
		{"everybody as balancer", "      - 192.0.2.4/32", "      - 0.0.0.0/0", "0.0.0.0/0 is everybody"},
		{"a NAT64, yes", "dns64: 2001:db8:64::/96", "dns64: true", "\"true\" is not a prefix; write that of your NAT64, such as 64:ff9b::/96"},
		{"the root forwarded", "zone: corp.example", "zone: .", "is every name"},
		{"a resolver's certificate that cordon init does not write", "  certificate: tls.crt", "  certificate: dns.crt", "dns.crt does not exist; put the file there"},
		{"keys where a list stands", "  - 127.0.0.1:5353", "  a: b", "a set of keys"},
		{"a NAT64 of a length that is none", "2001:db8:64::/96", "2001:db8:64::/97", "has 32, 40, 48, 56, 64 or 96"},
		{"a NAT64 of IPv4", "2001:db8:64::/96", "192.0.2.0/24", "dns64: 192.0.2.0/24 is not an IPv6 prefix"},
		{"clients of a NAT64 that is not there", "dns64: 2001:db8:64::/96\n", "", "add the prefix of their NAT64"},
		{"client subnets for an Unbound of its own", "upstreams:\n  - 127.0.0.1:5353", "upstream: recursive", "makes no use of client subnets"},
		{"texts that nothing asks for", "  option: 26\n", "", "structured_errors.option is missing"},
		{"an option that is no number", "  option: 26", "  option: ede", "from 1 to 65535"},
		{"the option of cookies", "  option: 26", "  option: 10", "10 is not an option that asks for a text; write 15, 26"},
		{"an option behind those for experiments", "  option: 26", "  option: 65535", "one from 65001 to 65534"},
		{"an unknown language", "  language: pt-BR", "  language: Portuguese of Brazil", "write one like en or pt-BR"},
		{"a text without end", "  organization: \"ISP: Example\"", "  organization: \"" + strings.Repeat("o", 61) + "\"", "write at most 60"},
		{"a client that is no prefix", "    - 192.0.2.0/24", "    - 192.0.2.1", "192.0.2.1/32 if you mean that address alone"},
		{"bits behind a prefix", "    - 192.0.2.0/24", "    - 192.0.2.1/24", "write 192.0.2.0/24 if you mean all of it"},
		{"a mapped prefix", "    - 192.0.2.0/24", "    - \"::ffff:192.0.2.0/120\"", "write the IPv4 prefix"},
		{"a prefix twice", "    - 192.0.2.0/24", "    - 192.0.2.0/24\n    - 192.0.2.0/24", "clients.allow: 192.0.2.0/24 is in the list twice"},
		{"another word for others", "others: drop", "others: ignore", "neither refuse"},
		{"a rate below nothing", "  questions: 100", "  questions: -1", "clients.questions: -1 is not in range"},
		{"a budget that cannot be counted", "  listed_a_day: 8", "  listed_a_day: 1000", "from 0 to 128"},
		{"an unknown key of clients", "  slip: 3", "  slips: 3", "did you mean slip?"},
		{"encrypted without a name", "  name: dns.isp.example\n", "", "encrypted.name is missing"},
		{"a path that is none", "https_path: /dns", "https_path: /dns{?dns}", "not a path such as /dns-query"},
		{"a key sealed by nobody", "  certificate_key: tls.key\n  tls_listen", "  certificate_key: tpm:tls.key\n  tls_listen", "does not seal this key"},
		{"DoT where DNS is", "  tls_listen:\n    - 192.0.2.53:853", "  tls_listen:\n    - 192.0.2.53:53", "dns_listen and encrypted.tls_listen both take 192.0.2.53:53"},
		{"an IPv6 address without quotes", "dns_listen:\n  - 192.0.2.53:53\n  - \"[2001:db8::53]:53\"", "dns_listen: [192.0.2.53:53, [2001:db8::53]:53]", "an IPv6 one in quotes"},
		{"HTTPS on a stop address", "  https_listen:\n    - 192.0.2.53:443", "  https_listen:\n    - 192.0.2.80:443", "192.0.2.80:443 must stay closed"},
		{"DoQ where HTTP/3 is", "  quic_listen:\n    - 192.0.2.53:853", "  quic_listen:\n    - 192.0.2.53:443", "encrypted.https_listen and encrypted.quic_listen both take"},
		{"an info page without TLS", "info_url: https:", "info_url: http:", "https://isp.example/dns"},
		{"a proxy without a list", "    from:\n      - 192.0.2.4/32\n      - 2001:db8:4::/64\n", "", "proxies.from is missing; add from: the prefixes of your balancers"},
		{"a proxy with an empty list", "    from:\n      - 192.0.2.4/32\n      - 2001:db8:4::/64\n", "    from: []\n", "anybody could claim to be anybody"},
		{"a proxy of no address", "  - listen: 192.0.2.53:853", "  - listen: 192.0.2.53:854", "none of dns_listen, tls_listen and https_listen"},
		{"no upstreams", "  - 127.0.0.1:5353", "  []", "upstreams is empty"},
		{"another word than recursive", "  - 127.0.0.1:5353", "  - 127.0.0.1:5353\nupstream: forward", "only recursive can stand here"},
		{"upstreams and recursion", "  - 127.0.0.1:5353", "  - 127.0.0.1:5353\nupstream: recursive", "remove one of the two"},
		{"recursion without its word", "  - 127.0.0.1:5353", "  - 127.0.0.1:5353\nrecursion: {threads: 2}", "it is for upstream: recursive"},
		{"neither upstreams nor recursion", "upstreams:\n  - 127.0.0.1:5353", "", "or upstream: recursive instead"},
		{"a resolver that others reach", "upstreams:\n  - 127.0.0.1:5353", "upstream: recursive\nrecursion: {listen: \"192.0.2.7:5335\"}", "write a loopback address"},
		{"a trust anchor that is not there", "upstreams:\n  - 127.0.0.1:5353", "upstream: recursive\nrecursion: {trust_anchor: gone.key}", "gone.key does not exist"},
		{"a program at a relative path", "upstreams:\n  - 127.0.0.1:5353", "upstream: recursive\nrecursion: {program: bin/unbound}", "neither a name nor a whole path"},
		{"a cache of nothing", "upstreams:\n  - 127.0.0.1:5353", "upstream: recursive\nrecursion: {cache_mb: 0}", "from 4 to"},
		{"an unknown key of recursion", "upstreams:\n  - 127.0.0.1:5353", "upstream: recursive\nrecursion: {thread: 2}", "did you mean"},
		{"metrics for everybody", "metrics_listen: 10.0.0.1:9153", "metrics_listen: 192.0.2.53:9153", "can be reached from anywhere"},
		{"a key outside its section", "nsid: false", "ttl: 20s\nnsid: false", "ttl is not a key"},
		{"a control character", "help: tel:+99900123456", `help: "tel:+999\e[31m00"`, "control character"},
		{"an anchor", "name: edge-1", "name: &x edge-1", "anchors are not allowed"},
		{"an alias", "name: edge-1", "name: &x edge-1\ndir: *x", "aliases are not allowed"},
		{"a merge", "name: edge-1", "name: edge-1\n<<: {dir: x}", "merges are not allowed"},
		{"a tag", "name: edge-1", "name: !!str edge-1", "not allowed; remove it"},
		{"a second document", "name: edge-1", "name: edge-1\n---\na: b", "several documents"},
		{"a tab", "name: edge-1", "name: edge-1\n\tdir: x", "no tabs"},
		{"nesting", "name: edge-1", "name: " + strings.Repeat("[", 50) + strings.Repeat("]", 50), "max depth"},
	}
	good := string(exampleEdge().YAML())
	t.Setenv("CREDENTIALS_DIRECTORY", "")
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if !strings.Contains(good, tt.old) {
				t.Fatalf("the good file has no %q:\n%s", tt.old, good)
			}
			_, err := LoadEdge(folder(t, "edge.yaml", []byte(strings.Replace(good, tt.old, tt.new, 1))))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v\nwant an error with %q", err, tt.want)
			}
		})
	}
}

func TestNamesThatAreNeverBlockedAreReadAsListsAre(t *testing.T) {
	e := exampleEdge()
	e.NeverBlock = []string{"ISP.Example.", "bücher.example"}
	got, err := LoadEdge(folder(t, "edge.yaml", e.YAML()))
	if want := []string{"isp.example", "xn--bcher-kva.example"}; err != nil || !slices.Equal(got.NeverBlock, want) {
		t.Errorf("got %v, %v; want %v", got, err, want)
	}
}

func TestAWrongUpstreamIsOneMistake(t *testing.T) {
	text := strings.Replace(string(exampleEdge().YAML()), "upstreams:\n  - 127.0.0.1:5353", "upstream: 127.0.0.1:5353", 1)
	if _, err := LoadEdge(folder(t, "edge.yaml", []byte(text))); err == nil || !strings.Contains(err.Error(), "a list under upstreams") || strings.Contains(err.Error(), "missing") {
		t.Errorf("got %v", err)
	}
}

func TestAnAddressWithoutQuotesSaysThatItNeedsThem(t *testing.T) {
	text := strings.Replace(string(exampleEdge().YAML()), "  - 192.0.2.53:53\n", "  - [2001:db8::53]:53\n", 1)
	if _, err := LoadEdge(folder(t, "edge.yaml", []byte(text))); err == nil || !strings.Contains(err.Error(), "an IPv6 address needs them") {
		t.Errorf("got %v", err)
	}
}
