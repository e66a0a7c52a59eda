package edge

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/google/renameio/v2"

	"github.com/cordon-project/cordon/appliance"
	"github.com/cordon-project/cordon/appliance/identity"
	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/listsync/fetch"
	"github.com/cordon-project/cordon/listsync/trust"
	"github.com/cordon-project/cordon/resolver/match"
	"github.com/cordon-project/cordon/resolver/match/locked"
)

// source gives an edge what its manifest names: files by hash, wrapped keys. What comes is verified here, whoever gave it.
type source interface {
	File(ctx context.Context, sum [32]byte) (io.ReadCloser, error)
	Keys(ctx context.Context, list match.ListID, epoch uint32) ([]byte, error)
}

// shelf is an edge's disk: verified edge lists with their indexes, and keys wrapped to the edge's own node key. Nothing on it can be tested
// against a guessed name without that node key.
type shelf struct {
	files *fetch.Store // edge lists by hash
	dir   *appliance.DataDir
	key   identity.AgeKey
	log   *slog.Logger

	mu         sync.Mutex // guards lists, their users, and distrusted
	lists      map[[32]byte]*sharedList
	distrusted map[[32]byte]bool // a list that deltas made wrong: it is fetched whole

	// owned by whoever calls load
	held       map[string]trust.EpochKeys // of the last set that came to be, by keyPath; one share each
	weakMemory bool                       // said once that keys may be swapped
	unpinned   bool                       // said once that lists may be taken out of memory
}

func openShelf(dir *appliance.DataDir, key identity.AgeKey, log *slog.Logger) (*shelf, error) {
	files, err := fetch.OpenStore(dir.Join("lists"))
	if err != nil {
		return nil, err
	}
	for _, name := range []string{"keys", "indexes"} {
		if err := os.MkdirAll(dir.Join(name), 0o700); err != nil {
			return nil, fmt.Errorf("make data directory: %w", err)
		}
	}
	return &shelf{files: files, dir: dir, key: key, log: log, lists: map[[32]byte]*sharedList{}}, nil
}

// loaded is a set ready to serve and the memory it reads from: mapped lists, locked keys.
type loaded struct {
	set  *match.Set
	maps []io.Closer
}

// Close gives the memory up; nobody may ask the set after it. It may be called again.
func (l *loaded) Close() error {
	var errs []error
	for _, m := range l.maps {
		errs = append(errs, m.Close())
	}
	l.maps = nil
	return errors.Join(errs...)
}

