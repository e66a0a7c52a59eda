package report

import (
	"fmt"
	"io"
	"time"

	"github.com/cordon-project/cordon/appliance/api"
	"github.com/cordon-project/cordon/appliance/operator"
)

// encrypteds are what edges last said of their encrypted transports, to any control node.
func encrypteds(nodes []operator.NodeStatus) map[string]*api.Encrypted {
	return lastSaid(nodes, func(e api.EdgeStatus) *api.Encrypted { return e.Encrypted }, func(says *api.Encrypted) time.Time { return says.At })
}

// writeEncrypted prints a line about an edge's encrypted transports, if it has any.
func writeEncrypted(w io.Writer, e *api.Encrypted) {
	if e == nil {
		return
	}
	until := "no certificate"
	if !e.Ends.IsZero() {
		until = "certificate until " + clock(e.Ends)
	}
	fmt.Fprintf(w, "    encrypted: %s\n", until)
}

// certificateTrouble is what a person has to do about an edge's certificate; "" for nothing.
func certificateTrouble(e *api.Encrypted, now time.Time) string {
	switch {
	case e == nil:
	case e.Ends.IsZero():
		return fmt.Sprintf("its resolver certificate cannot be used since %s, so TLS, HTTPS and QUIC answer nobody; its log says why", clock(e.Refused))
	case !now.Before(e.Ends):
		return fmt.Sprintf("its resolver certificate has ended on %s, so clients of TLS, HTTPS and QUIC refuse it: renew it", clock(e.Ends))
	case !e.Refused.IsZero():
		return fmt.Sprintf("its new resolver certificate cannot be used since %s; the one before goes on until %s, and its log says why", clock(e.Refused), clock(e.Ends))
	case e.Ends.Sub(now) < api.CertificateEnds:
		return fmt.Sprintf("its resolver certificate ends on %s: renew it", clock(e.Ends))
	}
	return ""
}
