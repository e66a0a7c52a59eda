package witness

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	seenFormat = "cordon-seen v1"
	maxHeads   = 64      // kept of each log: two operators' looks at it are rarely further apart
	maxHead    = 8 << 10 // a note with its log's signatures alone; ML-DSA-44 takes 3.4 KB
)

// ErrFork: the log has signed two trees of one size that differ.
var ErrFork = errors.New("log has two histories")

// Fork is the evidence: two notes of one log, of one size and two roots.
type Fork struct {
	Origin        string
	Size          uint64
	First, Second []byte // with the log's signatures alone
	// Key has signed both; the zero Key when different keys of the log did, who then blame each other.
	Key Key
}

// Head is one checkpoint that was seen.
type Head struct {
	Checkpoint
	Note []byte    // with the log's signatures alone
	From string    // who showed it
	At   time.Time // when it was first seen; zero when before this process
	keys []Key
}

// SignedBy reports whether the key with this vkey has signed the checkpoint.
func (h Head) SignedBy(vkey string) bool {
	return slices.ContainsFunc(h.keys, func(k Key) bool { return k.vkey == vkey })
}

// Seen remembers which checkpoints logs have signed, whoever showed them, and finds logs that told two stories. It says nothing
// about different sizes: that takes a proof. It may be used concurrently.
type Seen struct {
	disk   files
	clock  func() time.Time
	forked func(Fork)

	mu   sync.Mutex // guards logs
	logs map[string][]Head
}

// OpenSeen reads what was seen before. Each fork is handed to forked when it is found, and again, once, at the next start. A
// damaged file is ErrDamaged, one that is gone ErrGone. Forked is not called while a method of Seen that it may call is at work.
func OpenSeen(dir string, clock func() time.Time, forked func(Fork)) (*Seen, error) {
	disk, err := openFiles(dir, seenFormat, maxHeads*(maxHead+4096))
	if err != nil {
		return nil, err
	}
	s := &Seen{disk: disk, clock: clock, forked: forked, logs: map[string][]Head{}}
	kept, err := disk.all()
	if err != nil {
		return nil, err
	}
	for name, b := range kept {
		heads, err := readHeads(b)
		if err != nil || len(heads) == 0 || disk.name(heads[0].Origin) != name {
			return nil, disk.damaged(dir + "/" + name)
		}
		if err := disk.remember(heads[0].Origin); err != nil {
			return nil, fmt.Errorf("memory of checkpoints: %w", err)
		}
		s.logs[heads[0].Origin] = heads
	}
	for _, heads := range s.logs {
		for _, f := range forks(heads) {
			forked(f)
		}
	}
	return s, nil
}

// Add remembers a checkpoint of the log; from says who showed it. Errors: those of Log.Open, ErrFork, others when it could not
// be kept.
func (s *Seen) Add(log Log, note []byte, from string) error {
	cp, keys, err := log.OpenBy(note)
	if err != nil {
		return err
	}
	if note, err = (Policy{}).Trim(note, log); err != nil {
		return err
	}
	if len(note) > maxHead {
		return fmt.Errorf("checkpoint of %s with %d bytes, at most %d: %w", clip(log.Origin), len(note), maxHead, ErrTooLarge)
	}
	found, err := s.add(Head{Checkpoint: cp, Note: note, From: clip(from), At: s.clock(), keys: keys})
	for _, f := range found {
		s.forked(f)
	}
	if err == nil && len(found) > 0 {
		err = fmt.Errorf("%s, size %d: %w", clip(cp.Origin), cp.Size, ErrFork)
	}
	return err
}

func (s *Seen) add(h Head) ([]Fork, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	heads := s.logs[h.Origin]
	if slices.ContainsFunc(heads, func(o Head) bool { return o.Checkpoint == h.Checkpoint }) {
		return nil, nil
	}
	if heads == nil && len(s.logs) >= maxItems {
		return nil, fmt.Errorf("more than %d logs: %w", maxItems, ErrTooLarge)
	}
	heads = append(slices.Clone(heads), h)
	slices.SortStableFunc(heads, func(a, b Head) int {
		switch {
		case a.Size < b.Size:
			return -1
		case a.Size > b.Size:
			return 1
		}
		return 0
	})
	heads = forget(heads)
	var found []Fork
	for _, f := range forks(heads) {
		if bytes.Equal(f.Second, h.Note) {
			found = append(found, f)
		}
	}
	if err := s.disk.write(h.Origin, writeHeads(heads)); err != nil {
		return found, err
	}
	s.logs[h.Origin] = heads
	return found, nil
}

