package wire

import "net/netip"

// Client is who asks, and over what. It is read while its question is answered; nothing keeps or logs it (P5).
type Client struct {
	Addr netip.Addr // without zone, an IPv4 address never mapped into IPv6; invalid where the front does not know it
	Via  Transport
}

// Transport is how a question came.
type Transport uint8

const (
	UDP   Transport = iota
	TCP             // RFC 7766
	TLS             // DoT, RFC 7858
	HTTPS           // DoH, RFC 8484
	QUIC            // DoQ, RFC 9250
)

// Stream reports whether answers may be as long as a message can be (MaxMessage): everything but UDP.
func (t Transport) Stream() bool { return t != UDP }

// Encrypted reports whether an observer sees only the length of what passes: such answers are padded (RFC 8467).
func (t Transport) Encrypted() bool { return t >= TLS }