// load makes the set that a verified manifest puts in force, tests it on itself, and returns it. What the shelf lacks comes from src; a nil
// src means that only the shelf may be used, as after a restart without any control node.
func (s *shelf) load(ctx context.Context, m *audit.Opened, src source, neverBlock []string, now time.Time) (*loaded, error) {
	l, err := s.assemble(ctx, m, src, false)
	if errors.Is(err, errCanary) && src != nil {
		l, err = s.assemble(ctx, m, src, true) // the keys that lie here may be of another time
	}
	if err != nil {
		return nil, err
	}
	if err := testNeverBlock(l.set, neverBlock, now); err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

func (s *shelf) assemble(ctx context.Context, m *audit.Opened, src source, anew bool) (_ *loaded, err error) {
	l := &loaded{}
	defer func() {
		if err != nil {
			l.Close()
		}
	}()
	var members []match.Member
	var canaries []string
	var fresh []*wrapped
	held, unwrapped := map[string]trust.EpochKeys{}, false
	for _, o := range m.Lists {
		in := o.InForceList
		list, err := s.list(ctx, o, src)
		if err != nil {
			return nil, fmt.Errorf("load list %s seq %d: %w", in.List, in.Seq, err)
		}
		l.maps = append(l.maps, list)
		filter, err := in.Filter.Match()
		if err != nil {
			return nil, fmt.Errorf("load list %s seq %d: %w", in.List, in.Seq, err)
		}
		_, known := s.held[s.keyPath(in)]
		unwrapped = unwrapped || anew || !known
		keys, came, err := s.keys(ctx, in, src, anew)
		if err != nil {
			return nil, fmt.Errorf("load keys of list %s epoch %d: %w", in.List, in.Epoch, err)
		}
		l.maps = append(l.maps, keys)
		held[s.keyPath(in)] = keys
		s.noteMemory(ctx, keys.Mode())
		if came != nil {
			fresh = append(fresh, came)
		}
		members = append(members, match.Member{Edge: list.edge, Index: list.index, Filter: filter, Keys: keys.Keys})
		canaries = append(canaries, o.Target.Canaries...)
	}
	if err := testCanaries(members, canaries); err != nil {
		return nil, err
	}
	s.keep(ctx, fresh)
	s.hold(held)
	if unwrapped {
		locked.Erase()
	}
	set, err := match.NewSet(members, m.InForce.Overlay())
	if err != nil {
		return nil, err
	}
	l.set = set.WithBypass(uint32(m.InForce.Bypass))
	return l, nil
}

var errCanary = errors.New("self-test: a canary is not stopped, so the keys do not fit the list")

// testCanaries asks the lists what they must answer before anybody else may ask them. It looks at the lists as they were signed: a canary
// that was withdrawn, or that is past its review date, still proves that keys and index fit, and must not take everything else out of force.
func testCanaries(members []match.Member, canaries []string) error {
	asSigned, err := match.NewSet(members, nil)
	if err != nil {
		return err
	}
	const beforeAnyReview = 0
	for _, name := range canaries {
		if v := asSigned.Name([]byte(name), beforeAnyReview); !v.Listed || !v.Canary {
			return fmt.Errorf("%w (%s)", errCanary, name)
		}
	}
	return nil
}

// testNeverBlock holds a set against the names that this edge's operator says no list may stop, with "www." and without, as the control
// nodes do before.
func testNeverBlock(set *match.Set, names []string, now time.Time) error {
	for i, name := range names {
		for _, asked := range []string{name, "www." + name} {
			if set.Name([]byte(asked), uint32(now.Unix())).Listed {
				return fmt.Errorf("self-test: entry %d of never_block would be stopped", i+1)
			}
		}
	}
	return nil
}

// wrapped are keys as a control node gave them, not yet proved to fit their list.
type wrapped struct {
	path string
	b    []byte
}

// keys opens the epoch's keys into locked memory, which the caller closes; what lies on disk is wrapped to the node key. Keys that came from
// src are returned as they came, too: they go to disk when the list has proved them. anew passes over memory and disk.
func (s *shelf) keys(ctx context.Context, in audit.InForceList, src source, anew bool) (trust.EpochKeys, *wrapped, error) {
	path := s.keyPath(in)
	if keys, ok := s.held[path]; ok && !anew {
		return keys.Share(), nil, nil
	}
	if b, err := os.ReadFile(path); err == nil && !anew {
		if keys, err := s.unwrap(b, in); err == nil {
			return keys, nil, nil
		}
	}
	if src == nil {
		return trust.EpochKeys{}, nil, errors.New("keys are not on this disk and no control node can be asked")
	}
	b, err := src.Keys(ctx, in.List, in.Epoch)
	if err != nil {
		return trust.EpochKeys{}, nil, err
	}
	keys, err := s.unwrap(b, in)
	return keys, &wrapped{path, b}, err
}

// keep puts keys that fit on disk, where a restart finds them.
func (s *shelf) keep(ctx context.Context, fresh []*wrapped) {
	for _, w := range fresh {
		if err := renameio.WriteFile(w.path, w.b, 0o600); err != nil {
			s.log.ErrorContext(ctx, "wrapped keys not kept: a restart needs a control node", slog.Any("error", err))
		}
	}
}

// hold takes a share of each key of a new set, and gives up those of the set before: removals, which come often, need no new copy.
func (s *shelf) hold(now map[string]trust.EpochKeys) {
	before := s.held
	s.held = map[string]trust.EpochKeys{}
	for path, k := range now {
		s.held[path] = k.Share()
	}
	for _, k := range before {
		k.Close()
	}
}

func (s *shelf) keyPath(in audit.InForceList) string {
	return s.dir.Join("keys", strings.ReplaceAll(string(in.List), "/", ".")+fmt.Sprintf(".%d.age", in.Epoch))
}

func (s *shelf) unwrap(b []byte, in audit.InForceList) (trust.EpochKeys, error) {
	k, err := trust.UnwrapKeys(b, s.key.Identity)
	if err != nil {
		return k, err
	}
	if k.List != in.List || k.Epoch != in.Epoch {
		defer k.Close()
		return trust.EpochKeys{}, fmt.Errorf("keys are of list %s epoch %d", k.List, k.Epoch)
	}
	return k, nil
}

// noteMemory says, once, that list keys may be swapped.
func (s *shelf) noteMemory(ctx context.Context, m locked.Mode) {
	if m == locked.Plain && !s.weakMemory {
		s.weakMemory = true
		s.log.WarnContext(ctx, "list keys are in memory that may be swapped: allow this process to lock memory (LimitMEMLOCK=8M in its unit)", slog.Any("memory", m.String()))
	}
}

// tidy removes what no set of keep uses: that in force, the one before it, and the one that a restart would bring back, which is one of the
// two while manifests can be kept.
func (s *shelf) tidy(keep ...audit.InForce) {
	lists, indexes, keys := map[[32]byte]bool{}, map[string]bool{}, map[string]bool{}
	for _, f := range keep {
		for _, in := range f.Lists {
			lists[in.Edge] = true
			indexes[filepath.Base(s.indexPath(in.Edge))] = true
			keys[filepath.Base(s.keyPath(in))] = true
		}
	}
	s.files.RemoveExcept(lists)
	removeExcept(s.dir.Join("indexes"), indexes)
	removeExcept(s.dir.Join("keys"), keys)
}

func removeExcept(dir string, keep map[string]bool) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	for _, e := range entries {
		if !keep[e.Name()] && e.Type().IsRegular() {
			os.Remove(filepath.Join(dir, e.Name()))
		}
	}
}
