package serve

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// PROXY protocol, versions 1 and 2, as HAProxy defines it: a balancer in front says who the client is. It is believed
// only where an address was named for it, and only from the prefixes named there.

const (
	proxyLine  = 107  // longest line of version 1
	proxyHead  = 16   // fixed part of version 2
	proxyMax   = 4096 // longest rest of version 2 that is read: addresses and a few hundred bytes of TLVs
	proxyLeast = 12   // both versions have more
)

var (
	proxySignature = []byte("\r\n\r\n\x00\r\nQUIT\n")
	errProxy       = errors.New("no PROXY header")
)

// acceptProxied reads the header before the connection gets a place: whose place it takes stands in there.
func (s *Server) acceptProxied(asking context.Context, l *listener, g *guest) {
	allowed := false
	for _, p := range l.proxies {
		allowed = allowed || p.Contains(g.client)
	}
	if !allowed {
		s.counts.by[l.via].unproxied.Add(1)
		_ = g.Conn.Close()
		return
	}
	select {
	case s.proxied <- struct{}{}:
	default:
		s.counts.by[l.via].crowded.Add(1)
		_ = g.Conn.Close()
		return
	}
	s.conns.Go(func() {
		s.remember(g)
		_ = g.SetReadDeadline(time.Now().Add(s.config.Handshake)) // a balancer sends the header with its first packet
		if s.draining.Load() {
			_ = g.SetReadDeadline(s.goodbye)
		}
		client, ahead, err := readProxy(g.Conn)
		<-s.proxied
		if err != nil {
			s.counts.by[l.via].unproxied.Add(1)
			s.forget(g)
			_ = g.Conn.Close()
			return
		}
		_ = g.SetReadDeadline(time.Time{})
		if client.IsValid() { // else the proxy speaks for itself: a health check
			g.client = client
		}
		g.ahead = ahead
		if s.enter(l, g) {
			s.welcome(asking, l, g)
		}
	})
}

// readProxy reads a header from the start of a connection: the client's address, invalid where the header says that there
// is none, and what was read behind the header. It reads at most as much as a header can be long.
func readProxy(r io.Reader) (client netip.Addr, ahead []byte, err error) {
	b := make([]byte, proxyLeast, 256)
	if _, err := io.ReadFull(r, b); err != nil {
		return netip.Addr{}, nil, errProxy
	}
	if bytes.Equal(b, proxySignature) {
		return readProxy2(r)
	}
	if !bytes.HasPrefix(b, []byte("PROXY ")) {
		return netip.Addr{}, nil, errProxy
	}
	for {
		if end := bytes.Index(b, []byte("\r\n")); end >= 0 {
			client, err = parseProxy1(string(b[:end]))
			return client, append([]byte(nil), b[end+2:]...), err
		}
		if len(b) >= proxyLine {
			return netip.Addr{}, nil, errProxy
		}
		n, err := r.Read(b[len(b):min(proxyLine, cap(b))])
		if b = b[:len(b)+n]; err != nil && n == 0 {
			return netip.Addr{}, nil, errProxy
		}
	}
}

// parseProxy1 reads "PROXY TCP4 192.0.2.7 192.0.2.53 51234 53", or TCP6, or UNKNOWN with anything behind it.
func parseProxy1(line string) (netip.Addr, error) {
	f := strings.Split(line, " ")
	if len(f) >= 2 && f[1] == "UNKNOWN" {
		return netip.Addr{}, nil
	}
	if len(f) != 6 || f[1] != "TCP4" && f[1] != "TCP6" {
		return netip.Addr{}, errProxy
	}
	var ends [2]netip.Addr
	for i := range ends {
		a, err := netip.ParseAddr(f[2+i])
		if err != nil || a.Is4() != (f[1] == "TCP4") || a.Zone() != "" {
			return netip.Addr{}, errProxy
		}
		if n, err := strconv.ParseUint(f[4+i], 10, 16); err != nil || strconv.FormatUint(n, 10) != f[4+i] {
			return netip.Addr{}, errProxy
		}
		ends[i] = a.Unmap()
	}
	return ends[0], nil
}

// readProxy2 reads the binary header behind its signature.
func readProxy2(r io.Reader) (netip.Addr, []byte, error) {
	var head [proxyHead - proxyLeast]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return netip.Addr{}, nil, errProxy
	}
	command, family, n := head[0], head[1], int(binary.BigEndian.Uint16(head[2:]))
	if command>>4 != 2 || n > proxyMax {
		return netip.Addr{}, nil, errProxy
	}
	rest := make([]byte, n)
	if _, err := io.ReadFull(r, rest); err != nil {
		return netip.Addr{}, nil, errProxy
	}
	switch {
	case command == 0x20: // LOCAL: whatever else it says is to be skipped
		return netip.Addr{}, nil, nil
	case command != 0x21:
		return netip.Addr{}, nil, errProxy
	case family == 0x11 && n >= 12: // TCP over IPv4
		return netip.AddrFrom4([4]byte(rest)), nil, nil
	case family == 0x21 && n >= 36: // TCP over IPv6
		return netip.AddrFrom16([16]byte(rest)).Unmap(), nil, nil
	}
	return netip.Addr{}, nil, errProxy // a client without an address cannot be treated like one with
}
