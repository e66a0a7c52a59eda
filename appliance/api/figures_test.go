package api_test

import (
	"bytes"
	"crypto/rand"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/cordon-project/cordon/cluster/audit/figures"
	"github.com/cordon-project/cordon/cluster/clustertest"
	"github.com/cordon-project/cordon/cluster/transport"
	"github.com/cordon-project/cordon/resolver/match"
)

// noFigures takes everything and has nothing.
type noFigures struct{}

func (noFigures) Add(figures.Figures, figures.Signed) error { return nil }
func (noFigures) Write(_ io.Writer, _, _ time.Time) error   { return nil }

func TestAnEdgeHandsInItsOwnFiguresOnly(t *testing.T) {
	s := serve(t)
	edge := s.c.Desc.Edges[0].Name
	client := s.as(transport.RoleEdge, edge)
	of := func(cluster, name, signer string) []byte {
		signed, err := figures.New(cluster, name, 3600, 3600, []figures.Count{{List: clustertest.List, Basis: match.BasisLaw, N: 100}}, clustertest.Key(signer), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return figures.AppendRecord(nil, signed)[4:]
	}
	for _, c := range []struct {
		name string
		body []byte
		code int
	}{
		{"its own", of(s.c.ID, edge, edge), http.StatusOK},
		{"another's", of(s.c.ID, "edge-9", edge), http.StatusForbidden},
		{"of another cluster", of(strings.Repeat("0", 32), edge, edge), http.StatusForbidden},
		{"signed by another", of(s.c.ID, edge, "edge-9"), http.StatusBadRequest},
		{"nonsense", []byte{0xa0}, http.StatusBadRequest},
		{"a byte more", append(bytes.Clone(of(s.c.ID, edge, edge)), 0), http.StatusBadRequest},
	} {
		if code, text := s.do(client, "POST", "/v1/figures", c.body); code != c.code {
			t.Errorf("%s: %d %s, want %d", c.name, code, text, c.code)
		}
	}
}
