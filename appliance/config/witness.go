package config

import (
	"go.yaml.in/yaml/v4"

	"github.com/cordon-project/cordon/listsync/witness"
)

const (
	maxLogs = 64
	maxPeer = 16
)

// witness reads the section of that name; without it, all is empty.
func (s *section) witness() Witness {
	n := s.take("witness")
	if n == nil {
		return Witness{}
	}
	w := s.f.section(n, "witness")
	defer w.done()
	out := Witness{Logs: each(w, "logs", maxLogs, logKey), Policy: w.mayBeOnDisk("policy"), CA: w.mayBeOnDisk("ca")}
	if out.CA != "" && out.Policy == "" {
		w.f.bad(w.at("ca"), "witness.ca: it is for the servers of policy, which is not there; add policy or remove ca")
	}
	return out
}

func (s *section) gossip() []Peer {
	var out []Peer
	urls := map[string]bool{}
	for _, n := range s.list("gossip", maxPeer) {
		g := s.f.section(n, "gossip")
		one := Peer{URL: must(g, "url", "https://192.0.2.10:7443", link("https://192.0.2.10:7443", "https")), CA: g.mayBeOnDisk("ca")}
		g.done()
		if urls[one.URL] {
			s.f.bad(n.Line, "gossip: %s is there twice; keep one", shorten(one.URL))
		}
		urls[one.URL] = true
		out = append(out, one)
	}
	return out
}

func logKey(n *yaml.Node) (string, string) {
	k, wrong := scalar(n)
	if wrong == "" {
		if _, err := witness.ParseLogKey(k); err != nil {
			wrong = err.Error()
		}
	}
	return k, wrong
}

func (w *writer) witness(c *Witness) {
	if len(c.Logs) == 0 && c.Policy == "" && c.CA == "" {
		w.set("witness", "")
		return
	}
	w.open("witness")
	if len(c.Logs) > 0 {
		w.line("  logs:")
		for _, k := range c.Logs {
			w.line("    - " + quote(k))
		}
	}
	for _, one := range []struct{ key, path string }{{"policy", c.Policy}, {"ca", c.CA}} {
		if one.path != "" {
			w.line("  " + one.key + ": " + quote(one.path))
		}
	}
}

func (w *writer) gossip(peers []Peer) {
	if len(peers) == 0 {
		w.set("gossip", "")
		return
	}
	w.open("gossip")
	for _, p := range peers {
		w.item("url", p.URL)
		if p.CA != "" {
			w.more("ca", p.CA)
		}
	}
}
