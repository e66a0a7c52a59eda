package publish

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"github.com/cordon-project/cordon/listsync/list"
	"github.com/cordon-project/cordon/listsync/trust"
	"github.com/cordon-project/cordon/resolver/match"
)

// The record of a version is versions/N.entries.jsonl: the entries it was made of. Everything that an officer is shown about the next
// version is a difference to it, so a record that was changed would hide entries from two pairs of eyes. Each use as a base compares
// its SHA-256 with the one in the manifest; each signature first proves it against the edge list that officers have signed.

// errRecord: the record of the last version, or what proves it, is damaged or missing.
var errRecord = errors.New("record of a published version is damaged")

func (s *session) recordPath(seq uint64) string { return s.versionPath(seq, "entries.jsonl") }

func (s *session) badRecord(format string, a ...any) error {
	return sentence(CodeInput, errRecord, "find out who changed it, and put the file back from your backup; until then nothing can be compared or signed",
		"the record of version %d, %s, cannot be used: %s", s.st.Seq, s.recordPath(s.st.Seq), fmt.Sprintf(format, a...))
}

// recordReader gives the entries of the last published version in order; of none when nothing is published. It fails when the record is
// not the one that was published, at the latest at its end. It must be closed.
type recordReader struct {
	s  *session
	m  *manifest
	in *entryReader
}

func (s *session) openRecord(beside io.Writer) (*recordReader, error) {
	r := &recordReader{s: s, in: &entryReader{}}
	if s.st.Seq == 0 {
		return r, nil
	}
	var err error
	if r.m, err = s.manifest(s.st.Seq); err != nil {
		return nil, err
	}
	if !exists(s.recordPath(s.st.Seq)) {
		return nil, s.badRecord("it is not there")
	}
	r.in, err = openEntries(s.recordPath(s.st.Seq), beside)
	return r, err
}

// next is as entryReader.next.
func (r *recordReader) next() (*list.Entry, error) {
	e, err := r.in.next()
	switch {
	case r.m == nil:
	case err != nil:
		if changed := r.s.recordSum(r.m); changed != nil { // rather than the decoder's complaint
			return nil, changed
		}
	case e == nil:
		err = r.s.fitsManifest(r.m, r.in.sum())
	}
	return e, err
}

func (r *recordReader) close() { r.in.close() }

// recordSum compares the record's SHA-256 with the one in the manifest.
func (s *session) recordSum(m *manifest) error {
	path := s.recordPath(m.Seq)
	if !exists(path) {
		return s.badRecord("it is not there")
	}
	sum, err := entriesSum(path)
	if err != nil {
		return fault(CodeFailure, err, "check the disk", "cannot read %s", path)
	}
	return s.fitsManifest(m, sum)
}

func (s *session) fitsManifest(m *manifest, sum [32]byte) error {
	if got := hex.EncodeToString(sum[:]); got != m.Entries {
		return s.badRecord("it was changed after it was published (its SHA-256 is %s, and %s says %s)", got, s.versionPath(m.Seq, "json"), m.Entries)
	}
	return nil
}

// signedEdge reads the edge list of the last published version: the one whose hash the threshold of officers has signed.
func (s *session) signedEdge() (*list.Edge, error) {
	bad := func(err error) (*list.Edge, error) {
		return nil, &Fault{Code: CodeInput, Err: errors.Join(errRecord, err), Do: "put the repository back from a mirror",
			What: fmt.Sprintf("the published version %d in %s cannot be used, so nobody can compare with it: %s", s.st.Seq, s.repository(), err)}
	}
	e, _, err := readEnvelope(s.repository(filepath.FromSlash(trust.ListName(s.set.Hotline, int64(s.st.Seq)))), "targets")
	if err != nil {
		return bad(err)
	}
	m, err := s.manifest(s.st.Seq)
	if err != nil {
		return nil, err
	}
	officers, keys, err := s.officersAt(m.Targets)
	if err != nil {
		return bad(err)
	}
	if have, need := len(e.signers(officers, keys)), max(officers.Threshold, minThreshold); have < need {
		return bad(fmt.Errorf("%w: it has %d of %d signatures of officers", trust.ErrThreshold, have, need))
	}
	path := trust.EdgePath(s.set.List, s.st.Seq)
	target := e.head.Targets[path]
	f, err := trustFile{Path: path, Length: target.Length, SHA256: target.Hashes["sha256"]}.file()
	if err != nil {
		return bad(err)
	}
	b, err := readBounded(s.repository(filepath.FromSlash(trust.TargetName(f))), min(target.Length, list.MaxFile))
	if err == nil && !target.matches(b) {
		err = fmt.Errorf("%w: the edge list is not the one that officers have signed", trust.ErrHash)
	}
	if err != nil {
		return bad(err)
	}
	edge, err := list.OpenEdge(b)
	if err == nil && (edge.Version().List != s.set.List || edge.Version().Seq != s.st.Seq) {
		err = errors.New("the edge list is of another version")
	}
	if err != nil {
		return bad(err)
	}
	return edge, nil
}

