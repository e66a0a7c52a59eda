package config

import (
	"encoding/base64"
	"fmt"

	"go.yaml.in/yaml/v4"
)

// UpstreamTLS is how upstreams prove over TLS who they are. The zero value: they are asked in clear.
type UpstreamTLS struct {
	Name string     // name: in their certificate; empty: pins alone count
	Pins [][32]byte // pins: SHA-256 of a certificate's public key
	CA   string     // ca: path of a PEM file with their authorities; empty: the system's
}

const maxPins = 16

// Used reports whether upstreams are asked over TLS.
func (u *UpstreamTLS) Used() bool { return u.Name != "" || len(u.Pins) > 0 }

func (s *section) upstreamTLS(e *Edge) UpstreamTLS {
	n := s.take("upstream_tls")
	if n == nil {
		return UpstreamTLS{}
	}
	if e.Recursive {
		s.f.bad(s.at("upstream_tls"), "upstream_tls: it is for upstreams, and with upstream: recursive there are none; remove one of the two")
	}
	in := s.f.section(n, "upstream_tls")
	u := UpstreamTLS{
		Name: read(in, "name", "", domain),
		Pins: each(in, "pins", maxPins, pin),
		CA:   in.mayBeOnDisk("ca"),
	}
	if !in.has("name") && !in.has("pins") {
		in.f.bad(in.at(""), "upstream_tls has neither name nor pins, so anybody could be your upstream; add one of them")
	}
	if in.has("ca") && !in.has("name") {
		in.f.bad(in.at("ca"), "upstream_tls.ca: an authority vouches for a name, and there is none; add name or remove ca")
	}
	in.done()
	return u
}

// pin reads the SHA-256 of a public key as others write it (RFC 7858's pin sets, kdig, Unbound): base64.
func pin(n *yaml.Node) (out [32]byte, wrong string) {
	text, wrong := scalar(n)
	if wrong != "" {
		return out, wrong
	}
	b, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(b) != len(out) {
		return out, fmt.Sprintf("%q is not the SHA-256 of a public key in base64; kdig -d +tls @SERVER prints it as PIN", shorten(text))
	}
	return [32]byte(b), ""
}

func (w *writer) upstreamTLS(u *UpstreamTLS) {
	if !u.Used() {
		w.set("upstream_tls", "")
		return
	}
	w.open("upstream_tls")
	if u.Name != "" {
		w.line("  name: " + quote(u.Name))
	}
	if u.CA != "" {
		w.line("  ca: " + quote(u.CA))
	}
	if len(u.Pins) > 0 {
		w.line("  pins:")
		for _, p := range u.Pins {
			w.line("    - " + quote(base64.StdEncoding.EncodeToString(p[:])))
		}
	}
}
