// Package config reads and writes the one YAML file of a Cordon process.
//
// In comes a file of at most 1 MiB; out comes a Control or an Edge whose values are checked, whose relative
// paths are resolved against the file's own folder and whose files exist. Reading is strict: unknown keys, keys
// given twice, wrong types, bad values, anchors and aliases are errors, and every error of the file is reported
// at once with its line and what to do about it.
//
// The comments on the fields of Control and Edge are the manual of the file; the key of each field is the name
// in its first words.
package config

import (
	"log/slog"
	"net/netip"
	"time"

	"github.com/cordon-project/cordon/listsync/brake"
)

// MaxFile is the largest configuration file that is read. A real one is a few KiB.
const MaxFile = 1 << 20

// Control is the file of one control node (cordon control --config FILE).
type Control struct {
	// name: this node's name in cluster.json. Small letters, digits and hyphens, at most 63.
	Name string
	// dir: the data directory, made when missing. It belongs to this node alone.
	Dir string
	// cluster: path of cluster.json, the same file on every node of the cluster.
	Cluster string
	// key: path of this node's signing key, credential:NAME or tpm:PATH.
	Key string
	// certificate, certificate_key, ca: paths of this node's TLS certificate, its key (also credential:NAME or tpm:PATH) and the
	// cluster's own certificate authority, PEM.
	Certificate, CertificateKey, CA string
	// cluster_key: path of the age identity that opens the list keys hotlines wrap for this cluster,
	// credential:NAME or tpm:PATH. All control nodes hold the same one.
	ClusterKey string
	// accept_key_on_disk: must be true when any key above is a plain file. It says that you know that whoever steals
	// this disk can test names against the lists; cordon status shows it. Leave it out when every key is a
	// credential:NAME (handed over by systemd) or tpm:PATH (sealed to this machine's TPM by cordon seal).
	AcceptKeyOnDisk bool
	// raft_listen: address and port where the other control nodes reach this one, for example 192.0.2.10:7400.
	RaftListen netip.AddrPort
	// api_listen: address and port of the HTTPS API for edges, operators and auditors, for example 192.0.2.10:7443.
	APIListen netip.AddrPort
	// members: all control nodes, this one included, each with name, raft and api address as the others reach it.
	Members []Member
	// hotlines: where each hotline of cluster.json, or that officers have added (cordon pin), publishes. Trust never comes from here.
	Hotlines []Hotline
	// poll: how often each hotline is asked for news. Default 30s, at least 1s, at most 1h.
	Poll time.Duration
	// never_block: names that no list may stop (your own names, your help lines): the name, www. and it, and what lies
	// above. A signed list that would is held back until two of your officers let the entry pass.
	NeverBlock []string
	// popularity: path of a signed file of popular names and of hosts that carry many others (cordon-hotline popularity).
	// A list that would stop one is held back in the same way. Read once, at the start. May be left out.
	Popularity string
	// popularity_keys: whose signature on that file counts, as in its popularity.vkey: NAME+HASH+KEY.
	PopularityKeys []string
	// brakes: how much a version of a list may change before it is held back: max_entries (default: no limit), min_change
	// (1000 entries, always allowed), and in percent of the list max_change (25, added), max_window (50, added in a
	// week), max_broad (50, whole sites added) and max_remove (50). Without the section, these defaults.
	Brakes brake.Limits
	// witness: this node's part in the witnessing of logs (C2SP tlog-witness). logs: verifier keys (name+hash+key) of other
	// logs that this node watches and cosigns, such as other operators'; the public logs of the hotlines in force are
	// watched without that. policy: path of a witness policy (C2SP tlog-policy) with a URL behind each key; its witnesses
	// are asked to cosign each checkpoint of this cluster's log. ca: path of a PEM file with the authorities of their
	// servers, where they are not the system's (the ca.crt of each operator). May be left out.
	Witness Witness
	// gossip: other operators' control nodes, with which this one compares what hotlines' public logs have signed: url
	// (https://ADDRESS:PORT of its API) and ca (path of its ca.crt). At most 16. May be left out.
	Gossip []Peer
	// log_level: debug, info, warn or error. Default info. No level logs a subscriber or a name.
	LogLevel slog.Level
}

// Witness is a control node's part in the witnessing of logs.
type Witness struct {
	Logs       []string // logs: verifier keys of logs to watch
	Policy, CA string   // policy, ca: paths
}

// Peer is another operator's control node.
type Peer struct {
	URL string // url: https://ADDRESS:PORT of its API
	CA  string // ca: path of its certificate authority, PEM; empty: the system's
}

// Member is one control node as the others reach it.
type Member struct {
	Name string         // name: as in cluster.json
	Raft netip.AddrPort // raft: its raft address and port
	API  netip.AddrPort // api: its API address and port
}

// Hotline is one source of lists.
type Hotline struct {
	ID      string   // id: as in cluster.json
	URL     string   // url: https, http or file URL of its repository. Signatures protect it, not the transport.
	Mirrors []string // mirrors: further URLs, asked in this order when url fails. At most 8.
}