// officersAt gives the officers of an accreditation of this hotline: the present one, or an earlier one as the repository has it.
func (s *session) officersAt(version int64) (tufRole, map[string]tufKey, error) {
	if version == s.acc.targetsEnv.head.Version {
		return s.acc.officers, s.acc.keys, nil
	}
	e, _, err := readEnvelope(s.repository(filepath.FromSlash(trust.TargetsName(version))), "targets")
	if err != nil {
		return tufRole{}, nil, err
	}
	if e.head.Version != version || len(e.head.Delegations.Roles) != 1 {
		return tufRole{}, nil, errors.New("accreditation " + strconv.FormatInt(version, 10) + " is damaged")
	}
	for _, b := range s.acc.roots { // one of them was in force then
		root, err := openEnvelope(b)
		if err != nil {
			return tufRole{}, nil, err
		}
		role := root.head.Roles["targets"]
		if len(e.signers(role, root.head.Keys)) >= max(role.Threshold, accreditationThreshold) {
			return e.head.Delegations.Roles[0], e.head.Delegations.Keys, nil
		}
	}
	return tufRole{}, nil, fmt.Errorf("%w: accreditation %d is not signed by the authority", trust.ErrThreshold, version)
}

// readBounded reads a whole file of at most size bytes.
func readBounded(path string, size int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var b bytes.Buffer
	if info, err := f.Stat(); err == nil && info.Size() <= size {
		b.Grow(int(info.Size()) + bytes.MinRead)
	}
	if n, err := b.ReadFrom(io.LimitReader(f, size+1)); err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	} else if n > size {
		return nil, fmt.Errorf("read %s: larger than %d bytes", path, size)
	}
	return b.Bytes(), nil
}

// openWorkingSet opens entries.jsonl. A file that is empty or gone is an empty set only when nothing was published, or when every entry of
// the last version was taken out by a command of this tool: that leaves a line in removals.jsonl.
func (s *session) openWorkingSet(beside io.Writer) (*entryReader, error) {
	if err := s.notEmptied(); err != nil {
		return nil, err
	}
	return openEntries(s.path("entries.jsonl"), beside)
}

// notEmptied wants an entries.jsonl with something in it, or a reason why there is nothing.
func (s *session) notEmptied() error {
	if info, err := os.Stat(s.path("entries.jsonl")); s.st.Seq == 0 || err == nil && info.Size() > 0 {
		return nil
	}
	return s.emptied()
}

// baseProblem says why the next version cannot be compared with the last one, or nil; entries is the size of the working set. It proves
// nothing against the edge list: that is for those who sign.
func (s *session) baseProblem(entries int) error {
	switch {
	case s.st.Seq == 0:
		return nil
	case entries == 0:
		return s.emptied()
	}
	m, err := s.manifest(s.st.Seq)
	if err != nil {
		return err
	}
	return s.recordSum(m)
}

// emptied says why an empty working set is a mistake, or nil.
func (s *session) emptied() error {
	out, err := s.removedIDs()
	if err != nil {
		return err
	}
	record, err := s.openRecord(nil)
	if err != nil {
		return err
	}
	defer record.close()
	n, missing := 0, 0
	for {
		e, err := record.next()
		if err != nil {
			return err
		}
		if e == nil {
			break
		}
		if n++; !out[e.ID] {
			missing++
		}
	}
	if missing == 0 {
		return nil
	}
	what := "is empty"
	if !exists(s.path("entries.jsonl")) {
		what = "is not there"
	}
	return sentence(CodeInput, errRecord, "put entries.jsonl back from your backup (the entries as last published are in "+s.recordPath(s.st.Seq)+"); to take entries out, use remove --reason REASON",
		"%s %s, but version %d has %d %s and no command has taken %d of them out", s.path("entries.jsonl"), what, s.st.Seq, n, plural(n, "entry", "entries"), missing)
}

// removedIDs are the ids in removals.jsonl, and of entries that are held back.
func (s *session) removedIDs() (map[match.EntryID]bool, error) {
	out := map[match.EntryID]bool{}
	held, err := s.heldEntries(nil)
	if err != nil {
		return nil, err
	}
	for _, h := range held {
		out[h.ID] = true
	}
	return out, s.eachRemoval(func([]byte) bool { return true }, func(l removalLine) error {
		out[l.ID] = true
		return nil
	})
}

// eachRemoval gives use the lines of removals.jsonl for which wanted is true, oldest first. A file that is not there has none; a line that
// cannot be read, or that use refuses, is a fault that names it.
func (s *session) eachRemoval(wanted func(raw []byte) bool, use func(removalLine) error) error {
	path := s.path("removals.jsonl")
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fault(CodeFailure, err, "check the disk", "cannot read %s", path)
	}
	defer f.Close()
	in := newLineReader(f, maxEntryLine)
	for {
		raw, err := in.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil && !wanted(raw) {
			continue
		}
		var l removalLine
		if err == nil {
			err = decodeJSON(raw, &l)
		}
		if err == nil {
			err = use(l)
		}
		if err != nil {
			return fault(CodeInput, err, "put the file back from your backup", "cannot read %s, line %d", path, max(in.line, 1))
		}
	}
}
