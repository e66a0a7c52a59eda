package publish

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"github.com/cordon-project/cordon/listsync/trust"
)

// seen is what the repository says is published.
type seen struct {
	timestamp, snapshot int64
	seq                 uint64
	list                []byte
}

// published reads the repository from its timestamp down; zero values when nothing is there.
func (s *session) published() (seen, error) {
	var p seen
	ts, _, err := readEnvelope(s.repository(filepath.FromSlash(trust.TimestampName)), "timestamp")
	if errors.Is(err, fs.ErrNotExist) {
		return p, nil
	}
	if err != nil {
		return p, err
	}
	p.timestamp, p.snapshot = ts.head.Version, ts.head.Meta["snapshot.json"].Version
	sn, _, err := readEnvelope(s.repository(filepath.FromSlash(trust.SnapshotName(p.snapshot))), "snapshot")
	if err != nil {
		return p, err
	}
	version := sn.head.Meta[trust.RoleName(s.set.Hotline)+".json"].Version
	_, p.list, err = readEnvelope(s.repository(filepath.FromSlash(trust.ListName(s.set.Hotline, version))), "targets")
	p.seq = uint64(version)
	return p, err
}

// finishInterrupted finishes what a command that was cut off has left: a version whose timestamp is out but which state.json does not
// know, and a withdrawal that is signed but not out.
func (s *session) finishInterrupted() error {
	p, err := s.published()
	if err != nil {
		return fault(CodeInput, err, "put the repository back from a mirror", "cannot use the repository %s", s.repository())
	}
	if p.seq > s.st.Seq {
		c, e, _, err := s.loadCandidate()
		if err != nil {
			return err
		}
		if c == nil || c.Seq != p.seq || s.acc == nil {
			return sentence(CodeInput, nil, "restore the newest backup of the directory: signing here would make a second version "+strconv.FormatUint(p.seq, 10),
				"the repository %s has version %d, and this directory knows only version %d", s.repository(), p.seq, s.st.Seq)
		}
		if err := s.finish(c, e, trust.HighWater{Snapshot: p.snapshot, Timestamp: p.timestamp}); err != nil {
			return err
		}
	}
	if p.timestamp > s.st.Timestamp || p.snapshot > s.st.Snapshot {
		s.st.Timestamp, s.st.Snapshot = max(p.timestamp, s.st.Timestamp), max(p.snapshot, s.st.Snapshot)
		if err := s.saveState(); err != nil {
			return err
		}
	}
	return s.finishWithdrawal()
}

// sweep takes away what a command that was killed while it wrote has left: files that never got their name, with plain addresses in them
// and perhaps gigabytes long. The lock is held, so nobody writes one now. A failure is of no consequence; the next command tries again.
func (s *session) sweep() {
	for _, pattern := range []string{s.path(".entries.jsonl*"), s.path(".import-*"), s.path("staging", ".*"), s.path("versions", ".*.entries.jsonl*")} {
		left, _ := filepath.Glob(pattern) // the patterns are good
		for _, path := range left {
			os.Remove(path)
		}
	}
}

// mendLogs takes off a log of this hotline what a full disk or a crash has left of a line behind the last whole one: the command that
// wrote it has not ended well, and the next one writes it again where it must. Without this no command could read the log, and the next
// line would be spoiled too.
func (s *session) mendLogs() {
	for _, name := range []string{"removals.jsonl", "holdbacks.jsonl", "attestations.jsonl", "trace.jsonl"} {
		_ = mendLog(s.path(name)) // what cannot be mended is told by who reads it
	}
}

func mendLog(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	tail := make([]byte, min(info.Size(), 2*maxEntryLine))
	start := info.Size() - int64(len(tail))
	if _, err := f.ReadAt(tail, start); err != nil || len(tail) == 0 || tail[len(tail)-1] == '\n' {
		return err
	}
	line := bytes.LastIndexByte(tail, '\n') + 1
	switch {
	case json.Valid(tail[line:]): // whole, and only its end is missing
		_, err = f.WriteAt([]byte("\n"), info.Size())
	case line > 0 || start == 0:
		err = f.Truncate(start + int64(line))
	}
	return cmp.Or(err, f.Sync())
}

// moveRepository takes the repository to another directory: everything but timestamp.json is copied first.
func (s *session) moveRepository(out string) error {
	if out == "" {
		return nil
	}
	abs, err := filepath.Abs(out)
	if err != nil {
		return fault(CodeUsage, err, "name a directory with --out", "cannot use %s", out)
	}
	old := s.repository()
	if oldAbs, err := filepath.Abs(old); err == nil && oldAbs == abs {
		return nil
	}
	if names, err := os.ReadDir(abs); err == nil && len(names) > 0 && !exists(filepath.Join(abs, "metadata")) {
		return sentence(CodeInput, ErrForeign, "name a new or an empty directory", "%s holds other files (%s, ...) and is not touched", out, names[0].Name())
	}
	if b, err := readSmall(filepath.Join(abs, filepath.FromSlash(trust.RootName(1)))); err == nil && !bytes.Equal(b, s.acc.roots[0]) {
		return sentence(CodeInput, ErrForeign, "name a new or an empty directory", "%s is the repository of another hotline", out)
	}
	if exists(old) {
		err = filepath.WalkDir(old, func(path string, d fs.DirEntry, err error) error {
			if err != nil || path == filepath.Join(old, filepath.FromSlash(trust.TimestampName)) {
				return err
			}
			rel, err := filepath.Rel(old, path)
			if err != nil {
				return err
			}
			if d.IsDir() {
				return s.repositoryDir(filepath.Join(abs, rel))
			}
			return placeFile(path, filepath.Join(abs, rel), 0o644)
		})
		if err != nil {
			return fault(CodeFailure, err, "check the disk", "cannot copy the repository to %s", out)
		}
	}
	s.st.Repository = abs
	return s.saveState()
}

// prune takes files of versions out of the repository that are older than the last keepVersions. Their metadata stays: it is small,
// and hashes in it prove what was published. A failure is of no consequence; the next publish tries again.
func (s *session) prune() {
	kept := 0
	for m, err := range s.versions(s.st.Seq) {
		if err != nil {
			return
		}
		if kept++; kept <= keepVersions {
			continue
		}
		seq := m.Seq
		gone := true
		files := []trustFile{m.Edge, m.Audit}
		if m.Delta != nil {
			files = append(files, *m.Delta)
		}
		for _, tf := range files {
			if f, err := tf.file(); err == nil {
				gone = os.Remove(s.repository(filepath.FromSlash(trust.TargetName(f)))) != nil && gone
			}
		}
		os.Remove(s.recordPath(seq))
		os.Remove(s.versionPath(seq, "column"))
		if gone { // and so, by the run before, are all below
			return
		}
	}
}
