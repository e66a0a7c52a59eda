// Package dev runs the development picture: a throw-away hotline and its repository, three control nodes, an edge, and an upstream resolver for
// names under .test, all on loopback, without root and without a network.
//
// In comes a directory that is its own; out come running parts and dev.json, which says where everything is. The parts share this process and
// nothing else: they meet through sockets, files and signatures, and their keys are refused by cordon control and cordon edge.
package dev

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/cordon-project/cordon/appliance"
	"github.com/cordon-project/cordon/appliance/config"
	"github.com/cordon-project/cordon/appliance/control"
	"github.com/cordon-project/cordon/appliance/edge"
	"github.com/cordon-project/cordon/appliance/identity"
	"github.com/cordon-project/cordon/resolver/upstream/devupstream"
)

// Config says where the development picture lives.
type Config struct {
	Dir string         // made when missing; one of an earlier run is made anew; anything else is refused
	DNS netip.AddrPort // where the edge answers; the zero value takes a free port of 127.0.0.1
	Out io.Writer      // what a person reads
	Log *slog.Logger
}

// marker is the file by which Run knows a directory as its own.
const marker = "made-by-cordon-dev"

// readyTimeout bounds the start: it takes about two seconds, more on a busy machine.
const readyTimeout = 60 * time.Second

// Run runs the whole picture until ctx ends, and returns when all of it has ended.
func Run(ctx context.Context, c Config) error {
	dir, err := filepath.Abs(c.Dir)
	if err != nil {
		return fmt.Errorf("development directory: %w", err)
	}
	if err := freshDir(dir); err != nil {
		return appliance.BadInput(err)
	}
	started := time.Now()
	d := &dev{dir: dir, log: c.Log, out: c.Out}
	if err := d.open(ctx, c.DNS); err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	for _, run := range d.parts {
		g.Go(func() error { return run(ctx) })
	}
	g.Go(func() error { return d.announce(ctx, started) })
	err = g.Wait()
	fmt.Fprintln(c.Out, "stopped")
	return err
}

// freshDir empties a directory of an earlier run; it refuses one that holds anything else.
func freshDir(dir string) error {
	entries, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, os.ErrNotExist):
	case err != nil:
		return fmt.Errorf("development directory: %w", err)
	case len(entries) > 0:
		if _, err := os.Stat(filepath.Join(dir, marker)); err != nil {
			return fmt.Errorf("directory %s holds files that cordon dev did not make: give --dir an empty or new directory", dir)
		}
		if p, ok := runningPicture(dir); ok {
			return fmt.Errorf("directory %s is in use by a running cordon dev (pid %d): stop that one, or give another --dir", dir, p.PID)
		}
	}
	for _, e := range entries {
		if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
			return fmt.Errorf("empty development directory: %w", err)
		}
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make development directory: %w", err)
	}
	return os.WriteFile(filepath.Join(dir, marker), []byte("cordon dev empties this directory at its next start\n"), 0o600)
}

// dev is a picture being put together.
type dev struct {
	dir   string
	log   *slog.Logger
	out   io.Writer
	parts []func(context.Context) error

	officers []string // folders of the operator's officers
	picture  Picture
	profile  identity.Profile
}

func (d *dev) join(elem ...string) string { return filepath.Join(append([]string{d.dir}, elem...)...) }

// open makes every part and takes every port; nothing runs yet.
func (d *dev) open(ctx context.Context, dns netip.AddrPort) error {
	hotline, err := newHotline(d.dir)
	if err != nil {
		return fmt.Errorf("make hotline: %w", err)
	}
	repository, err := d.serveRepository(hotline.repository)
	if err != nil {
		return err
	}
	upstream, err := devupstream.Listen(netip.MustParseAddrPort("127.0.0.1:0"))
	if err != nil {
		return err
	}
	d.parts = append(d.parts, upstream.Run)
	given := make(ports)
	plan, err := newPlan(hotline, repository, upstream.Addr(), dns, given)
	if err != nil {
		return err
	}
	for _, name := range []string{"ada", "grace"} {
		dir := d.join("officers", name)
		o, err := identity.NewOfficer(dir, name, true)
		if err != nil {
			return err
		}
		plan.Officers, d.officers = append(plan.Officers, o), append(d.officers, dir)
	}
	operator := d.join("operator")
	if err := identity.Init(operator, plan); err != nil {
		return fmt.Errorf("make operator: %w", err)
	}
	if err := d.encrypt(filepath.Join(operator, plan.Edges[0].Name), given); err != nil {
		return err
	}
	if err := hotline.publishFor(filepath.Join(operator, "cluster.pub")); err != nil {
		return fmt.Errorf("publish list: %w", err)
	}
	if err := d.openNodes(ctx, operator, plan); err != nil {
		return err
	}
	if d.profile, err = identity.LoadProfile(filepath.Join(operator, "operator", "profile.json")); err != nil {
		return err
	}
	d.describe(hotline, repository, operator, plan)
	return nil
}

