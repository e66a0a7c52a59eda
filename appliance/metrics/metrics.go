// Package metrics shows what goes through an edge to whoever scrapes it: Prometheus, or any reader of OpenMetrics.
//
// In comes a function that reads the counters of an edge, out goes GET /metrics, with the numbers of that moment. It promises: labels are of the
// configuration alone (transports, upstreams, zones) or of a closed set of words, so there are no more of them than the file has; nothing of a
// client, a question or an answer is in it; how many answers were stopped is neither in it nor can be computed from it, as that would take the
// noise off the figures (cluster/audit/figures); reading it holds nobody up.
package metrics

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/cordon-project/cordon/resolver/limit"
)

// Server shows the metrics of one edge. Run may be called once.
type Server struct {
	listener net.Listener
	http     *http.Server
	log      *slog.Logger
}

// Connections at once, in all and from one address: one scraper has one.
const (
	maxConns        = 64
	maxPerHousehold = 16
)

// Open listens on addr, and reads what it shows with each request.
func Open(ctx context.Context, addr netip.AddrPort, read func() Snapshot, log *slog.Logger) (*Server, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", addr.String())
	if err != nil {
		return nil, fmt.Errorf("show metrics: %w; choose another metrics_listen", err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", Handler(read))
	return &Server{
		listener: limit.New(maxConns, maxPerHousehold).Listener(l), log: log,
		http: &http.Server{
			Handler: mux, ReadTimeout: 5 * time.Second, WriteTimeout: 30 * time.Second, IdleTimeout: 5 * time.Minute, MaxHeaderBytes: 8 << 10,
			ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
		},
	}, nil
}

// Handler answers each request with a snapshot of that moment.
func Handler(read func() Snapshot) http.Handler {
	all := prometheus.NewRegistry()
	all.MustRegister(collector{read}, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return promhttp.HandlerFor(all, promhttp.HandlerOpts{EnableOpenMetrics: true, MaxRequestsInFlight: 4, Timeout: 10 * time.Second})
}

// Addr is where it listens.
func (s *Server) Addr() netip.AddrPort { return s.listener.Addr().(*net.TCPAddr).AddrPort() }

// Close frees the address of a server that is not run.
func (s *Server) Close() error { return s.listener.Close() }

// Run serves until ctx ends, and returns when its work has ended.
func (s *Server) Run(ctx context.Context) error {
	ended := make(chan error, 1)
	go func() { ended <- s.http.Serve(s.listener) }()
	select {
	case err := <-ended:
		return fmt.Errorf("show metrics: %w", err)
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
	defer cancel()
	if s.http.Shutdown(grace) != nil {
		_ = s.http.Close()
	}
	if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("show metrics: %w", err)
	}
	return nil
}
