package config

import (
	"net/netip"
	"slices"

	"go.yaml.in/yaml/v4"
)

// Forward is a zone whose names are asked of resolvers of its own: an item of forward.
type Forward struct {
	Zone    string           // zone
	Servers []netip.AddrPort // servers
}

const maxForward = 64

// forwards reads the zones that have resolvers of their own.
func (s *section) forwards(e *Edge) []Forward {
	var out []Forward
	for _, n := range s.list("forward", maxForward) {
		in := s.f.section(n, "forward")
		f := Forward{
			Zone:    must(in, "zone", "corp.example", zone),
			Servers: some(in, "servers", "a list of resolvers such as 192.0.2.5:53", maxListen, addrPort(false)),
		}
		in.done()
		for _, up := range f.Servers {
			if slices.ContainsFunc(e.DNSListen, func(own netip.AddrPort) bool { return meet(own, up) }) {
				s.f.bad(n.Line, "forward: %s is this edge itself (dns_listen), so questions would go in circles; name another resolver", up)
			}
		}
		if f.Zone != "" && slices.ContainsFunc(out, func(o Forward) bool { return o.Zone == f.Zone }) {
			s.f.bad(n.Line, "forward: %s is there twice; write its servers in one place", f.Zone)
		}
		out = append(out, f)
	}
	return out
}

// zone reads the name of a zone other than the root.
func zone(n *yaml.Node) (string, string) {
	if s, _ := scalar(n); s == "." {
		return "", "\".\" is every name; write a zone such as corp.example, or these servers under upstreams, which are asked about all others"
	}
	return domain(n)
}

func (w *writer) forwards(all []Forward) {
	if len(all) == 0 {
		w.set("forward", "")
		return
	}
	w.open("forward")
	for _, f := range all {
		w.item("zone", f.Zone)
		w.line("    servers:")
		for _, a := range f.Servers {
			w.line("      - " + quote(a.String()))
		}
	}
}
