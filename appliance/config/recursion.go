package config

import (
	"cmp"
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"
)

// recursive is the one word of upstream.
const recursive = "recursive"

// Bounds and defaults of recursion.
const (
	DefaultRecursionCacheMB = 32
	DefaultThreads          = 1
	maxThreads              = 256
)

// resolvers reads who answers for names not listed: upstreams, or an Unbound of our own.
func (e *Edge) resolvers(s *section) {
	e.Recursive = read(s, "upstream", false, func(n *yaml.Node) (bool, string) {
		word, wrong := scalar(n)
		if wrong == "" && word != recursive {
			wrong = "only recursive can stand here; resolvers to forward to are a list under upstreams"
		}
		return true, wrong
	})
	switch {
	case !e.Recursive && s.has("upstream") && !s.has("upstreams"):
		s.take("upstreams") // what is wrong with upstream is said
	case !e.Recursive:
		e.Upstreams = some(s, "upstreams", "a list of resolvers such as 127.0.0.1:5353, or upstream: recursive instead", maxListen, addrPort(false))
	case s.has("upstreams"):
		s.take("upstreams")
		s.f.bad(s.at("upstreams"), "upstreams: with upstream: recursive nobody else is asked; remove one of the two")
	}
	for _, up := range e.Upstreams {
		if slices.ContainsFunc(e.DNSListen, func(own netip.AddrPort) bool { return meet(own, up) }) {
			s.f.bad(s.at("upstreams"), "upstreams: %s is this edge itself (dns_listen), so questions would go in circles; name another resolver", up)
		}
	}
	if e.Recursive {
		e.Recursion = Recursion{Threads: DefaultThreads, CacheMB: DefaultRecursionCacheMB}
	}
	n := s.take("recursion")
	if n == nil {
		return
	}
	if !e.Recursive {
		s.f.bad(s.at("recursion"), "recursion: it is for upstream: recursive, which is not there; add that or remove the section")
	}
	e.Recursion = s.f.section(n, "recursion").recursion(e.DNSListen)
}

func (s *section) recursion(own []netip.AddrPort) Recursion {
	r := Recursion{
		Listen: read(s, "listen", netip.AddrPort{}, func(n *yaml.Node) (netip.AddrPort, string) {
			a, wrong := addrPort(false)(n)
			if wrong == "" && !a.Addr().IsLoopback() {
				wrong = a.String() + " can be reached by others; write a loopback address such as 127.0.0.1:5335"
			}
			return a, wrong
		}),
		Program:     read(s, "program", "", program),
		TrustAnchor: s.mayBeOnDisk("trust_anchor"),
		RootHints:   s.mayBeOnDisk("root_hints"),
		User:        read(s, "user", "", scalar),
		Threads:     read(s, "threads", DefaultThreads, number(1, maxThreads)),
		CacheMB:     read(s, "cache_mb", DefaultRecursionCacheMB, number(4, 65536)),
	}
	if slices.ContainsFunc(own, func(a netip.AddrPort) bool { return r.Listen.IsValid() && meet(a, r.Listen) }) {
		s.f.bad(s.at("listen"), "recursion.listen: this edge itself takes %s (dns_listen); give one another address or port", r.Listen)
	}
	s.done()
	return r
}

// program reads the name or the path of a program. It need not be there: it may be installed later.
func program(n *yaml.Node) (string, string) {
	p, wrong := scalar(n)
	if wrong == "" && strings.Contains(p, "/") && !filepath.IsAbs(p) {
		wrong = fmt.Sprintf("%q is neither a name nor a whole path; write unbound or /usr/sbin/unbound", shorten(p))
	}
	return p, wrong
}

func (w *writer) resolvers(e *Edge) {
	w.list("upstreams", texts(e.Upstreams))
	if !e.Recursive {
		w.set("upstream", "")
		w.set("recursion", "")
		return
	}
	w.set("upstream", recursive)
	w.open("recursion")
	r := &e.Recursion
	if r.Listen.IsValid() {
		w.line("  listen: " + quote(r.Listen.String()))
	}
	for _, one := range []struct{ key, text string }{
		{"program", r.Program}, {"trust_anchor", r.TrustAnchor}, {"root_hints", r.RootHints}, {"user", r.User},
	} {
		if one.text != "" {
			w.line("  " + one.key + ": " + quote(one.text))
		}
	}
	w.line("  threads: " + strconv.Itoa(cmp.Or(r.Threads, DefaultThreads)))
	w.line("  cache_mb: " + strconv.Itoa(cmp.Or(r.CacheMB, DefaultRecursionCacheMB)))
}
