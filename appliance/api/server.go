package api

import (
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"time"

	"github.com/cordon-project/cordon/cluster"
	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/transport"
	"github.com/cordon-project/cordon/listsync"
	"github.com/cordon-project/cordon/listsync/fetch"
	"github.com/cordon-project/cordon/listsync/trust"
	"github.com/cordon-project/cordon/resolver/limit"
	"github.com/cordon-project/cordon/resolver/match"
)

// Config is what a Server is made of.
type Config struct {
	Node     *cluster.Node
	Cluster  audit.Cluster
	Files    *fetch.Store
	Deltas   *fetch.Deltas // of versions that are no longer held whole
	Peers    Peers         // to fetch staged files from the member that asks
	Hotlines func() []listsync.Health
	// Preview reads what a hotline publishes now and brings the list's files here; Control does it.
	Preview    func(ctx context.Context, h trust.HotlineID, only match.ListID) (listsync.Preview, error)
	Expected   Expected // what an edge must sign for what is in force
	Statements Statements
	Figures    FigureStore // of edges
	Witness    Witness     // nil: this node witnesses nothing
	TLS        *tls.Config // own certificate; client certificates verified when given
	Listener   net.Listener
	Keys       KeyCare       // how this node keeps its own
	Patience   time.Duration // how long a reader may stand still; 0 for readerPatience
	Clock      func() time.Time
	Log        *slog.Logger
}

// Expected is what an edge must sign that serves what is in force under this digest and, beyond the log, these withdrawals; false while it is
// not known. It may be called concurrently.
type Expected func(inForce [32]byte, direct [][32]byte) (match.StateID, bool)

// Server answers the API of one control node.
type Server struct {
	node       *cluster.Node
	cluster    audit.Cluster
	files      *fetch.Store
	deltas     *fetch.Deltas
	peers      Peers
	follows    func() []listsync.Health
	preview    func(ctx context.Context, h trust.HotlineID, only match.ListID) (listsync.Preview, error)
	expects    Expected
	clock      func() time.Time
	patience   time.Duration
	log        *slog.Logger
	ln         net.Listener
	guests     *limit.Limit // of ln
	http       *http.Server
	own        KeyCare
	cares      cares
	recursions recursions
	guards     guards
	encrypteds encrypteds
	traffics   traffics
	readers    readers
	posts      asks   // statements, of each household
	all        bucket // and of all together
	lines      bucket // of the log, about requests that anybody may make
	lookups    lookups

	statements Statements
	figures    FigureStore
	witness    Witness
	asks       asks
}

// NewServer returns a server for c. Run serves it.
func NewServer(c Config) *Server {
	guests := limit.New(maxConns, maxPerHousehold)
	s := &Server{
		guests: guests,
		node:   c.Node, cluster: c.Cluster, files: c.Files, deltas: c.Deltas, peers: c.Peers, follows: c.Hotlines, preview: c.Preview, expects: c.Expected, clock: c.Clock, log: c.Log,
		ln:      tls.NewListener(guests.Listener(c.Listener), withHTTP2(c.TLS)),
		readers: readers{from: map[netip.Prefix]bool{}}, statements: c.Statements, figures: c.Figures, witness: c.Witness, own: c.Keys, cares: cares{of: map[string]KeyCare{}},
		patience: cmp.Or(c.Patience, readerPatience), posts: asks{burst: postBurst, rate: postRate}, all: bucket{burst: allBurst, rate: allRate},
		lines: bucket{burst: lineBurst, rate: lineRate},
	}
	s.http = &http.Server{
		Handler:           s.routes(),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       30 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
		HTTP2:             &http.HTTP2Config{MaxConcurrentStreams: maxStreams},
		ErrorLog:          slog.NewLogLogger(c.Log.Handler(), slog.LevelDebug),
	}
	return s
}

