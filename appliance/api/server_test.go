package api_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cordon-project/cordon/appliance/api"
	"github.com/cordon-project/cordon/cluster"
	"github.com/cordon-project/cordon/cluster/clustertest"
	"github.com/cordon-project/cordon/cluster/transport"
	"github.com/cordon-project/cordon/listsync"
	"github.com/cordon-project/cordon/listsync/trust"
	"github.com/cordon-project/cordon/resolver/match"
)

// served is a control node's API over real TLS.
type served struct {
	t   *testing.T
	c   *clustertest.Cluster
	url string
}

func serve(t *testing.T) *served { return serveWith(t, func(*api.Config) {}) }

func serveWith(t *testing.T, change func(*api.Config)) *served {
	t.Helper()
	c := clustertest.New(t, clustertest.Options{Members: 1})
	m := c.Members[0]
	m.Node().Publish(t.Context(), c.Publication(m, 1, 10, nil), clustertest.List)
	m.Wait("a checkpoint", func(n *cluster.Node) bool { return n.Checkpoint() != nil })
	tlsConfig, err := c.CA.TLS(c.ID, transport.RoleControl, m.Name)
	if err != nil {
		t.Fatal(err)
	}
	tlsConfig.ClientCAs, tlsConfig.ClientAuth = c.CA.Pool(), tls.VerifyClientCertIfGiven
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now() // stands still: a bound on requests a second is then a bound on requests
	unreachable := func(context.Context, trust.HotlineID, match.ListID) (listsync.Preview, error) {
		return listsync.Preview{}, errors.New("the hotline cannot be reached")
	}
	conf := api.Config{
		Preview: unreachable,
		Node:    m.Node(), Cluster: c.Desc, Files: m.Files, Hotlines: func() []listsync.Health { return nil },
		Expected:   func([32]byte, [][32]byte) (match.StateID, bool) { return match.StateID{}, false },
		Statements: &posted{}, Figures: noFigures{},
		TLS: tlsConfig, Listener: ln, Clock: func() time.Time { return now }, Log: slog.New(slog.DiscardHandler),
	}
	change(&conf)
	s := api.NewServer(conf)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return &served{t, c, "https://" + ln.Addr().String()}
}

// as is a client with a certificate of a role and name, or with none.
func (s *served) as(role transport.Role, name string) *http.Client {
	s.t.Helper()
	conf := &tls.Config{RootCAs: s.c.CA.Pool(), InsecureSkipVerify: true}
	if role != "" {
		c, err := s.c.CA.TLS(s.c.ID, role, name)
		if err != nil {
			s.t.Fatal(err)
		}
		conf.Certificates = c.Certificates
	}
	return &http.Client{Transport: &http.Transport{TLSClientConfig: conf}, Timeout: 40 * time.Second}
}

func (s *served) do(c *http.Client, method, path string, body []byte) (int, string) {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), method, s.url+path, bytes.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	res, err := c.Do(req)
	if err != nil {
		s.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer res.Body.Close()
	b, _ := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	return res.StatusCode, string(b)
}

