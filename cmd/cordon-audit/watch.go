package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/audit/monitor"
	"github.com/cordon-project/cordon/cluster/audit/source"
	"github.com/cordon-project/cordon/listsync/witness"
	"github.com/cordon-project/cordon/resolver/limit"
)

// watchFlags are those of watch beside the shared ones.
type watchFlags struct {
	flags
	state   string
	every   time.Duration
	maxAge  time.Duration
	once    bool
	witness string // file of the witness's key
	listen  string
	tlsCert string
	tlsKey  string
}

func watchCommand() *cobra.Command {
	var f watchFlags
	c := &cobra.Command{
		Use:   "watch --trust FILE --state DIR https://NODE:PORT...",
		Short: "Watch a cluster: verify what is new, hold all nodes to one history, say what happens",
		Long: `watch asks the nodes for their checkpoints, again and again, verifies what is new in the log, and holds all of them to one history. It prints
a line when new leaves were verified, for each of them that is more than a receipt, and when a problem begins and when it ends (a node
that does not answer, a checkpoint that is stale or that the trusted quorum did not sign). When a lie is proven, which is another history than the
one verified, or a check that fails, it writes both checkpoints and the report into DIR/evidence and ends with exit code 5.

DIR keeps what was verified: after a restart it goes on from there. Keep it where the operator cannot write.

With --witness-key and --listen it is also a witness (C2SP tlog-witness, POST /add-checkpoint) of this cluster's log that cosigns only what it
has verified in full; cordon-audit witness-key makes the key.

Exit codes: 0 ended on request, or --once without a problem; 1 the directory cannot be written; 3 bad input, or --once with a problem; 5 a lie was proven.`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, nodes []string) error { return f.run(c, nodes) },
	}
	f.add(c)
	c.Flags().StringVar(&f.state, "state", "", "directory of its own: what was verified, open problems, evidence (required)")
	c.Flags().DurationVar(&f.every, "every", time.Minute, "time between two rounds")
	c.Flags().DurationVar(&f.maxAge, "max-age", 15*time.Minute, "a checkpoint that is older is a problem")
	c.Flags().BoolVar(&f.once, "once", false, "ask each node once and end")
	c.Flags().StringVar(&f.witness, "witness-key", "", "be a witness with this key (made by cordon-audit witness-key); needs --listen")
	c.Flags().StringVar(&f.listen, "listen", "", "address that add-checkpoint is served on, for instance 127.0.0.1:8080 behind a TLS proxy")
	c.Flags().StringVar(&f.tlsCert, "tls-cert", "", "serve with this certificate (PEM) instead of plain HTTP")
	c.Flags().StringVar(&f.tlsKey, "tls-key", "", "key of that certificate (PEM)")
	if err := c.MarkFlagRequired("state"); err != nil {
		panic(fmt.Sprintf("cordon-audit: %v", err))
	}
	return c
}

func (f *watchFlags) check(nodes []string) error {
	seen := map[string]bool{}
	for _, n := range nodes {
		switch {
		case !strings.HasPrefix(n, "https://"):
			return fmt.Errorf("%q is no address of a control node: write https://NAME:PORT", n)
		case seen[n]:
			return fmt.Errorf("node %s is named twice", n)
		}
		seen[n] = true
	}
	switch {
	case f.every < time.Second:
		return errors.New("--every is at least 1s")
	case (f.witness == "") != (f.listen == ""):
		return errors.New("--witness-key and --listen go together")
	case (f.tlsCert == "") != (f.tlsKey == ""), f.tlsCert != "" && f.listen == "":
		return errors.New("--tls-cert and --tls-key go together, and with --listen")
	case f.once && f.listen != "":
		return errors.New("--once ends at once: it is no witness")
	}
	return nil
}

func (f *watchFlags) run(c *cobra.Command, nodes []string) error {
	if err := f.check(nodes); err != nil {
		return err
	}
	trust, tf, err := readTrust(f.trust)
	if err != nil {
		return unreadable(err, "--trust names the trust file that the operator publishes for auditors (trust.json)")
	}
	unlock, err := lockState(f.state)
	if err != nil {
		return unreadable(err, "--state names a directory of this watch alone")
	}
	defer unlock()
	out := &lines{w: c.OutOrStdout(), json: f.json}
	m, err := monitor.Open(monitor.Config{
		Trust: trust, Dir: f.state, Nodes: nodes, Every: f.every, MaxAge: f.maxAge, Clock: time.Now, Tell: out.event,
		Source: &asker{tf: tf, c: source.Config{Cert: f.cert, Key: f.key}, timeout: f.timeout},
	})
	if err != nil {
		return unreadable(err, "--state names a directory of this watch alone; with another one everything is verified anew")
	}
	ctx, cancel := context.WithCancel(c.Context())
	defer cancel()
	if f.witness != "" {
		served, err := f.serve(ctx, m, out)
		if err != nil {
			return err
		}
		defer func() { cancel(); <-served }()
	}
	if f.once {
		problems, err := m.Round(ctx)
		if err != nil {
			return ended(err)
		}
		if problems > 0 {
			return unreadable(fmt.Errorf("%d problems", problems), "see the lines above")
		}
		return out.failed()
	}
	if err := m.Run(ctx); err != nil {
		return ended(err)
	}
	return out.failed()
}

// ended is how a watch ends that did not end on request.
func ended(err error) error {
	if errors.Is(err, monitor.ErrLie) {
		return errFail // it was said, with its evidence
	}
	return unwritten("state directory", err)
}