// Open connections in all, and from one address: every edge keeps one or two, and edges may share an address.
const (
	maxConns        = 8192
	maxPerHousehold = 512
	// maxStreams are requests at once on one of them, each of which may hold an answer in memory: an edge has a few, a member that has more opens another.
	maxStreams = 16
)

func withHTTP2(c *tls.Config) *tls.Config {
	c = c.Clone()
	c.NextProtos = []string{"h2", "http/1.1"}
	return c
}

// Run serves until ctx ends, lets requests under way end for a few seconds, and returns when all of its work has ended.
func (s *Server) Run(ctx context.Context) error {
	stop, cancel := context.WithCancel(ctx)
	defer cancel()
	s.http.BaseContext = func(net.Listener) context.Context { return stop } // long polls end with us
	served := make(chan error, 1)
	go func() { served <- s.http.Serve(s.ln) }()
	select {
	case err := <-served:
		return fmt.Errorf("serve API on %s: %w", s.ln.Addr(), err)
	case <-ctx.Done():
	}
	grace, done := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
	defer done()
	if err := s.http.Shutdown(grace); err != nil {
		s.http.Close()
	}
	<-served
	return nil
}

// routes names every method and path, with the roles that may use it.
func (s *Server) routes() http.Handler {
	const (
		control  = transport.RoleControl
		edge     = transport.RoleEdge
		operator = transport.RoleOperator
		auditor  = transport.RoleAuditor
	)
	mux := http.NewServeMux()
	open := func(pattern string, h handler) { mux.Handle(pattern, s.handle(h)) }
	// brief is open, and answers at once: who does not take the answer is not waited for.
	brief := func(pattern string, h handler) {
		open(pattern, func(w http.ResponseWriter, r *http.Request, who caller) error {
			if err := http.NewResponseController(w).SetWriteDeadline(time.Now().Add(s.patience)); err != nil {
				return err
			}
			return h(w, r, who)
		})
	}
	only := func(pattern string, h handler, roles ...transport.Role) {
		mux.Handle(pattern, s.handle(s.require(h, roles...)))
	}

	brief("GET /healthz", func(w http.ResponseWriter, _ *http.Request, _ caller) error {
		_, err := io.WriteString(w, "ok\n")
		return err
	})
	brief("GET /checkpoint", s.checkpoint)
	brief("GET /tile/{path...}", s.tile)
	open("GET /v1/files/{sum}", s.file)
	open("GET /v1/deltas/{sum}", s.delta)
	open("GET /v1/bundle", s.bundle)
	brief("GET /v1/withdrawals", s.withdrawals)
	brief("POST /v1/withdrawals", s.postWithdrawal)
	brief("POST /add-checkpoint", s.addCheckpoint)
	brief("GET /v1/seen", s.seen)
	brief("GET /v1/proof/{leaf}", s.proof)
	brief("POST /v1/openings", s.postOpening)

	only("GET /v1/status", s.status, operator, control)
	only("GET /v1/manifest", s.manifest, edge)
	only("POST /v1/keys", s.keys, edge)
	only("POST /v1/receipts", s.receipt, edge)
	only("POST /v1/figures", s.addFigures, edge)
	open("GET /v1/figures", s.getFigures)
	only("POST /v1/stage", s.stage, control)
	only("POST /v1/cosign", s.cosign, control)
	only("POST /v1/forward", s.forward, control)
	only("GET /v1/held", s.held, operator)
	only("GET /v1/simulate", s.simulate, operator)
	only("POST /v1/return", s.goBack, control)
	only("GET /v1/wayback", s.wayBack, operator)
	only("POST /v1/which", s.which, operator)
	only("POST /v1/lookup", s.lookup, auditor)
	only("POST /v1/orders", s.order, operator)
	only("POST /v1/edges", s.changeEdge, operator)
	only("POST /v1/register", s.register, operator)
	only("GET /v1/appeals", s.appeals, operator)
	only("GET /v1/certificate", s.certificate, operator)
	return mux
}