// TestEachRouteAsksForItsRole asks every route as everybody. A route that lets a role in answers anything but 403.
func TestEachRouteAsksForItsRole(t *testing.T) {
	s := serve(t)
	const anyone = "anyone"
	callers := map[string]*http.Client{
		anyone:     s.as("", ""),
		"control":  s.as(transport.RoleControl, s.c.Members[0].Name),
		"edge":     s.as(transport.RoleEdge, s.c.Desc.Edges[0].Name),
		"operator": s.as(transport.RoleOperator, "ops"),
		"auditor":  s.as(transport.RoleAuditor, "review"),
	}
	strangers := map[string]*http.Client{
		"a control node that is no member": s.as(transport.RoleControl, "c99"),
		"an edge that is not enrolled":     s.as(transport.RoleEdge, "e99"),
	}
	for _, route := range []struct{ method, path, roles string }{
		{"GET", "/healthz", "anyone control edge operator"},
		{"GET", "/checkpoint", "anyone control edge operator"},
		{"GET", "/tile/entries/000.p/1", "anyone control edge operator"},
		{"GET", "/v1/files/" + strings.Repeat("00", 32), "anyone control edge operator"},
		{"GET", "/v1/bundle", "anyone control edge operator"},
		{"GET", "/v1/withdrawals", "anyone control edge operator"},
		{"POST", "/v1/withdrawals", "anyone control edge operator"},
		{"POST", "/add-checkpoint", "anyone control edge operator"},
		{"GET", "/v1/seen", "anyone control edge operator"},
		{"GET", "/v1/proof/0", "anyone control edge operator"},
		{"POST", "/v1/openings", "anyone control edge operator"},
		{"GET", "/v1/status", "control operator"},
		{"GET", "/v1/held", "operator"},
		{"GET", "/v1/simulate", "operator"},
		{"GET", "/v1/manifest?since=0", "edge"},
		{"POST", "/v1/keys", "edge"},
		{"POST", "/v1/receipts", "edge"},
		{"POST", "/v1/figures", "edge"},
		{"GET", "/v1/figures?from=0&to=1", "anyone control edge operator"},
		{"POST", "/v1/stage", "control"},
		{"POST", "/v1/cosign", "control"},
		{"POST", "/v1/forward", "control"},
		{"POST", "/v1/return", "control"},
		{"GET", "/v1/wayback", "operator"},
		{"POST", "/v1/which", "operator"},
		{"POST", "/v1/lookup", "auditor"},
		{"POST", "/v1/orders", "operator"},
		{"POST", "/v1/edges", "operator"},
		{"POST", "/v1/register", "operator"},
		{"GET", "/v1/appeals", "operator"},
		{"GET", "/v1/certificate", "operator"},
	} {
		for who, client := range callers {
			code, body := s.do(client, route.method, route.path, []byte{0xa0})
			if got, want := code != http.StatusForbidden, strings.Contains(route.roles, who) || strings.Contains(route.roles, anyone); got != want {
				t.Errorf("%s %s as %s: %d %s", route.method, route.path, who, code, body)
			}
		}
		for who, client := range strangers {
			if code, body := s.do(client, route.method, route.path, nil); code != http.StatusForbidden {
				t.Errorf("%s %s as %s: %d %s", route.method, route.path, who, code, body)
			}
		}
	}
}

// lineCount counts the lines of a log.
type lineCount struct{ atomic.Int64 }

func (l *lineCount) Write(b []byte) (int, error) {
	l.Add(int64(bytes.Count(b, []byte("\n"))))
	return len(b), nil
}

// What anybody may ask for fills no disk with lines: a stranger is not spoken of, and who has a certificate so often and no more.
func TestRefusedRequestsDoNotFillTheLog(t *testing.T) {
	var lines lineCount
	s := serveWith(t, func(c *api.Config) { c.Log = slog.New(slog.NewTextHandler(&lines, nil)) })
	stranger, edge := s.as("", ""), s.as(transport.RoleEdge, s.c.Desc.Edges[0].Name)
	for range 100 {
		s.do(stranger, "GET", "/v1/status", nil)
	}
	if n := lines.Load(); n != 0 {
		t.Errorf("%d lines about a stranger", n)
	}
	for range 100 {
		s.do(edge, "GET", "/v1/status", nil)
	}
	if n := lines.Load(); n == 0 || n > 40 {
		t.Errorf("%d lines about an edge that asks for what is not its own", n)
	}
}

