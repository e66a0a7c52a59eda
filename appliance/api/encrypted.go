package api

import (
	"net/http"
	"time"
)

// Encrypted is how the certificate of an edge's TLS, HTTPS and QUIC is doing, in its own words: for people, nothing is decided by it.
type Encrypted struct {
	Ends    time.Time `json:"ends,omitzero"`    // of the certificate in force; zero: there is none
	Refused time.Time `json:"refused,omitzero"` // since when its files hold one that cannot be used
	At      time.Time `json:"at,omitzero"`      // when it last said so
}

// CertificateEnds is how long before a certificate ends people are told: daily in the log of its edge, and by cordon status.
const CertificateEnds = 7 * 24 * time.Hour

// encryptedHeader carries an Encrypted with an edge's requests for the manifest, as JSON.
const encryptedHeader = "Cordon-Encrypted"

// maxEncrypted bounds the header: three times.
const maxEncrypted = 192

func (e Encrypted) header() string { return asHeader(e) }

// encrypteds are what edges last said of their encrypted transports. An edge that says nothing has none any more.
type encrypteds struct{ told[Encrypted] }

func (c *encrypteds) note(who caller, h http.Header, now time.Time) {
	c.hear(who, h.Get(encryptedHeader), maxEncrypted, func(e *Encrypted) bool {
		e.At = now.UTC()
		return !e.Ends.IsZero() || !e.Refused.IsZero()
	})
}

// Encrypting has the client tell each node that it asks for the manifest how the asking edge's encrypted transports are doing. Call it before
// the client is used.
func (c *Client) Encrypting(says func() Encrypted) *Client {
	return c.tell(encryptedHeader, func() string { return says().header() })
}
