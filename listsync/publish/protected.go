package publish

import (
	"errors"
	"io/fs"
	"os"
	"slices"
	"time"

	"github.com/cordon-project/cordon/listsync/brake"
)

// protectedNames are the names that this hotline's brakes ask about: the shipped never-block list, the hotline's own never-block.txt,
// the given files, the canary, and the popularity file of hotline.json.
func (s *session) protectedNames(files []string) (*brake.Names, error) {
	popularity, err := s.popularity()
	if err != nil {
		return nil, err
	}
	names := brake.NewNames(popularity)
	if own := s.path("never-block.txt"); exists(own) {
		files = append([]string{own}, files...)
	}
	for _, path := range files {
		if err := readNeverBlock(names, path); err != nil {
			return nil, err
		}
	}
	names.Add(brake.Hotline, s.set.Canary) // the canary is listed by the tool itself; nothing may cover it
	return names, nil
}

func readNeverBlock(names *brake.Names, path string) error {
	f, err := os.Open(path)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return sentence(CodeInput, nil, "check the path", "there is no never-block list %s", path)
		}
		return fault(CodeFailure, err, "check the path", "cannot read the never-block list %s", path)
	}
	defer f.Close()
	if info, serr := f.Stat(); serr == nil && info.IsDir() {
		return sentence(CodeInput, nil, "name a file with one name a line", "the never-block list %s is a directory", path)
	}
	err = names.Read(f)
	if line, ok := errors.AsType[*brake.LineError](err); ok {
		return sentence(CodeInput, nil, "write one name a line; # begins a comment", "line %d of %s is not a name: %s", line.Line, path, canonReason(line.Err))
	} else if err != nil {
		return fault(CodeFailure, err, "check the disk", "cannot read the never-block list %s", path)
	}
	return nil
}

// brakes are the hotline's limits as the brakes know them.
func (l Limits) brakes() brake.Limits {
	b := brake.Limits{
		MaxEntries: min(l.MaxEntries, maxEntries), MinChange: l.MinChange, MaxChangePercent: l.MaxChangePercent, MaxRemovePercent: l.MaxChangePercent,
		MaxWindowPercent: l.MaxWindowPercent, MaxBroadPercent: l.MaxBroadPercent,
	}
	if b.MaxWindowPercent == 0 {
		b.MaxWindowPercent = 3 * b.MaxChangePercent
	}
	if b.MaxBroadPercent == 0 {
		b.MaxBroadPercent = b.MaxChangePercent
	}
	return b
}

// maxSteps bounds the manifests that are read for the sliding window.
const maxSteps = 200

// recent are the manifests of the last published versions, newest first: those of the sliding window and the one before it.
func (s *session) recent() ([]*manifest, error) {
	var out []*manifest
	for m, err := range s.versions(s.st.Seq) {
		if err != nil {
			return nil, err
		}
		if out = append(out, m); s.beforeWindow(m) || len(out) == maxSteps {
			break
		}
	}
	return out, nil
}

func (s *session) beforeWindow(m *manifest) bool {
	return time.Unix(m.Published, 0).Before(s.now.Add(-brake.Span))
}

// numbers are the working set's, beside those of the last published version.
func (s *session) numbers(d *Diff) (brake.Numbers, error) {
	n := brake.Numbers{
		Entries: d.After, First: d.From == 0, Before: d.Before, Added: d.AddedCount, Removed: d.RemovedCount,
		BroadAdded: d.ByKind["domain"] + d.ByKind["host"], Now: s.now,
	}
	recent, err := s.recent()
	if err != nil {
		return n, err
	}
	for i, m := range recent {
		if i == 0 {
			n.BroadBefore = m.Kinds["domain"] + m.Kinds["host"]
		}
		after := -1 // the canary
		for _, k := range m.Kinds {
			after += k
		}
		if !s.beforeWindow(m) {
			seen := slices.ContainsFunc(m.Approvals, func(a Approval) bool { return a.Entry == "" })
			n.Recent = append(n.Recent, brake.Step{At: time.Unix(m.Published, 0), Before: after - m.Added + m.Removed, Added: m.Added, Seen: seen})
		}
	}
	return n, nil
}
