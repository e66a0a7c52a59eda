package report

import (
	"strings"
	"testing"
	"time"

	"github.com/cordon-project/cordon/appliance/api"
)

func TestStatusSaysWhatAnEdgesCertificateNeeds(t *testing.T) {
	now := time.Unix(1790000000, 0).UTC()
	report := func(e ...*api.Encrypted) string {
		var edges []api.EdgeStatus
		for _, x := range e {
			edges = append(edges, api.EdgeStatus{Name: "e1", Since: now, Current: true, Counter: 1, Encrypted: x})
		}
		return statusOf(now, edges...)
	}
	well := api.Encrypted{Ends: now.Add(90 * 24 * time.Hour), At: now}
	none := api.Encrypted{Refused: now, At: now}
	ended, refused, soon, old := well, well, well, well
	ended.Ends, refused.Refused, soon.Ends = now, now.Add(-time.Hour), now.Add(time.Hour)
	old.At, old.Ends = now.Add(-time.Hour), now
	if text := report(&old, &well); !strings.HasPrefix(text, "All is well.") || strings.Count(text, "encrypted:") != 1 ||
		!strings.Contains(text, "    encrypted: certificate until 2026-12-20 14:13:20Z\n") {
		t.Errorf("the newest word is that all is well:\n%s", text)
	}
	for want, e := range map[string]*api.Encrypted{
		"edge e1: its resolver certificate cannot be used since 2026-09-21 14:13:20Z, so TLS, HTTPS and QUIC answer nobody": &none,
		"edge e1: its resolver certificate has ended on 2026-09-21 14:13:20Z":                                               &ended,
		"edge e1: its new resolver certificate cannot be used since 2026-09-21 13:13:20Z;":                                  &refused,
		"edge e1: its resolver certificate ends on 2026-09-21 15:13:20Z: renew it":                                          &soon,
	} {
		if text := report(e); !strings.Contains(text, want) {
			t.Errorf("no %q in:\n%s", want, text)
		}
	}
	if text := report(nil); !strings.HasPrefix(text, "All is well.") || strings.Contains(text, "encrypted:") {
		t.Errorf("an edge without:\n%s", text)
	}
}
