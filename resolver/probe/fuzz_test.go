package probe

import (
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

// FuzzRead: whatever a resolver sends is an answer to the question or errAnswer, and never more than its bytes can hold.
func FuzzRead(f *testing.F) {
	q, err := question("canary.hotline-one.test", dnsmessage.TypeA)
	if err != nil {
		f.Fatal(err)
	}
	msg, err := build(7, q, how{edns: true, do: true})
	if err != nil {
		f.Fatal(err)
	}
	msg[2] |= 0x80
	f.Add(msg)
	f.Add(msg[:12])
	f.Fuzz(func(t *testing.T, raw []byte) {
		a, err := read(raw, 7, q)
		if err != nil {
			return
		}
		if len(a.ttls) > maxRecords || len(a.addrs) > len(raw) || len(a.nsid) > len(raw) {
			t.Errorf("got %d records of %d bytes", len(a.ttls), len(raw))
		}
	})
}
