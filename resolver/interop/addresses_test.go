package interop

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"
	"github.com/quic-go/quic-go"

	"github.com/cordon-project/cordon/resolver"
	"github.com/cordon-project/cordon/resolver/serve"
)

// TestAnswersLeaveFromTheAddressThatWasAsked: of several addresses, listened on by name or all at once. A client's socket is connected: an answer
// from another address would never reach it.
func TestAnswersLeaveFromTheAddressThatWasAsked(t *testing.T) {
	own := []string{cableIPv4, secondIPv4, cableIPv6, secondIPv6}
	for name, listen := range map[string][]string{"by name": own, "all": {"0.0.0.0", "::"}} {
		t.Run(name, func(t *testing.T) {
			s := newSubscribers(t)
			certificate, _ := selfSigned(t)
			c := serve.Config{Certificate: certificate}
			for _, a := range listen {
				c.QUICAddrs = append(c.QUICAddrs, netip.AddrPortFrom(netip.MustParseAddr(a), 853))
			}
			startPlain(t, resolver.Config{Upstream: &scripted{}}, c, listen...)
			asked := slices.Clone(own)
			if name == "all" { // one that comes later
				come(t, anycastIPv4, anycastIPv6)
				t.Cleanup(func() { ip(t, "addr del "+anycastIPv4+"/32 dev lo", "addr del "+anycastIPv6+"/128 dev lo") })
				asked = append(asked, anycastIPv4, anycastIPv6)
			}
			for _, server := range asked {
				client := families[0].one
				if strings.Contains(server, ":") {
					client = families[1].one
				}
				for _, network := range []string{"udp", "tcp"} {
					for _, name := range []string{"listed.good.example.", "new." + strings.ReplaceAll(server, ":", "-") + "." + network + ".example.", "www.good.example."} { // at once, and after an upstream
						if m := s.ask(t, network, client, server, name, dns.TypeA); m.Rcode != dns.RcodeSuccess || len(m.Answer) != 1 {
							t.Errorf("%s of %s over %s: %v", name, server, network, m)
						}
					}
				}
				if m := s.askQUIC(t, client, server); len(m.Answer) != 1 {
					t.Errorf("%s over QUIC: %v", server, m)
				}
			}
		})
	}
}

// come gives this machine two addresses, and waits until they are there.
func come(t *testing.T, four, six string) {
	t.Helper()
	ip(t, "addr add "+four+"/32 dev lo", "addr add "+six+"/128 dev lo nodad")
	routed(t, six, "local")
}

// askQUIC asks for a listed name over DoQ.
func (s *subscribers) askQUIC(t *testing.T, client, server string) *dns.Msg {
	t.Helper()
	var socket net.PacketConn
	var err error
	s.do(func() { socket, err = freely.ListenPacket(t.Context(), "udp", net.JoinHostPort(client, "0")) })
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	to := net.UDPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(server), 853))
	conn, err := quic.Dial(ctx, socket, to, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"doq"}}, &quic.Config{HandshakeIdleTimeout: patience})
	if err != nil {
		t.Fatalf("%s to %s over QUIC: %v", client, server, err)
	}
	defer func() { _ = conn.CloseWithError(0, "") }()
	stream, err := conn.OpenStreamSync(ctx)
	if err != nil {
		t.Fatal(err)
	}
	q := new(dns.Msg).SetQuestion("listed.good.example.", dns.TypeA)
	q.Id = 0
	b, _ := q.Pack()
	if _, err := stream.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(b))), b...)); err != nil {
		t.Fatal(err)
	}
	_ = stream.Close()
	got, err := io.ReadAll(stream)
	m := new(dns.Msg)
	if err != nil || len(got) < 2 || m.Unpack(got[2:]) != nil {
		t.Fatalf("%s to %s over QUIC: %x, %v", client, server, got, err)
	}
	return m
}

// TestAnAddressMayComeLater: without freebind the edge says which is missing, with it the address is answered on as soon as it is there, and again
// when it went and came back, as routing daemons do to drain an edge.
func TestAnAddressMayComeLater(t *testing.T) {
	s := newSubscribers(t)
	for _, a := range []string{laterIPv4, laterIPv6} {
		at := []netip.AddrPort{netip.AddrPortFrom(netip.MustParseAddr(a), 53)}
		for network, c := range map[string]serve.Config{"udp": {UDPAddrs: at}, "tcp": {TCPAddrs: at}, "quic": {QUICAddrs: at}} {
			c.Handler, _ = resolver.New(resolver.Config{Upstream: &scripted{}})
			if server, err := serve.Open(c); err == nil || !strings.Contains(err.Error(), a) || !strings.Contains(err.Error(), "freebind") {
				t.Errorf("%s of %s: opened %v, %v", network, a, server != nil, err)
			}
		}
	}
	certificate, _ := selfSigned(t)
	quicAt := []netip.AddrPort{netip.AddrPortFrom(netip.MustParseAddr(laterIPv4), 853), netip.AddrPortFrom(netip.MustParseAddr(laterIPv6), 853)}
	startPlain(t, resolver.Config{Upstream: &scripted{}}, serve.Config{Freebind: true, Certificate: certificate, QUICAddrs: quicAt}, laterIPv4, laterIPv6, cableIPv4)
	for range 2 {
		if m := s.ask(t, "udp", families[0].one, cableIPv4, "listed.good.example.", dns.TypeA); len(m.Answer) != 1 {
			t.Errorf("the address that is there: %v", m)
		}
		come(t, laterIPv4, laterIPv6)
		for i, server := range []string{laterIPv4, laterIPv6} {
			for _, network := range []string{"udp", "tcp"} {
				if m := s.ask(t, network, families[i].one, server, "listed.good.example.", dns.TypeA); len(m.Answer) != 1 {
					t.Errorf("%s over %s: %v", server, network, m)
				}
			}
			if m := s.askQUIC(t, families[i].one, server); len(m.Answer) != 1 {
				t.Errorf("%s over QUIC: %v", server, m)
			}
		}
		ip(t, "addr del "+laterIPv4+"/32 dev lo", "addr del "+laterIPv6+"/128 dev lo")
	}
}
