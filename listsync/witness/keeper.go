package witness

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// ErrUnknownLog: this witness does not watch the log.
var ErrUnknownLog = errors.New("not a log that this witness watches")

// Conflict: the log is not where the asker thinks. Size is the last that this witness cosigned.
type Conflict struct {
	Origin string
	Size   uint64
}

func (c *Conflict) Error() string {
	return fmt.Sprintf("%s: this witness has cosigned size %d, or another root of this size", clip(c.Origin), c.Size)
}

// KeeperConfig is what a Keeper is made of.
type KeeperConfig struct {
	Dir   string // its own: one file for each log
	Hand  Cosigner
	Clock func() time.Time
	// Saw is told every checkpoint that a watched log has signed, whatever becomes of the request. May be nil.
	Saw func(log Log, note []byte)
}

// Keeper is a witness (c2sp.org/tlog-witness): for each log it watches it keeps the last checkpoint it cosigned, and cosigns
// only what continues it. What it has cosigned is on disk before anybody sees the cosignature. It may be used concurrently.
type Keeper struct {
	c    KeeperConfig
	disk files

	mu    sync.Mutex // guards both maps, not what they hold
	logs  map[string]Log
	heads map[string]*head // by origin; those no longer watched too
}

// head is the last checkpoint of one log that was cosigned.
type head struct {
	mu   sync.Mutex // held from check to answer: two requests must not both continue the same head
	cp   Checkpoint
	note []byte // with the log's signatures; nil while nothing was cosigned
	at   time.Time
}

const (
	headFormat  = "cordon-witness v1"
	maxHeadFile = MaxNote + 128
)

// OpenKeeper reads what was cosigned so far. A damaged file is ErrDamaged, one that is gone ErrGone: the witness
// does not start.
func OpenKeeper(c KeeperConfig) (*Keeper, error) {
	disk, err := openFiles(c.Dir, headFormat, maxHeadFile)
	if err != nil {
		return nil, err
	}
	k := &Keeper{c: c, disk: disk, logs: map[string]Log{}, heads: map[string]*head{}}
	kept, err := disk.all()
	if err != nil {
		return nil, err
	}
	for name, b := range kept {
		cp, _, err := openNote(b, nil)
		if err != nil || disk.name(cp.Origin) != name {
			return nil, disk.damaged(c.Dir + "/" + name)
		}
		if err := disk.remember(cp.Origin); err != nil {
			return nil, fmt.Errorf("memory of checkpoints: %w", err)
		}
		k.heads[cp.Origin] = &head{cp: cp, note: b}
	}
	return k, nil
}

// SetLogs says which logs are watched from now on; two of one origin are an error, and so are too many.
func (k *Keeper) SetLogs(logs []Log) error {
	if len(logs) > maxItems {
		return fmt.Errorf("witness of %d logs, at most %d: %w", len(logs), maxItems, ErrTooLarge)
	}
	m := make(map[string]Log, len(logs))
	for _, l := range logs {
		if _, ok := m[l.Origin]; ok {
			return fmt.Errorf("witness: log %s is there twice: %w", clip(l.Origin), ErrFormat)
		}
		m[l.Origin] = l
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.logs = m
	return nil
}

// Keys are this witness's verifier keys.
func (k *Keeper) Keys() []Key { return k.c.Hand.Keys() }

// Watched says where a log is that this witness watches.
type Watched struct {
	Origin string
	Size   uint64    // last cosigned; 0 while nothing was
	At     time.Time // since this process started; zero before
}

// Watches lists the watched logs by origin.
func (k *Keeper) Watches() []Watched {
	k.mu.Lock()
	logs := k.logs
	k.mu.Unlock()
	out := make([]Watched, 0, len(logs))
	for origin := range logs {
		h := k.head(origin)
		h.mu.Lock()
		out = append(out, Watched{Origin: origin, Size: h.cp.Size, At: h.at})
		h.mu.Unlock()
	}
	slices.SortFunc(out, func(a, b Watched) int { return strings.Compare(a.Origin, b.Origin) })
	return out
}

func (k *Keeper) head(origin string) *head {
	k.mu.Lock()
	defer k.mu.Unlock()
	h, ok := k.heads[origin]
	if !ok {
		h = &head{cp: Checkpoint{Origin: origin, Root: sha256.Sum256(nil)}}
		k.heads[origin] = h
	}
	return h
}

func (k *Keeper) log(origin string) (Log, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	l, ok := k.logs[origin]
	return l, ok
}

// Add cosigns a checkpoint that continues what this witness cosigned of the log before. Errors, in the order of the
// specification: ErrFormat and ErrTooLarge, ErrUnknownLog, ErrSignature, ErrFormat (old beyond the checkpoint),
// *Conflict, ErrProof; others mean that the head could not be kept, and nothing was signed.
func (k *Keeper) Add(r Request) ([]byte, error) {
	origin, err := Origin(r.Note)
	if err != nil {
		return nil, err
	}
	log, ok := k.log(origin)
	if !ok {
		return nil, fmt.Errorf("%q: %w", clip(origin), ErrUnknownLog)
	}
	cp, err := log.Open(r.Note)
	if err != nil {
		return nil, err
	}
	if k.c.Saw != nil {
		k.c.Saw(log, r.Note)
	}
	if r.Old > cp.Size {
		return nil, fmt.Errorf("old size %d is beyond the checkpoint's %d: %w", r.Old, cp.Size, ErrFormat)
	}
	h := k.head(origin)
	h.mu.Lock()
	defer h.mu.Unlock()
	if r.Old != h.cp.Size || cp.Size == h.cp.Size && cp.Root != h.cp.Root {
		return nil, &Conflict{origin, h.cp.Size}
	}
	if err := cp.Continues(h.cp, r.Proof); err != nil {
		return nil, err
	}
	text, _ := split(r.Note)
	at := k.c.Clock()
	lines, err := k.c.Hand.Cosign(string(text[:len(text)-1]), at)
	if err != nil {
		return nil, err
	}
	if h.note == nil || cp != h.cp {
		note, err := Policy{}.Trim(r.Note, log)
		if err != nil {
			return nil, err
		}
		if err := k.disk.write(origin, note); err != nil {
			return nil, err
		}
		h.cp, h.note = cp, note
	}
	h.at = at
	return lines, nil
}
