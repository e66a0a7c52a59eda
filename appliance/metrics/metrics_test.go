package metrics

import (
	"net/http/httptest"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/cordon-project/cordon/resolver/upstream"
	"github.com/cordon-project/cordon/resolver/upstream/unbound"
	"github.com/cordon-project/cordon/resolver/wire"
)

// TestMetricsAreNamedAsPrometheusWants: promtool's own rules about names, units and help.
func TestMetricsAreNamedAsPrometheusWants(t *testing.T) {
	w := httptest.NewRecorder()
	Handler(func() Snapshot {
		return Snapshot{
			Unbound: new(unbound.State), Transports: []wire.Transport{wire.UDP, wire.TCP, wire.TLS, wire.HTTPS, wire.QUIC},
			Upstreams: []upstream.ZoneCounts{{Zone: ".", Counts: upstream.Counts{Servers: make([]upstream.ServerCounts, 2)}}}, // twice the same
		}
	}).ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	if w.Code != 200 {
		t.Fatalf("status %d: %s", w.Code, w.Body)
	}
	problems, err := promlint.New(w.Body).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}
