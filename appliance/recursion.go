package appliance

import (
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/cordon-project/cordon/appliance/api"
	"github.com/cordon-project/cordon/appliance/config"
	"github.com/cordon-project/cordon/resolver/upstream/unbound"
)

// openRecursion prepares the Unbound of an edge whose file says upstream: recursive.
func openRecursion(c *config.Edge, dir *dataDir, o Options) (*unbound.Resolver, error) {
	place, err := recursionDir(c.Name, dir)
	if err != nil {
		return nil, err
	}
	r := &c.Recursion
	return unbound.Open(unbound.Config{
		Dir: place, Listen: r.Listen, Program: r.Program, TrustAnchor: r.TrustAnchor, RootHints: r.RootHints, User: r.User,
		Threads: r.Threads, CacheMB: r.CacheMB, Log: o.Log,
	})
}

// recursionDir is where an edge's Unbound has its configuration and control socket: in the data directory, unless the edge is root. Then
// Unbound is somebody else, whom nothing of the data directory concerns, and gets a folder in /run.
func recursionDir(name string, dir *dataDir) (string, error) {
	if os.Geteuid() != 0 {
		return dir.join("unbound"), nil
	}
	const run = "/run/cordon"
	if err := os.MkdirAll(run, 0o711); err != nil {
		return "", fmt.Errorf("make the folder of unbound: %w", err)
	}
	if err := os.Chmod(run, 0o711); err != nil { // whatever the umask: Unbound must get through to its own folder
		return "", fmt.Errorf("make the folder of unbound: %w", err)
	}
	whole, err := filepath.Abs(dir.path)
	if err != nil {
		return "", fmt.Errorf("make the folder of unbound: %w", err)
	}
	sum := sha256.Sum256([]byte(whole)) // edges of several clusters may share a machine and a name
	return filepath.Join(run, fmt.Sprintf("%s-%x", name, sum[:4])), nil
}

// recursion is what an edge tells control nodes of its Unbound.
func recursion(s unbound.State) api.Recursion {
	out := api.Recursion{
		State: "starting", Since: s.Since.UTC().Truncate(time.Second), Starts: s.Starts, Queries: s.Counts.Queries, Hits: s.Counts.Hits, Found: s.Counts.Found,
		Asked: s.Counts.Asked, ServFail: s.Counts.ServFail, Bogus: s.Counts.Bogus, Secure: s.Counts.Secure, Unwanted: s.Counts.Unwanted,
	}
	switch {
	case s.Answering && s.Err == nil:
		out.State = "answering"
	case s.Err != nil:
		out.State = "ended"
		for word, is := range map[string]error{"missing": unbound.ErrMissing, "anchor": unbound.ErrAnchor, "refused": unbound.ErrRefused, "silent": unbound.ErrSilent, "blind": unbound.ErrBlind} {
			if errors.Is(s.Err, is) {
				out.State = word
			}
		}
	}
	return out
}

// whyNoRecursion says what the words of api.Recursion mean that are a problem, and what to do.
var whyNoRecursion = map[string]string{
	"missing": unbound.ErrMissing.Error(),
	"anchor":  unbound.ErrAnchor.Error(),
	"refused": "its unbound does not start; the edge's log says why",
	"silent":  "its unbound does not answer and is being started again; the edge's log says more",
	"blind":   "its " + unbound.ErrBlind.Error(),
	"ended":   "its unbound ended by itself and is being started again; the edge's log says more",
}

// recursions are what edges last said of their resolvers, to any control node.
func recursions(nodes []NodeStatus) map[string]*api.Recursion {
	return lastSaid(nodes, func(e api.EdgeStatus) *api.Recursion { return e.Recursion }, func(says *api.Recursion) time.Time { return says.At })
}

// reportRecursion prints a line about an edge's Unbound, if it has one.
func reportRecursion(w io.Writer, r *api.Recursion) {
	if r == nil {
		return
	}
	fmt.Fprintf(w, "    its unbound: %s since %s, started %s; %d questions, %d of them from its cache, %d to other servers; %d failed, %d of them bogus; %d signed and valid\n",
		r.State, clock(r.Since), times(r.Starts), r.Queries, r.Hits, r.Asked, r.ServFail, r.Bogus, r.Secure)
}

func times(n uint64) string {
	return cmp.Or(map[uint64]string{0: "never", 1: "once", 2: "twice"}[n], fmt.Sprintf("%d times", n))
}