// forget drops a checkpoint that is no evidence, when there are too many: the smallest that was shown by who showed most. So a log that signs a
// row of checkpoints with huge sizes, and has one party shown them, does not push out what others have seen.
func forget(heads []Head) []Head {
	if len(heads) <= maxHeads {
		return heads
	}
	free := func(i int) bool {
		return (i == 0 || heads[i-1].Size != heads[i].Size) && (i+1 == len(heads) || heads[i+1].Size != heads[i].Size)
	}
	shown, most := map[string]int{}, 0
	for i, h := range heads {
		if free(i) {
			shown[h.From]++
			most = max(most, shown[h.From])
		}
	}
	for i, h := range heads {
		if free(i) && shown[h.From] == most {
			return slices.Delete(heads, i, i+1)
		}
	}
	return heads[:maxHeads] // nothing but evidence: there is enough
}

// forks finds neighbours of one size; heads are in the order of sizes, those first seen first.
func forks(heads []Head) []Fork {
	var out []Fork
	for i := 1; i < len(heads); i++ {
		a, b := heads[i-1], heads[i]
		if a.Size != b.Size || a.Root == b.Root {
			continue
		}
		f := Fork{Origin: a.Origin, Size: a.Size, First: a.Note, Second: b.Note}
		for _, k := range a.keys {
			if slices.ContainsFunc(b.keys, func(o Key) bool { return o.vkey == k.vkey }) {
				f.Key = k
				break
			}
		}
		out = append(out, f)
	}
	return out
}

// CheckFork verifies evidence that another made: both notes are signed by this key, of one size, with different roots.
// Errors: those of Log.Open, ErrFormat when they are no evidence.
func CheckFork(key Key, first, second []byte) (size uint64, err error) {
	log, err := NewLog(key)
	if err != nil {
		return 0, err
	}
	a, err := log.Open(first)
	if err != nil {
		return 0, err
	}
	b, err := log.Open(second)
	if err != nil {
		return 0, err
	}
	if a.Size != b.Size || a.Root == b.Root {
		return 0, fmt.Errorf("checkpoints of %s of sizes %d and %d can be one history: %w", clip(log.Origin), a.Size, b.Size, ErrFormat)
	}
	return a.Size, nil
}

// Newest are the largest checkpoints that were seen of each log, one by each who showed some, by origin and size; of a fork the first one.
func (s *Seen) Newest() []Head {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []Head
	for _, origin := range slices.Sorted(maps.Keys(s.logs)) {
		last := map[string]Head{}
		for _, h := range s.logs[origin] {
			if have, ok := last[h.From]; !ok || have.Size < h.Size {
				last[h.From] = h
			}
		}
		of := slices.Collect(maps.Values(last))
		slices.SortFunc(of, func(a, b Head) int { return cmp.Or(cmp.Compare(a.Size, b.Size), bytes.Compare(a.Note, b.Note)) })
		out = append(out, slices.CompactFunc(of, func(a, b Head) bool { return a.Checkpoint == b.Checkpoint })...)
	}
	return out
}

// Heads are the checkpoints that are remembered of a log, smallest first.
func (s *Seen) Heads(origin string) []Head {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.logs[origin])
}

// writeHeads writes for each head "LENGTH FROM KEY...\n" and the note, in their order.
func writeHeads(heads []Head) []byte {
	var b bytes.Buffer
	for _, h := range heads {
		var keys []string
		for _, k := range h.keys {
			keys = append(keys, k.vkey)
		}
		fmt.Fprintf(&b, "%d %s %s\n", len(h.Note), strings.ReplaceAll(strconv.QuoteToASCII(h.From), " ", `\x20`), strings.Join(keys, " "))
		b.Write(h.Note)
	}
	return b.Bytes()
}

func readHeads(b []byte) ([]Head, error) {
	var out []Head
	for len(b) > 0 {
		line, rest, _ := bytes.Cut(b, []byte("\n"))
		f := strings.Split(string(line), " ")
		if len(f) < 3 || len(out) == maxHeads {
			return nil, ErrFormat
		}
		n, err := strconv.Atoi(f[0])
		from, err2 := strconv.Unquote(f[1])
		if err = errors.Join(err, err2); err != nil || n < 1 || n > len(rest) {
			return nil, ErrFormat
		}
		var keys []Key
		for _, v := range f[2:] {
			k, err := ParseLogKey(v)
			if err != nil {
				return nil, err
			}
			keys = append(keys, k)
		}
		log, err := NewLog(keys...)
		if err != nil {
			return nil, err
		}
		note := bytes.Clone(rest[:n])
		cp, err := log.Open(note)
		if err != nil || len(out) > 0 && out[0].Origin != cp.Origin {
			return nil, ErrFormat
		}
		out = append(out, Head{Checkpoint: cp, Note: note, From: from, keys: keys})
		b = rest[n:]
	}
	return out, nil
}
