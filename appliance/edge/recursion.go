package edge

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/cordon-project/cordon/appliance"
	"github.com/cordon-project/cordon/appliance/api"
	"github.com/cordon-project/cordon/appliance/config"
	"github.com/cordon-project/cordon/resolver/upstream/unbound"
)

// openRecursion prepares the Unbound of an edge whose file says upstream: recursive.
func openRecursion(c *config.Edge, dir *appliance.DataDir, o appliance.Options) (*unbound.Resolver, error) {
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
func recursionDir(name string, dir *appliance.DataDir) (string, error) {
	if os.Geteuid() != 0 {
		return dir.Join("unbound"), nil
	}
	const run = "/run/cordon"
	if err := os.MkdirAll(run, 0o711); err != nil {
		return "", fmt.Errorf("make the folder of unbound: %w", err)
	}
	if err := os.Chmod(run, 0o711); err != nil { // whatever the umask: Unbound must get through to its own folder
		return "", fmt.Errorf("make the folder of unbound: %w", err)
	}
	whole, err := filepath.Abs(dir.Join())
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