// Edge is the file of one edge server (cordon edge --config FILE).
type Edge struct {
	// name: this edge's name in the cluster. Small letters, digits and hyphens, at most 63.
	Name string
	// dir: the data directory, made when missing. It belongs to this edge alone.
	Dir string
	// cluster: path of cluster.json, the same file on every node of the cluster.
	Cluster string
	// key: path of this edge's signing key, credential:NAME or tpm:PATH.
	Key string
	// certificate, certificate_key, ca: paths of this edge's TLS certificate, its key (also credential:NAME or tpm:PATH) and the
	// cluster's own certificate authority, PEM.
	Certificate, CertificateKey, CA string
	// identity: path of this edge's age identity, to which control nodes wrap the list keys, credential:NAME or
	// tpm:PATH.
	Identity string
	// accept_key_on_disk: must be true when any key above is a plain file. It says that you know that whoever steals
	// this disk can test names against the lists; cordon status shows it. Leave it out when every key is a
	// credential:NAME (handed over by systemd) or tpm:PATH (sealed to this machine's TPM by cordon seal).
	AcceptKeyOnDisk bool
	// control: API URLs of control nodes, https://ADDRESS:PORT. Any one of them is enough.
	Control []string
	// hotlines: where each hotline of cluster.json publishes. An edge reads withdrawals there, and nothing else, while
	// its cluster can agree on nothing. Trust comes from cluster.json, never from here. May be left out.
	Hotlines []Hotline
	// dns_listen: addresses and ports that answer subscribers over UDP and TCP, for example 192.0.2.53:53.
	DNSListen []netip.AddrPort
	// freebind: whether this edge may start without having all addresses that it is to listen on (those of dns_listen,
	// encrypted and stop), such as an anycast one that comes up later. Without it such an address is an error. Default false.
	Freebind bool
	// upstreams: validating resolvers that answer for names not listed, for example 127.0.0.1:5353. At least one, or
	// upstream: recursive instead.
	Upstreams []netip.AddrPort
	// upstream: "recursive" has this edge find answers for names not listed by itself, from the root down, with an Unbound
	// that it runs and watches (Debian's package unbound). Instead of upstreams.
	Recursive bool
	// recursion: that Unbound. listen: its address on this machine (default: 127.0.0.1 and a free port). program: default
	// unbound. trust_anchor: file with the root's DNSSEC keys (default: that of Debian's package dns-root-data, taken anew
	// when it changes). root_hints: file with the root's servers (default: the world's). user: whom it runs as when the
	// edge is root (default: unbound). threads: default 1. cache_mb: default 32, at least 4. May be left out.
	Recursion Recursion
	// upstream_tls: has all of upstreams asked over TLS (RFC 7858, usually port 853) and never in clear. name: in their
	// certificate. pins: SHA-256 of their public keys in base64. Of name and pins, what is there must be right. ca: PEM file
	// with the authorities that vouch for name (default: the system's). May be left out.
	UpstreamTLS UpstreamTLS
	// forward: zones whose names are asked of resolvers of their own (zone, servers), such as names of your own network.
	// The longest zone decides. Lists are enforced there as everywhere. At most 64. May be left out.
	Forward []Forward
	// clients: who is answered. allow, deny: prefixes beside the private addresses, which always are (loopback, 10.0.0.0/8,
	// 172.16.0.0/12, 192.168.0.0/16, 100.64.0.0/10, fc00::/7, link-local); the longest prefix decides. others: refuse or
	// drop. And how much one client (ipv4_bits 32, ipv6_bits 56) may ask: questions (5000 a second), and over UDP answers
	// (2500 a second of each kind), large_answers (500, above 512 bytes), errors (500), of those above each slip-th (2) sent
	// as "ask over TCP"; listed_a_day (32 different listed entries, then it is slowed down). 0: no limit. exempt: prefixes
	// without these limits. connections: from one IPv4 address or IPv6 /56 at once over TCP, and as many encrypted ones (128).
	Clients Clients
	// encrypted: DNS over TLS, HTTPS (HTTP/2 and HTTP/3) and QUIC. name: the resolver's, which its certificate must hold.
	// certificate, certificate_key: PEM files (the key also credential:NAME), read again when they change. tls_listen,
	// https_listen, quic_listen: addresses and ports, usually 853, 443 and 853; each may be left out. https_path: default
	// /dns-query. connections: at once, default 4096. idle: how long one stays open without a question, default 30s.
	// info_url: a page about this resolver (RFC 9606). May be left out.
	Encrypted Encrypted
	// proxies: balancers that send PROXY protocol headers (version 1 or 2): listen, one of the addresses above, and from,
	// their prefixes. Over TCP, that address then takes connections from these alone, and HTTPS has no HTTP/3 there. Over
	// UDP no such header is read. May be left out.
	Proxies []Proxy
	// stop: the stop pages and the answers that lead to them.
	Stop Stop
	// analysts: path of the file with accredited analysts' prefixes (cordon analysts writes it), for as long as two officers
	// exempt them (cordon exempt). The very file that they signed, or nobody is exempt. It may come later. May be left out.
	Analysts string
	// dns64: the prefix of your NAT64, such as 64:ff9b::/96, for networks of IPv6-only clients (RFC 6147). Names that have
	// IPv4 addresses alone then get IPv6 ones in it, stop addresses too. May be left out.
	DNS64 netip.Prefix
	// dns64_clients: prefixes of the clients that are behind that NAT64; all others are answered as without dns64. Default: every
	// client is. May be left out.
	DNS64Clients []netip.Prefix
	// client_subnets: prefixes of resolvers of your own whose client subnets (EDNS, RFC 7871) are passed to upstreams, and the
	// answers' scopes back. What they get is not cached here. All others' subnets are left out. Default: all are left out.
	ClientSubnets []netip.Prefix
	// structured_errors: a text with the answer for a listed name, for clients that ask for it (off without this section).
	// option: the EDNS option that asks, 15 (an Extended DNS Error with code 0 and no text) or 26 as in later drafts. law,
	// voluntary: why; organization: who runs this block; language: of these texts. The contact is that of stop. Nothing else is in it.
	StructuredErrors StructuredErrors
	// metrics_listen: address and port of this machine where GET /metrics shows counters in the OpenMetrics format, such as
	// 127.0.0.1:9153. A loopback or private one. Without it, nowhere.
	MetricsListen netip.AddrPort
	// nsid: whether a query that asks for it (RFC 5001) gets the state id this edge serves. Auditors use it from
	// outside. Default true.
	NSID bool
	// cache_mb: memory for cached answers in MiB. Default 64, 1 to 65536.
	CacheMB int
	// serve_stale: how long behind its time an answer may still be given when no upstream has a better one in 1.8 seconds
	// (RFC 8767). It then has a TTL of 30s. Listed names are stopped all the same. Default 24h, 1s to 168h, or off.
	ServeStale time.Duration
	// never_block: names that must miss when this edge tests a new index. Keep it equal to that of the control nodes.
	NeverBlock []string
	// max_stale: how old the cluster's checkpoint may grow before this edge raises an alarm. It never takes a list
	// out of force. Default 5m, at least 2m (an idle cluster renews every minute), at most 720h.
	MaxStale time.Duration
	// log_level: debug, info, warn or error. Default info. No level logs a subscriber or a name.
	LogLevel slog.Level
}