// caller is who asks, as the certificate says; the zero caller gave none.
type caller struct {
	role transport.Role
	name string
}

type handler func(w http.ResponseWriter, r *http.Request, who caller) error

// failure is an error with its HTTP status.
type failure struct {
	code int
	err  error
}

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

func fail(code int, format string, args ...any) error {
	return &failure{code, fmt.Errorf(format, args...)}
}

// handle finds out who asks, bounds the body and turns an error into an answer.
func (s *Server) handle(h handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxRequest)
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		who, err := s.caller(r)
		if who == (caller{}) && s.guests.Crowded() {
			w.Header().Set("Connection", "close") // edges and members need the places more than a stranger needs the next request
		}
		if err == nil {
			err = h(w, r, who)
		}
		if err != nil {
			s.answerError(w, r, err)
		}
	})
}

func (s *Server) caller(r *http.Request) (caller, error) {
	if r.TLS == nil || len(r.TLS.VerifiedChains) == 0 {
		return caller{}, nil
	}
	id, role, name, err := transport.ParsePeer(r.TLS.VerifiedChains[0][0])
	if err != nil || id != s.cluster.ID() {
		return caller{}, fail(http.StatusForbidden, "your certificate is not one of this cluster")
	}
	if !s.belongs(role, name) {
		return caller{}, fail(http.StatusForbidden, "%s %s is not a member of this cluster (any more)", role, name)
	}
	return caller{role, name}, nil
}

// belongs holds a certificate to membership: the log, not the certificate, says who is in the cluster.
func (s *Server) belongs(role transport.Role, name string) bool {
	switch role {
	case transport.RoleControl:
		return slices.ContainsFunc(s.cluster.Members, func(m audit.MemberKey) bool { return m.Name == name })
	case transport.RoleEdge:
		_, enrolled := s.node.View().Edge(name)
		return enrolled
	}
	return role == transport.RoleOperator || role == transport.RoleAuditor
}

func (s *Server) require(h handler, roles ...transport.Role) handler {
	return func(w http.ResponseWriter, r *http.Request, who caller) error {
		for _, role := range roles {
			if who.role == role {
				return h(w, r, who)
			}
		}
		if who != (caller{}) { // of a stranger there is nothing to say
			s.warn(r, "request refused: role", slog.String("route", r.Pattern), slog.String("role", string(who.role)), slog.String("name", who.name))
		}
		return &failure{http.StatusForbidden, ErrRole}
	}
}

// Lines of the log about requests: nobody fills a disk with them.
const (
	lineBurst = 30
	lineRate  = 0.2 // a second, from then on
)

// warn writes a line about a request, unless there were too many of late.
func (s *Server) warn(r *http.Request, what string, attrs ...any) {
	if s.lines.take(s.clock()) {
		s.log.WarnContext(r.Context(), what, attrs...)
	}
}

func (s *Server) answerError(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() != nil {
		return // nobody reads the answer
	}
	code := http.StatusInternalServerError
	var f *failure
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &f):
		code = f.code
	case errors.Is(err, cluster.ErrRequest):
		code = http.StatusBadRequest
	case errors.As(err, &tooLarge):
		code = http.StatusRequestEntityTooLarge
	case errors.Is(err, cluster.ErrNoLeader), errors.Is(err, cluster.ErrNoQuorum), errors.Is(err, cluster.ErrBusy),
		errors.Is(err, cluster.ErrNotYet), errors.Is(err, cluster.ErrKeys), errors.Is(err, cluster.ErrHalted), errors.Is(err, cluster.ErrSkew):
		code = http.StatusServiceUnavailable
	case errors.Is(err, cluster.ErrRefused), errors.Is(err, cluster.ErrFork):
		code = http.StatusConflict
	}
	b, _ := json.Marshal(problem{Error: err.Error()})
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	w.Write(append(b, '\n'))
}
