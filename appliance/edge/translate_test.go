package edge

import (
	"net/netip"
	"testing"

	"github.com/cordon-project/cordon/appliance/config"
	"github.com/cordon-project/cordon/resolver"
)

func TestAListedNameLeadsThroughTheTranslatorToAStopPageOfIPv4Alone(t *testing.T) {
	c := &config.Edge{Stop: config.Stop{
		Law:       config.StopAddress{IPv4: netip.MustParseAddr("192.0.2.80")},
		Voluntary: config.StopAddress{IPv4: netip.MustParseAddr("192.0.2.81"), IPv6: netip.MustParseAddr("2001:db8::81")},
	}}
	want := resolver.Stop{LawIPv4: c.Stop.Law.IPv4, VoluntaryIPv4: c.Stop.Voluntary.IPv4, VoluntaryIPv6: c.Stop.Voluntary.IPv6}
	if got := stops(c); got != want {
		t.Errorf("without a NAT64: got %+v, want %+v", got, want)
	}
	c.DNS64 = netip.MustParsePrefix("64:ff9b::/96")
	want.LawNAT64, want.VoluntaryNAT64 = netip.MustParseAddr("64:ff9b::192.0.2.80"), netip.MustParseAddr("64:ff9b::192.0.2.81")
	if got := stops(c); got != want {
		t.Errorf("with one: got %+v, want %+v", got, want)
	}
}