// Recursion is an edge's own Unbound.
type Recursion struct {
	Listen      netip.AddrPort // listen: where it answers, on loopback; the zero AddrPort: a free port
	Program     string         // program: name or whole path; empty: unbound
	TrustAnchor string         // trust_anchor: path; empty: Debian's
	RootHints   string         // root_hints: path; empty: those that Unbound was built with
	User        string         // user: whom it runs as when the edge is root; empty: unbound
	Threads     int            // threads: how many cores it may use
	CacheMB     int            // cache_mb: memory for its caches
}

// Stop says what a listed name is answered with and what the page there says.
type Stop struct {
	// law: where names listed under a law or an order are sent (ipv4, ipv6 or both). Its page answers 451. listen: local
	// addresses of the page when they are not these ([]: another machine serves it). reference: the law in your words.
	Law StopAddress
	// voluntary: where names listed by voluntary agreement are sent. Its page answers 403. It must differ from law,
	// because the address alone decides the page.
	Voluntary StopAddress
	// listen_port: TCP port of the stop pages. Default 80, which is where browsers come; 443 stays closed.
	ListenPort uint16
	// implementer: URL (https) of the page that says who runs this block; sent in the Link header (RFC 7725).
	Implementer string
	// contact: where complaints go, as a mailto: or tel: URL.
	Contact string
	// report: URL (https) of the hotline page where anyone can report material. May be left out.
	Report string
	// help: URL (https or tel) of a help line for people worried about their own thoughts or behaviour. May be left out.
	Help string
	// languages: which languages come first on the page (en fr es ar ru zh). The others follow. Default en first.
	Languages []string
	// ttl: how long a client may keep the answer for a listed name. Default 30s, 10s to 60s.
	TTL time.Duration
}

// StopAddress is one stop page's place: at least one of the two addresses.
type StopAddress struct {
	IPv4 netip.Addr // ipv4: the A answer; the zero Addr answers AAAA only
	IPv6 netip.Addr // ipv6: the AAAA answer; the zero Addr answers A only
	// listen: local addresses the page is served on. Default (nil): ipv4 and ipv6 themselves. Give them when a router
	// translates the addresses; an empty list ([]) when another machine serves the page.
	Listen []netip.Addr
	// reference: the law or the agreement in your words, shown on the page as written, at most 200 characters. May be
	// left out.
	Reference string
}

// Answers reports the addresses that are set, IPv4 first.
func (a StopAddress) Answers() []netip.Addr {
	var out []netip.Addr
	for _, ip := range []netip.Addr{a.IPv4, a.IPv6} {
		if ip.IsValid() {
			out = append(out, ip)
		}
	}
	return out
}
