package config

import (
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/cordon-project/cordon/listsync/brake"
)

// folder makes a node folder with all files a configuration names, and writes the configuration into it.
func folder(t *testing.T, name string, data []byte) string {
	t.Helper()
	dir := t.TempDir()
	for _, f := range []string{"cluster.json", "node.key", "tls.crt", "tls.key", "ca.crt", "cluster.agekey", "edge.agekey", "popular.names", "policy", "others.pem"} {
		if err := os.WriteFile(filepath.Join(dir, f), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func place(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

func exampleControl() *Control {
	return &Control{
		Name: "control-1", Dir: "data", Cluster: "cluster.json", Key: "node.key", Certificate: "tls.crt",
		CertificateKey: "tls.key", CA: "ca.crt", ClusterKey: "cluster.agekey", AcceptKeyOnDisk: true,
		RaftListen: place("192.0.2.10:7400"), APIListen: place("[2001:db8::10]:7443"),
		Members: []Member{
			{"control-1", place("192.0.2.10:7400"), place("[2001:db8::10]:7443")},
			{"control-2", place("192.0.2.11:7400"), place("192.0.2.11:7443")},
		},
		Hotlines: []Hotline{
			{ID: "alpha", URL: "https://hotline.example/repository", Mirrors: []string{"https://mirror.example/a", "file:///srv/mirror"}},
			{ID: "123", URL: "http://beta.example"},
		},
		Poll: 90 * time.Second, NeverBlock: []string{"isp.example", "help.example"}, LogLevel: slog.LevelWarn,
		Popularity: "popular.names", PopularityKeys: []string{popularityLine},
		Brakes:  brake.Limits{MaxEntries: 5_000_000, MinChange: 500, MaxBroadPercent: 10},
		Witness: Witness{Logs: []string{popularityLine}, Policy: "policy", CA: "others.pem"},
		Gossip:  []Peer{{URL: "https://192.0.2.99:7443", CA: "others.pem"}, {URL: "https://other.example"}},
	}
}

// popularityLine is a popularity.vkey of a synthetic key.
const popularityLine = "popularity.hotline.example+fbe8076b+AYqI4910CfGV/VLbLTy6XXLKZwm/HZQSG/N0iAG0D29c"

func exampleEdge() *Edge {
	return &Edge{
		Name: "edge-1", Dir: "data", Cluster: "cluster.json", Key: "node.key", Certificate: "tls.crt",
		CertificateKey: "tls.key", CA: "ca.crt", Identity: "edge.agekey", AcceptKeyOnDisk: true,
		Control:          []string{"https://192.0.2.10:7443", "https://[2001:db8::11]:7443"},
		DNSListen:        []netip.AddrPort{place("192.0.2.53:53"), place("[2001:db8::53]:53")},
		Freebind:         true,
		Upstreams:        []netip.AddrPort{place("127.0.0.1:5353")},
		Analysts:         "analysts.txt",
		DNS64:            netip.MustParsePrefix("2001:db8:64::/96"),
		DNS64Clients:     []netip.Prefix{netip.MustParsePrefix("2001:db8:6::/48")},
		ClientSubnets:    []netip.Prefix{netip.MustParsePrefix("192.0.2.9/32"), netip.MustParsePrefix("2001:db8:9::/64")},
		StructuredErrors: StructuredErrors{Option: 26, Law: "§ 1", Voluntary: "agreement", Organization: "ISP: Example", Language: "pt-BR"},
		Clients: Clients{
			Allow: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("2001:db8::/32")}, Deny: []netip.Prefix{netip.MustParsePrefix("192.0.2.128/25")},
			Drop: true, Exempt: []netip.Prefix{netip.MustParsePrefix("192.0.2.7/32")}, IPv4Bits: 24, IPv6Bits: 48,
			Questions: 100, Answers: 90, LargeAnswers: 20, Errors: 0, Slip: 3, ListedADay: 8, Connections: 10,
		},
		Encrypted: Encrypted{
			Name: "dns.isp.example", Certificate: "tls.crt", CertificateKey: "tls.key",
			TLSListen: []netip.AddrPort{place("192.0.2.53:853")}, HTTPSListen: []netip.AddrPort{place("192.0.2.53:443"), place("[2001:db8::53]:443")},
			QUICListen: []netip.AddrPort{place("192.0.2.53:853")}, HTTPSPath: "/dns", Connections: 100, Idle: 20 * time.Second,
			InfoURL: "https://isp.example/dns",
		},
		UpstreamTLS: UpstreamTLS{Name: "up.isp.example", CA: "ca.crt", Pins: [][32]byte{{1, 2, 3}, {4}}},
		Forward:     []Forward{{Zone: "corp.example", Servers: []netip.AddrPort{place("192.0.2.5:53"), place("[2001:db8::5]:53")}}},
		Proxies:     []Proxy{{Listen: place("192.0.2.53:853"), From: []netip.Prefix{netip.MustParsePrefix("192.0.2.4/32"), netip.MustParsePrefix("2001:db8:4::/64")}}},
		Stop: Stop{
			Law: StopAddress{IPv4: netip.MustParseAddr("192.0.2.80"), IPv6: netip.MustParseAddr("2001:db8::80"),
				Listen:    []netip.Addr{netip.MustParseAddr("192.0.2.80"), netip.MustParseAddr("2001:db8::80")},
				Reference: "Example Act, \"section 12\": # ünïcode"},
			Voluntary:  StopAddress{IPv4: netip.MustParseAddr("192.0.2.81"), Listen: []netip.Addr{netip.MustParseAddr("198.51.100.7")}},
			ListenPort: 8080, Implementer: "https://isp.example/blocking", Contact: "mailto:blocking@isp.example",
			Report: "https://hotline.example/report", Help: "tel:+99900123456",
			Languages: []string{"fr", "ar"}, TTL: 20 * time.Second,
		},
		MetricsListen: place("10.0.0.1:9153"),
		NSID:          false, CacheMB: 128, ServeStale: StaleOff, NeverBlock: []string{"isp.example", "xn--bcher-kva.example"}, MaxStale: 10 * time.Minute, LogLevel: slog.LevelDebug,
	}
}

func resolved(dir string, paths ...*string) {
	for _, p := range paths {
		*p = filepath.Join(dir, *p)
	}
}
