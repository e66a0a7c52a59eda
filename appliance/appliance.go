// Package appliance is what the processes of an operator have in common: what a process adds to its configuration file, the data directory
// that one node holds, the cluster file, how keys are kept in memory, what a program says of itself, and the error that is about what a person named.
//
// What runs is in the rooms below: control and edge are the two kinds of node, dev runs both on loopback, and operator asks them. They meet only
// through sockets, files and signatures, so control, edge and operator do not import each other.
package appliance

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/cordon-project/cordon/cluster/audit"
)

// Options are what a process adds to its configuration file.
type Options struct {
	Log         *slog.Logger
	Clock       func() time.Time // nil: time.Now
	Rejoin      bool             // a control node whose log was lost takes it from the others, once
	Development bool             // accept the throw-away keys of cordon dev; only cordon dev itself sets it
}

// ClockOrNow is the clock to go by: Clock, or time.Now.
func (o Options) ClockOrNow() func() time.Time {
	if o.Clock != nil {
		return o.Clock
	}
	return time.Now
}

// ErrDevelopment refuses keys that cordon dev made: anyone may have a copy.
var ErrDevelopment = errors.New("made by cordon dev for trying things out; a real node needs its own from cordon init")

// InputError is about a file, key or directory that the caller named: something to mend there, not here. BadInput makes one.
type InputError struct{ err error }

func (e *InputError) Error() string { return e.err.Error() }
func (e *InputError) Unwrap() error { return e.err }

// BadInput makes an InputError of an error; nil stays nil.
func BadInput(err error) error {
	if err == nil {
		return nil
	}
	return &InputError{err}
}

// ReadCluster reads a cluster file and holds it to the kind of process that reads it: ErrDevelopment for one of cordon dev elsewhere. What is
// wrong is an InputError.
func ReadCluster(path string, o Options) (audit.Cluster, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return audit.Cluster{}, BadInput(fmt.Errorf("read cluster file: %w; cordon init makes it, and every node holds the same one", err))
	}
	c, err := audit.ParseCluster(b)
	if err != nil {
		return audit.Cluster{}, BadInput(fmt.Errorf("read cluster file %s: %w; copy it again from another node", path, err))
	}
	if c.Development && !o.Development {
		return audit.Cluster{}, BadInput(fmt.Errorf("cluster file %s: %w", path, ErrDevelopment))
	}
	return c, nil
}

// DataDir is a data directory that belongs to one node of one cluster, held by one process at a time. It may be used concurrently.
type DataDir struct {
	path string
	lock *os.File
}

const ownerFile = "owner"

// Claim makes or takes the directory of a node with this role and name. One that belongs to another node or to something else, or that another
// process holds, is an InputError, and untouched. A disk that is mounted read-only will do.
func Claim(path, cluster, role, name string) (*DataDir, error) {
	owner := fmt.Sprintf("cordon %s %s of cluster %s\n", role, name, cluster)
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, BadInput(fmt.Errorf("make data directory: %w", err))
	}
	others, err := strangers(path)
	if err != nil {
		return nil, BadInput(err)
	}
	owned := filepath.Join(path, ownerFile)
	lock, err := os.OpenFile(owned, os.O_RDWR|os.O_CREATE, 0o600)
	if errors.Is(err, unix.EROFS) { // a disk that has failed is mounted so: what lies on it still serves (P3)
		lock, err = os.Open(owned)
	}
	if err != nil {
		return nil, fmt.Errorf("open data directory %s: %w", path, err)
	}
	d := &DataDir{path, lock}
	if err := d.take(owner, others); err != nil {
		lock.Close()
		return nil, BadInput(err)
	}
	return d, nil
}

func errForeign(path string) error {
	return fmt.Errorf("data directory %s holds files that are not of a Cordon node: choose an empty or new directory", path)
}

// strangers reports whether other files lie beside the owner file, before anything is made there; without it they are somebody else's.
func strangers(path string) (bool, error) {
	entries, err := os.ReadDir(path)
	if err != nil {
		return false, fmt.Errorf("open data directory: %w", err)
	}
	owned := slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return e.Name() == ownerFile })
	if !owned && len(entries) > 0 {
		return true, errForeign(path)
	}
	return len(entries) > 1, nil
}

func (d *DataDir) take(owner string, others bool) error {
	if err := unix.Flock(int(d.lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return fmt.Errorf("data directory %s is in use by another running process: stop that one first", d.path)
	}
	b := make([]byte, 4096)
	n, _ := d.lock.ReadAt(b, 0)
	switch held := string(b[:n]); held {
	case owner:
		return nil
	case "":
		if others {
			return errForeign(d.path)
		}
		if _, err := d.lock.WriteAt([]byte(owner), 0); err != nil {
			return fmt.Errorf("mark data directory: %w", err)
		}
		return d.lock.Sync()
	default:
		return fmt.Errorf("data directory %s belongs to %q, not to %q: choose another directory", d.path, strings.TrimSpace(held), strings.TrimSpace(owner))
	}
}

// Join is the path of what lies in the directory; without elements, its own.
func (d *DataDir) Join(elem ...string) string {
	return filepath.Join(append([]string{d.path}, elem...)...)
}

// Close gives the directory up.
func (d *DataDir) Close() error { return d.lock.Close() }

// Closers are what an Open has taken so far, undone last first when it fails.
type Closers []interface{ Close() error }

// Add takes one more.
func (c *Closers) Add(x interface{ Close() error }) { *c = append(*c, x) }

// Close closes all of them, whatever each says.
func (c *Closers) Close() {
	for i := len(*c) - 1; i >= 0; i-- {
		(*c)[i].Close()
	}
}
