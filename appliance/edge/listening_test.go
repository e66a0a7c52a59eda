package edge

import (
	"bytes"
	"log/slog"
	"net/netip"
	"strings"
	"testing"

	"github.com/cordon-project/cordon/appliance/config"
)

func TestTheLogNamesAllThatListens(t *testing.T) {
	at := netip.MustParseAddrPort
	c := &config.Edge{DNSListen: []netip.AddrPort{at("192.0.2.53:53"), at("[2001:db8::53]:53")}}
	c.Stop.ListenPort = 80
	c.Stop.Law = config.StopAddress{IPv4: netip.MustParseAddr("192.0.2.51"), IPv6: netip.MustParseAddr("2001:db8::51")}
	c.Stop.Voluntary = config.StopAddress{IPv4: netip.MustParseAddr("192.0.2.43"), Listen: []netip.Addr{}} // another machine serves it
	plain := `dns="[192.0.2.53:53 [2001:db8::53]:53]" page="[192.0.2.51:80 [2001:db8::51]:80]"`
	if got := logged(c); got != plain {
		t.Errorf("got  %s\nwant %s", got, plain)
	}

	c.Encrypted = config.Encrypted{TLSListen: []netip.AddrPort{at("192.0.2.53:853")}, HTTPSListen: []netip.AddrPort{at("192.0.2.53:443")}, QUICListen: []netip.AddrPort{at("192.0.2.53:8853")}}
	c.MetricsListen = at("127.0.0.1:9153")
	all := `dns="[192.0.2.53:53 [2001:db8::53]:53]" tls=[192.0.2.53:853] https=[192.0.2.53:443] quic=[192.0.2.53:8853] page="[192.0.2.51:80 [2001:db8::51]:80]" metrics=[127.0.0.1:9153]`
	if got := logged(c); got != all {
		t.Errorf("got  %s\nwant %s", got, all)
	}
}

// logged is what stands behind the message.
func logged(c *config.Edge) string {
	var out bytes.Buffer
	slog.New(slog.NewTextHandler(&out, nil)).Info("edge", Listening(c)...)
	_, attributes, _ := strings.Cut(strings.TrimSpace(out.String()), "msg=edge ")
	return attributes
}
