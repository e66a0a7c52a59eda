package config

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"
)

// What encrypted transports do when the file does not say.
const (
	DefaultHTTPSPath   = "/dns-query"
	DefaultConnections = 4096
	DefaultIdle        = 30 * time.Second
)

// Encrypted is where subscribers are answered over TLS, HTTPS and QUIC: the section encrypted. Without it, nowhere.
type Encrypted struct {
	Name                        string // name: the resolver's, as its certificate has it
	Certificate, CertificateKey string // certificate, certificate_key: PEM files, read again when they change
	TLSListen                   []netip.AddrPort
	HTTPSListen                 []netip.AddrPort // over TCP and, without a proxy, UDP
	QUICListen                  []netip.AddrPort
	HTTPSPath                   string
	Connections                 int           // connections: at once
	Idle                        time.Duration // idle: how long a connection stays open without a question
	InfoURL                     string        // info_url: page about this resolver
}

// Proxy is a balancer in front of one address: an item of proxies.
type Proxy struct {
	Listen netip.AddrPort // one of dns_listen, tls_listen, https_listen
	From   []netip.Prefix // who may say who the client is
}

func (s *section) encrypted(tcp, udp *places) Encrypted {
	n := s.take("encrypted")
	if n == nil {
		return Encrypted{}
	}
	in := s.f.section(n, "encrypted")
	e := Encrypted{
		Name:           must(in, "name", "dns.isp.example", domain),
		Certificate:    in.onDisk("certificate", "dns.crt", false),
		CertificateKey: in.onDisk("certificate_key", "dns.key", false),
		TLSListen:      each(in, "tls_listen", maxListen, addrPort(true)),
		HTTPSListen:    each(in, "https_listen", maxListen, addrPort(true)),
		QUICListen:     each(in, "quic_listen", maxListen, addrPort(true)),
		HTTPSPath:      read(in, "https_path", DefaultHTTPSPath, urlPath),
		Connections:    read(in, "connections", DefaultConnections, number(16, 1_000_000)),
		Idle:           read(in, "idle", DefaultIdle, duration(time.Second, 10*time.Minute)),
		InfoURL:        read(in, "info_url", "", link("https://isp.example/dns", "https")),
	}
	if in == nil {
		return e
	}
	if store, _ := StoreOf(e.CertificateKey); store == TPM {
		in.f.bad(in.at("certificate_key"), "encrypted.certificate_key: cordon seal does not seal this key, which changes with its certificate; write a path or credential:NAME")
	}
	if len(e.InfoURL) > 200 {
		in.f.bad(in.at("info_url"), "encrypted.info_url: it has %d characters, and must fit into a DNS record; at most 200", len(e.InfoURL))
	}
	if len(e.TLSListen)+len(e.HTTPSListen)+len(e.QUICListen) == 0 {
		in.f.bad(in.line, "encrypted has no address; add tls_listen, https_listen, quic_listen or several of them")
	}
	for _, a := range e.TLSListen {
		tcp.add(in, "tls_listen", a)
	}
	for _, a := range e.HTTPSListen {
		tcp.add(in, "https_listen", a)
		udp.add(in, "https_listen", a)
	}
	for _, a := range e.QUICListen {
		udp.add(in, "quic_listen", a)
	}
	in.done()
	return e
}

// urlPath reads the path of DoH.
func urlPath(n *yaml.Node) (string, string) {
	s, wrong := scalar(n)
	if wrong == "" && (!strings.HasPrefix(s, "/") || len(s) > 100 || strings.ContainsFunc(s, func(r rune) bool {
		return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~/", r)
	})) {
		wrong = fmt.Sprintf("%q is not a path such as /dns-query; begin with a slash, use letters, digits and -._~/", shorten(s))
	}
	return s, wrong
}

// proxies reads who may say, in front of which address, who the client is.
func (s *section) proxies(e *Edge) []Proxy {
	var out []Proxy
	for _, n := range s.list("proxies", maxListen) {
		in := s.f.section(n, "proxies")
		p := Proxy{
			Listen: must(in, "listen", "192.0.2.53:53", addrPort(true)),
			From:   some(in, "from", "the prefixes of your balancers, such as 192.0.2.4/32; without them anybody could claim to be anybody", maxListen, prefix),
		}
		in.done()
		for _, from := range p.From {
			if from.Bits() == 0 {
				s.f.bad(n.Line, "proxies.from: %s is everybody, who could then claim to be anybody; write the prefixes of your balancers", from)
			}
		}
		known := slices.Concat(e.DNSListen, e.Encrypted.TLSListen, e.Encrypted.HTTPSListen)
		switch {
		case !p.Listen.IsValid():
		case slices.Contains(e.Encrypted.QUICListen, p.Listen) && !slices.Contains(known, p.Listen):
			s.f.bad(n.Line, "proxies: %s is listened on over QUIC only, where no PROXY header is read; put the balancer in front of TCP", p.Listen)
		case !slices.Contains(known, p.Listen):
			s.f.bad(n.Line, "proxies: %s is none of dns_listen, tls_listen and https_listen; write one of them", p.Listen)
		case slices.ContainsFunc(out, func(o Proxy) bool { return o.Listen == p.Listen }):
			s.f.bad(n.Line, "proxies: %s is there twice; keep one", p.Listen)
		}
		out = append(out, p)
	}
	return out
}

func (w *writer) encrypted(e *Encrypted) {
	if e.Name == "" {
		w.set("encrypted", "")
		return
	}
	w.open("encrypted")
	text := func(key, value string) {
		if value != "" {
			w.line("  " + key + ": " + quote(value))
		}
	}
	text("name", e.Name)
	text("certificate", e.Certificate)
	text("certificate_key", e.CertificateKey)
	for _, l := range []struct {
		key string
		all []netip.AddrPort
	}{{"tls_listen", e.TLSListen}, {"https_listen", e.HTTPSListen}, {"quic_listen", e.QUICListen}} {
		if len(l.all) > 0 {
			w.line("  " + l.key + ":")
			for _, a := range l.all {
				w.line("    - " + quote(a.String()))
			}
		}
	}
	text("https_path", cmp.Or(e.HTTPSPath, DefaultHTTPSPath))
	w.line("  connections: " + strconv.Itoa(cmp.Or(e.Connections, DefaultConnections)))
	w.line("  idle: " + orDefault(e.Idle, DefaultIdle))
	text("info_url", e.InfoURL)
}

func (w *writer) proxies(all []Proxy) {
	if len(all) == 0 {
		w.set("proxies", "")
		return
	}
	w.open("proxies")
	for _, p := range all {
		w.item("listen", p.Listen.String())
		w.line("    from:")
		for _, f := range p.From {
			w.line("      - " + quote(f.String()))
		}
	}
}