// serve answers add-checkpoint until the context ends; the channel closes when all is over.
func (f *watchFlags) serve(ctx context.Context, m *monitor.Monitor, out *lines) (<-chan struct{}, error) {
	signer, err := readWitnessKey(f.witness)
	if err != nil {
		return nil, unreadable(err, "make a key with cordon-audit witness-key, and keep it readable for yourself alone")
	}
	keeper, err := witness.OpenKeeper(witness.KeeperConfig{Dir: filepath.Join(f.state, "witness"), Hand: m.Hand(signer), Clock: time.Now})
	if err != nil {
		return nil, unreadable(err, "a witness that has forgotten what it cosigned must not sign again under that key: make a new one, and tell those who trust the old one")
	}
	own, err := m.Log()
	if err == nil {
		err = keeper.SetLogs([]witness.Log{own})
	}
	if err != nil {
		return nil, unreadable(err, "")
	}
	listener, err := net.Listen("tcp", f.listen)
	if err != nil {
		return nil, unreadable(err, "--listen names an address of this machine, as HOST:PORT")
	}
	each := maxWitnessPerHousehold
	if ip, err := netip.ParseAddrPort(listener.Addr().String()); err == nil && ip.Addr().IsLoopback() {
		each = maxWitnessConns // a proxy has all of them
	}
	listener = limit.New(maxWitnessConns, each).Listener(listener)
	mux := http.NewServeMux()
	mux.Handle(witness.Path, bounded(keeper))
	server := &http.Server{
		Handler: mux, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 15 * time.Second, WriteTimeout: 30 * time.Second, IdleTimeout: 15 * time.Second, MaxHeaderBytes: 16 << 10,
		BaseContext: func(net.Listener) context.Context { return ctx },
		Protocols:   new(http.Protocols), ErrorLog: log.New(io.Discard, "", 0),
	}
	server.Protocols.SetHTTP1(true) // a connection has one request at a time: what is bounded are connections
	for _, k := range keeper.Keys() {
		out.event(monitor.Event{At: time.Now().UTC().Truncate(time.Second), Kind: "witness", Text: fmt.Sprintf("cosigns what is verified, on %s: %s", listener.Addr(), k)})
	}
	done := make(chan struct{})
	go func() {
		<-ctx.Done()
		server.Close()
	}()
	go func() {
		defer close(done)
		var err error
		if f.tlsCert != "" {
			err = server.ServeTLS(listener, f.tlsCert, f.tlsKey)
		} else {
			err = server.Serve(listener)
		}
		if !errors.Is(err, http.ErrServerClosed) {
			out.event(monitor.Event{At: time.Now().UTC().Truncate(time.Second), Kind: monitor.Problem, What: "witness", Text: audit.Escape(err.Error())})
		}
	}()
	return done, nil
}

// Connections of a witness: in all, and from one household unless a proxy on this machine has them. A request is small and has seconds to come.
const (
	maxWitnessConns        = 512
	maxWitnessPerHousehold = 32
)

// bounded answers a few requests at once; the others are told to come again. A request is here in full before it counts: one that comes slowly takes
// nobody's place.
func bounded(h http.Handler) http.Handler {
	room := make(chan struct{}, 16)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, witness.MaxRequest))
		if err != nil {
			http.Error(w, "the request is too large or broke off", http.StatusBadRequest)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(b))
		select {
		case room <- struct{}{}:
			defer func() { <-room }()
			h.ServeHTTP(w, r)
		default:
			http.Error(w, "too many at once; ask again", http.StatusServiceUnavailable)
		}
	})
}

// lockState makes the directory and holds it until unlock, or until the process ends: two watches in one directory would each cosign what the other
// does not know of.
func lockState(dir string) (unlock func(), err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(dir, ".lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("directory %s is in use by another watch", dir)
		}
		return nil, fmt.Errorf("lock directory %s: %w", dir, err)
	}
	return func() { f.Close() }, nil
}

// asker asks nodes over TLS, each time for so long at most.
type asker struct {
	tf      audit.TrustFile
	c       source.Config
	timeout time.Duration
}

func (a *asker) Checkpoint(ctx context.Context, node string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, min(a.timeout, time.Minute))
	defer cancel()
	return source.Checkpoint(ctx, node, a.tf, a.c)
}

func (a *asker) Bundle(ctx context.Context, node string, part audit.Part) (io.ReadCloser, error) {
	ctx, cancel := context.WithTimeout(ctx, a.timeout)
	c := a.c
	c.Part = part
	b, err := source.Open(ctx, node, a.tf, c)
	if err != nil {
		cancel()
		return nil, err
	}
	return &timed{b, cancel}, nil
}

// timed ends its context when it is closed.
type timed struct {
	io.ReadCloser
	cancel context.CancelFunc
}

func (t *timed) Close() error {
	defer t.cancel()
	return t.ReadCloser.Close()
}

// lines prints events, one a line. It may be used concurrently.
type lines struct {
	mu   sync.Mutex // guards all
	w    io.Writer
	json bool
	err  error // the first; a watch goes on without its reader
}

func (l *lines) event(e monitor.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var err error
	if l.json {
		err = json.NewEncoder(l.w).Encode(e)
	} else {
		node := e.Node
		if node != "" {
			node = " " + node
		}
		_, err = fmt.Fprintf(l.w, "%s  %-8s%s  %s\n", e.At.Format("2006-01-02 15:04:05Z"), e.Kind, node, e.Text)
	}
	if l.err == nil {
		l.err = err
	}
}

func (l *lines) failed() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return unwritten("output", l.err)
}