// openNodes starts from the very files that identity wrote, as separate processes would.
func (d *dev) openNodes(ctx context.Context, operator string, plan identity.Plan) error {
	options := func(name string) appliance.Options {
		return appliance.Options{Log: d.log.With(slog.String("node", name)), Development: true}
	}
	for _, n := range plan.Controls {
		c, err := config.LoadControl(filepath.Join(operator, n.Name, "control.yaml"))
		if err != nil {
			return err
		}
		c.Poll = time.Second
		node, err := control.Open(ctx, c, options(n.Name))
		if err != nil {
			return fmt.Errorf("control node %s: %w", n.Name, err)
		}
		d.parts = append(d.parts, node.Run)
	}
	for _, n := range plan.Edges {
		c, err := config.LoadEdge(filepath.Join(operator, n.Name, "edge.yaml"))
		if err != nil {
			return err
		}
		node, err := edge.Open(ctx, c, options(n.Name))
		if err != nil {
			return fmt.Errorf("edge %s: %w", n.Name, err)
		}
		d.parts = append(d.parts, node.Run)
	}
	return nil
}

// serveRepository is the static web server that a hotline would rent.
func (d *dev) serveRepository(root string) (url string, err error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("serve repository: %w", err)
	}
	if err := os.MkdirAll(root, 0o755); err != nil {
		return "", fmt.Errorf("make repository: %w", err)
	}
	server := &http.Server{Handler: http.FileServer(http.Dir(root)), ReadHeaderTimeout: 5 * time.Second}
	d.parts = append(d.parts, func(ctx context.Context) error {
		stop := context.AfterFunc(ctx, func() { server.Close() })
		defer stop()
		if err := server.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("serve repository: %w", err)
		}
		return nil
	})
	return "http://" + ln.Addr().String(), nil
}

// newPlan is an operator with three control nodes and one edge on ports of this machine.
func newPlan(h *hotline, repository string, upstream, dns netip.AddrPort, given ports) (identity.Plan, error) {
	root, err := os.ReadFile(h.root)
	if err != nil {
		return identity.Plan{}, fmt.Errorf("read root of hotline: %w", err)
	}
	plan := identity.Plan{
		Name: "dev.cordon.test", Development: true, Created: time.Now(),
		Hotlines: []identity.Hotline{{ID: hotlineID, RootJSON: root, URL: repository}},
	}
	loopback := netip.MustParseAddr("127.0.0.1")
	for i := range 3 {
		n := identity.Node{Name: fmt.Sprintf("c%d", i+1)}
		for _, at := range []*netip.AddrPort{&n.Raft, &n.API} {
			if *at, err = given.free(loopback); err != nil {
				return plan, err
			}
		}
		plan.Controls = append(plan.Controls, n)
	}
	if !dns.IsValid() {
		if dns, err = given.free(loopback); err != nil {
			return plan, err
		}
	}
	law, voluntary := netip.MustParseAddr("127.0.0.51"), netip.MustParseAddr("127.0.0.43")
	page, err := given.free(law, voluntary)
	if err != nil {
		return plan, err
	}
	plan.Edges = []identity.EdgeNode{{
		Name: "e1", DNS: []netip.AddrPort{dns}, Upstreams: []netip.AddrPort{upstream},
		Stop: config.Stop{
			Law: config.StopAddress{IPv4: law}, Voluntary: config.StopAddress{IPv4: voluntary}, ListenPort: page.Port(),
			Implementer: "https://isp.example/blocking", Contact: "mailto:complaints@isp.example",
			Report: "https://hotline.example/report", Help: "https://help.example/",
		},
	}}
	return plan, nil
}

// ports are those given out so far.
type ports map[uint16]bool

// free finds a port that is free for UDP and TCP on all of addrs and was not given before. It keeps below the ports that the kernel hands out
// by itself, so that nobody takes it between here and the listener that wants it.
func (p ports) free(addrs ...netip.Addr) (netip.AddrPort, error) {
	for range 1000 {
		port := uint16(20000 + rand.IntN(12000))
		if !p[port] && portIsFree(port, addrs) {
			p[port] = true
			return netip.AddrPortFrom(addrs[0], port), nil
		}
	}
	return netip.AddrPort{}, fmt.Errorf("no free port found on %v", addrs)
}

func portIsFree(port uint16, addrs []netip.Addr) bool {
	for _, a := range addrs {
		at := netip.AddrPortFrom(a, port).String()
		tcp, err := net.Listen("tcp", at)
		if err != nil {
			return false
		}
		tcp.Close()
		udp, err := net.ListenPacket("udp", at)
		if err != nil {
			return false
		}
		udp.Close()
	}
	return true
}