func TestBadRequestsGetASentence(t *testing.T) {
	s := serve(t)
	edge := s.as(transport.RoleEdge, s.c.Desc.Edges[0].Name)
	control := s.as(transport.RoleControl, s.c.Members[0].Name)
	operator := s.as(transport.RoleOperator, "ops")
	for _, bad := range []struct {
		name         string
		client       *http.Client
		method, path string
		body         []byte
		code         int
		says         string
	}{
		{"a file name with a way out", edge, "GET", "/v1/files/..%2f..%2fetc%2fpasswd", nil, 400, "not a SHA-256"},
		{"a tile with a way out", edge, "GET", "/tile/..%2f..%2fcheckpoint", nil, 404, ""},
		{"no number", edge, "GET", "/v1/manifest?since=x", nil, 400, "since"},
		{"a body that is no CBOR", edge, "POST", "/v1/keys", []byte("{"), 400, "read request"},
		{"an unknown field", edge, "POST", "/v1/keys", []byte("\xa1\x63abc\x01"), 400, "read request"},
		{"keys of a list that is not there", edge, "POST", "/v1/keys", []byte("\xa2\x64list\x63x/y\x65epoch\x01"), 503, "no key"},
		{"a huge body", edge, "POST", "/v1/receipts", make([]byte, 1<<20), 413, "large"},
		{"a root that is none", control, "POST", "/v1/cosign", []byte("\xa2\x64root\x41\x00\x64size\x01"), 400, "not 32"},
		{"a log without leaves", control, "POST", "/v1/cosign", append([]byte("\xa2\x64root\x58\x20"), append(make([]byte, 32), "\x64size\x00"...)...), 400, "size 0"},
		{"an unknown command", control, "POST", "/v1/forward", []byte{0xa0}, 0, ""},
		{"a return that is no order", control, "POST", "/v1/return", []byte("{"), 400, "verify order"},
		{"an order that is none", operator, "POST", "/v1/orders", []byte("{"), 400, "decode order"},
		{"nobody to dismiss", operator, "POST", "/v1/edges", nil, 400, "read request"},
		{"a list that is none", operator, "GET", "/v1/simulate?list=x", nil, 400, "list is not HOTLINE/LIST"},
		{"a hotline that cannot be reached", operator, "GET", "/v1/simulate", nil, 502, "the hotline cannot be reached"},
		{"a list of nobody here", operator, "GET", "/v1/simulate?list=other/main", nil, 404, "no hotline of this cluster publishes list other/main"},
		{"a wrong method", operator, "PUT", "/v1/edges", nil, 405, ""},
		{"a path that is not there", operator, "GET", "/v2/anything", nil, 404, ""},
	} {
		code, body := s.do(bad.client, bad.method, bad.path, bad.body)
		if bad.code != 0 && code != bad.code || code < 400 || !strings.Contains(body, bad.says) {
			t.Errorf("%s: %d %s, want %d %q", bad.name, code, body, bad.code, bad.says)
		}
	}
}

func TestTilesAreServedAsTheStandardAsks(t *testing.T) {
	s := serve(t)
	c := s.as("", "")
	for _, x := range []struct {
		path, kind, cache string
		code              int
	}{
		{"/checkpoint", "text/plain; charset=utf-8", "no-store", 200},
		{"/tile/0/000.p/1", "application/octet-stream", "public, max-age=31536000, immutable", 200},
		{"/tile/entries/000.p/1", "application/octet-stream", "public, max-age=31536000, immutable", 200},
		{"/tile/0/000", "application/json", "no-store", 404}, // not full yet: no cache may keep that
		{"/tile/0/00", "application/json", "no-store", 404},
		{"/tile/0/000.p/0", "application/json", "no-store", 404},
		{"/tile/0/000.p/256", "application/json", "no-store", 404},
		{"/tile/0/x000/000", "application/json", "no-store", 404},
		{"/tile/64/000.p/1", "application/json", "no-store", 404},
		{"/tile/entries/001.p/1", "application/json", "no-store", 404},
	} {
		res, err := c.Get(s.url + x.path)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		kind, cache := res.Header.Get("Content-Type"), res.Header.Get("Cache-Control")
		if res.StatusCode != x.code || kind != x.kind || cache != x.cache {
			t.Errorf("%s: got %d %q %q, want %d %q %q", x.path, res.StatusCode, kind, cache, x.code, x.kind, x.cache)
		}
	}
}
