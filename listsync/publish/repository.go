package publish

import (
	"bytes"
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/cordon-project/cordon/listsync/list"
	"github.com/cordon-project/cordon/listsync/trust"
)

// Published says what a publish has put into the repository.
type Published struct {
	Seq        uint64         `json:"seq"`
	Repository string         `json:"repository"`
	SignedBy   []string       `json:"signed_by"`
	Entries    map[string]int `json:"entries"` // by kind, the canary among them
	Added      int            `json:"added"`
	Removed    int            `json:"removed"`
	Expires    time.Time      `json:"expires"` // the earliest end: when refresh must have run
	Operators  int            `json:"operators"`
	Log        *LogStatus     `json:"public_log"` // null when the charter names none
}

// Publish carries the staged candidate into the repository: files first, timestamp.json last, each by rename, so that a reader sees
// the old version or the new one. Before that it verifies all of it the way an operator will. It refuses with ErrUnsigned while
// officers have to sign. out moves the repository; empty leaves it where it is (HOTLINE/repository at first).
func (h *Hotline) Publish(out string) (*Published, error) {
	return h.PublishWith(context.Background(), PublishOptions{Out: out})
}

// PublishOptions say how to publish.
type PublishOptions struct {
	Out              string // moves the repository
	WithoutWitnesses bool   // although witnesses of the public log have not cosigned
}

// PublishWith is Publish with options. Before metadata says that there is a version, it stands in the public log: files, leaf, checkpoint,
// witnesses, proof, metadata, timestamp. When witnesses are missing the error is ErrUnwitnessed, and the candidate waits.
func (h *Hotline) PublishWith(ctx context.Context, o PublishOptions) (*Published, error) {
	s, err := h.begin()
	if err != nil {
		return nil, err
	}
	defer s.release()
	if _, err := s.accredited(); err != nil {
		return nil, err
	}
	c, e, meta, err := s.loadCandidate()
	if err != nil {
		return nil, err
	}
	if c == nil {
		return nil, sentence(CodeHeld, ErrUnsigned, fmt.Sprintf("have %s sign with: sign --dir %s --officer THEIR_DIR", oneOf(s.officerNames(s.acc.officers.KeyIDs), s.acc.officers.Threshold), s.dir),
			"no version is waiting to be published")
	}
	if err := s.ready(c, e); err != nil {
		return nil, err
	}
	if err := s.checkStaged(c, meta); err != nil {
		return nil, err
	}
	m, err := s.online(meta, true)
	if err != nil {
		return nil, err
	}
	v, err := s.verify(m)
	if err != nil {
		return nil, err
	}
	if err := s.moveRepository(o.Out); err != nil {
		return nil, err
	}
	unwritten := func(err error) error {
		return fault(CodeFailure, err, "check the disk and run publish again: readers still see the old version", "cannot write the repository %s", s.repository())
	}
	if err := s.placeFiles(c); err != nil {
		return nil, unwritten(err)
	}
	logged, err := s.logVersion(ctx, c, m, v, o.WithoutWitnesses)
	if err != nil {
		return nil, err
	}
	if err := s.place(m, v); err != nil {
		return nil, unwritten(err)
	}
	if err := s.finish(c, e, v.High); err != nil {
		return nil, err
	}
	s.prune()
	operators := len(c.Keys)
	return &Published{
		Seq: c.Seq, Repository: s.repository(), SignedBy: s.officerNames(e.signers(s.acc.officers, s.acc.keys)), Entries: c.Kinds,
		Added: c.Added, Removed: c.Removed, Expires: v.Expires, Operators: operators, Log: logged,
	}, nil
}

// ready wants the candidate to be what the directory says now, signed by the threshold.
func (s *session) ready(c *candidate, e *envelope) error {
	entries, err := entriesSum(s.path("entries.jsonl"))
	if err != nil {
		return fault(CodeFailure, err, "check the disk", "cannot read the entries")
	}
	operators, err := s.operatorsSum()
	if err != nil {
		return err
	}
	if why := s.spoiled(c, e, entries, operators); why != "" {
		return sentence(CodeHeld, ErrUnsigned, "sign again: that shows the new difference", "version %d was signed before something changed (%s)", c.Seq, why)
	}
	have, missing := s.signatures(e)
	if len(missing) > 0 {
		need := max(s.acc.officers.Threshold, minThreshold)
		by := "nobody has signed"
		if len(have) > 0 {
			by = strings.Join(have, " and ") + " " + plural(len(have), "has", "have") + " signed"
		}
		return sentence(CodeHeld, ErrUnsigned, fmt.Sprintf("have %s sign with: sign --dir %s --officer THEIR_DIR", oneOf(missing, need-len(have)), s.dir),
			"version %d has %d of %d signatures: %s, still to sign: %s", c.Seq, len(have), need, by, oneOf(missing, need-len(have)))
	}
	return nil
}

// checkStaged reads the staged files as an operator and an auditor will, and holds them to the metadata that officers have signed.
func (s *session) checkStaged(c *candidate, meta []byte) error {
	bad := func(name string, err error) error {
		return s.dropCandidate(fault(CodeVerify, err, "sign again: the candidate is made anew", "staged file %s of version %d does not verify", name, c.Seq))
	}
	spec, err := trust.ReadList(meta, s.set.Hotline)
	if err == nil && len(spec.Lists) != 1 {
		err = fmt.Errorf("%w: it has %d lists", trust.ErrFormat, len(spec.Lists))
	}
	if err != nil {
		return bad("list.json", err)
	}
	signed := spec.Lists[0]
	other := fmt.Errorf("%w: officers have signed another one", trust.ErrHash)
	told := s.c.progress()
	told.Begin(fmt.Sprintf("verifying version %d", c.Seq), c.Edge.Length+c.Audit.Length)
	edgeBytes, err := os.ReadFile(s.path("staging", "edge"))
	if err != nil {
		return bad("edge", err)
	}
	edge, err := list.OpenEdge(edgeBytes)
	if err == nil && (edge.Hash() != signed.EdgeHead || toFile(signed.Edge) != c.Edge) { // of one content there is one file
		err = other
	}
	if err != nil {
		return bad("edge", err)
	}
	told.Add(c.Edge.Length)
	auditBytes, err := os.ReadFile(s.path("staging", "audit"))
	if err != nil {
		return bad("audit", err)
	}
	audit, err := list.OpenAudit(auditBytes)
	if err == nil {
		err = audit.Fits(edge)
	}
	if err == nil && (audit.Root() != signed.EntriesRoot || toFile(signed.Audit) != c.Audit) {
		err = other
	}
	if err != nil {
		return bad("audit", err)
	}
	told.Add(c.Audit.Length)
	if c.Delta != nil {
		d, err := readDelta(s.path("staging", "delta"))
		if err == nil && d.To != edge.Hash() {
			err = fmt.Errorf("%w: it leads to another list", trust.ErrHash)
		}
		if err != nil {
			return bad("delta", err)
		}
	}
	// ready has compared entries.jsonl with what was signed, but for a version that stands in the public log: then it may have changed since.
	var same bool
	if s.isLogged(c) {
		var sum [32]byte
		sum, err = entriesSum(s.path("staging", "entries.jsonl"))
		same = hex.EncodeToString(sum[:]) == c.Entries
	} else {
		same, err = sameFiles(s.path("staging", "entries.jsonl"), s.path("entries.jsonl"))
	}
	if err != nil || !same {
		return bad("entries.jsonl", cmp.Or(err, fmt.Errorf("%w: it was changed after it was signed", trust.ErrHash)))
	}
	if v := edge.Version(); v.List != s.set.List || v.Seq != c.Seq || v.Epoch != c.Epoch {
		return bad("edge", errors.New("it is another version"))
	}
	return nil
}

// online makes the metadata that the hotline's own service signs, around the list metadata given: a new timestamp, and a new snapshot
// when asked or when the published one does not fit or ends soon. Nothing is written.
func (s *session) online(listMeta []byte, newSnapshot bool) (trust.Metadata, error) {
	m := trust.Metadata{Targets: s.acc.targets, List: listMeta, Charter: s.acc.charterBytes}
	fail := func(what string, err error) (trust.Metadata, error) {
		return m, fault(CodeFailure, err, "check the keys in "+s.path("keys"), "cannot sign the %s", what)
	}
	snapshotKey, err := s.serviceKey(roleSnapshot)
	if err != nil {
		return m, err
	}
	timestampKey, err := s.serviceKey(roleTimestamp)
	if err != nil {
		return m, err
	}
	if !newSnapshot {
		e, b, err := readEnvelope(s.repository(trust.SnapshotName(s.st.Snapshot)), "snapshot")
		switch {
		case err != nil:
			newSnapshot = true
		case e.head.Expires.Sub(s.now) < snapshotRenew,
			len(e.signers(s.acc.root.head.Roles["snapshot"], s.acc.root.head.Keys)) == 0,
			!e.head.Meta["targets.json"].matches(m.Targets),
			!e.head.Meta[trust.RoleName(s.set.Hotline)+".json"].matches(listMeta):
			newSnapshot = true
		default:
			m.Snapshot = b
		}
	}
	if newSnapshot {
		b, err := trust.NewSnapshot(s.st.Snapshot+1, s.now.Add(snapshotAge), s.set.Hotline, m.Targets, listMeta)
		if err == nil {
			b, err = trust.Sign(b, snapshotKey.private)
		}
		if err != nil {
			return fail("snapshot", err)
		}
		m.Snapshot = b
	}
	b, err := trust.NewTimestamp(s.st.Timestamp+1, s.now.Add(timestampAge), m.Snapshot)
	if err == nil {
		b, err = trust.Sign(b, timestampKey.private)
	}
	if err != nil {
		return fail("timestamp", err)
	}
	m.Timestamp = b
	return m, nil
}

// verify judges the metadata as an operator will who pinned the first root and has followed to the last version.
func (s *session) verify(m trust.Metadata) (*trust.Verified, error) {
	high := trust.HighWater{Snapshot: s.st.Snapshot, Timestamp: s.st.Timestamp}
	if s.st.Seq > 0 {
		high.Seqs = []trust.SeqMark{{List: s.set.List, Seq: s.st.Seq}}
		high.List = int64(s.st.Seq)
	}
	roots, err := s.acc.chain()
	if err != nil {
		return nil, fault(CodeVerify, err, "take the accreditation in again with accept", "the roots of the accreditation do not follow one another")
	}
	m = roots.Complete(m)
	start, err := roots.Start(m)
	if err != nil {
		return nil, fault(CodeVerify, err, "", "what would be published does not verify")
	}
	v, err := trust.Verify(start, high, m, s.now)
	if err != nil {
		do := "see status; nothing was published"
		switch trust.Reason(err) {
		case "expired", "charter":
			do = "ask the authority for a new accreditation and take it in with accept; nothing was published"
		case "threshold", "signature":
			do = "sign again with accredited officers; nothing was published"
		case "too_large":
			do = "remove operators that have left; nothing was published"
		}
		return nil, fault(CodeVerify, err, do, "what would be published does not verify")
	}
	if n := len(v.Lists); n != 1 || v.Lists[0].List != s.set.List {
		return nil, sentence(CodeVerify, trust.ErrFormat, "", "what would be published holds %d lists, want %s", n, s.set.List)
	}
	return v, nil
}

// placeFiles writes what the metadata of a version points to. Nobody looks there yet.
func (s *session) placeFiles(c *candidate) error {
	told := s.c.progress()
	told.Begin("copying the files to the repository", c.Edge.Length+c.Audit.Length)
	type source struct {
		path  string
		place func(from, to string, mode fs.FileMode) error
	}
	// What is staged is this tool's own, never written in place, and gone when this is done: a second name does.
	files := map[trustFile]source{c.Edge: {s.path("staging", "edge"), linkFile}, c.Audit: {s.path("staging", "audit"), linkFile}}
	if c.Delta != nil {
		files[*c.Delta] = source{s.path("staging", "delta"), linkFile}
	}
	for _, k := range c.Keys {
		files[k.trustFile] = source{s.path("wrapped", filepath.Base(k.Source)), placeFile}
	}
	if err := s.placeColumn(c); err != nil {
		return err
	}
	for tf, from := range files {
		f, err := tf.file()
		if err != nil {
			return err
		}
		to := s.repository(filepath.FromSlash(trust.TargetName(f)))
		if err := s.repositoryDir(filepath.Dir(to)); err != nil {
			return err
		}
		if err := from.place(from.path, to, 0o644); err != nil {
			return err
		}
		told.Add(f.Length)
	}
	return nil
}

// place writes the metadata, timestamp.json last.
func (s *session) place(m trust.Metadata, v *trust.Verified) error {
	charter := trust.File{Path: trust.CharterPath, Length: int64(len(m.Charter)), SHA256: v.CharterHash}
	type named struct {
		name string
		b    []byte
	}
	files := []named{{trust.TargetName(charter), m.Charter}}
	for i, b := range s.acc.roots {
		files = append(files, named{trust.RootName(int64(i + 1)), b})
	}
	files = append(files,
		named{trust.TargetsName(v.High.Targets), m.Targets},
		named{trust.ListName(s.set.Hotline, v.High.List), m.List},
		named{trust.SnapshotName(v.High.Snapshot), m.Snapshot},
	)
	dirs := map[string]bool{}
	for _, f := range files {
		to := s.repository(filepath.FromSlash(f.name))
		if old, err := readSmall(to); err == nil && bytes.Equal(old, f.b) {
			continue
		}
		if err := s.repositoryDir(filepath.Dir(to)); err != nil {
			return err
		}
		if err := writeFile(to, f.b, 0o644); err != nil {
			return err
		}
	}
	for _, dir := range []string{"metadata", "targets", "targets/csam/" + string(s.set.Hotline)} {
		dirs[s.repository(filepath.FromSlash(dir))] = true
	}
	for dir := range dirs { // the names must be on disk before the one name that points to them
		if err := syncDir(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if err := writeFile(s.repository(filepath.FromSlash(trust.TimestampName)), m.Timestamp, 0o644); err != nil {
		return err
	}
	return syncDir(s.repository("metadata"))
}

// repositoryDir makes a directory that a web server may read.
func (s *session) repositoryDir(dir string) error { return os.MkdirAll(dir, 0o755) }

// finish writes down that the candidate is published. It runs once more after a crash: every step may be repeated.
func (s *session) finish(c *candidate, e *envelope, high trust.HighWater) error {
	m := manifest{
		candidate: *c, List: string(s.set.List), Published: s.now.Unix(), Expires: e.head.Expires.Unix(),
		SignedBy: s.officerNames(e.signers(s.acc.officers, s.acc.keys)),
	}
	err := os.Rename(s.path("staging", "entries.jsonl"), s.recordPath(c.Seq))
	if errors.Is(err, fs.ErrNotExist) && exists(s.recordPath(c.Seq)) {
		err = nil // the run that was cut off has done it
	}
	if err == nil {
		err = writeJSON(s.versionPath(c.Seq, "json"), m, 0o600)
	}
	if err == nil {
		err = syncDir(s.path("versions"))
	}
	if err != nil {
		return fault(CodeFailure, err, "check the disk and run status: it finishes what is left", "version %d is published, but %s is not up to date", c.Seq, s.path("versions"))
	}
	s.st.Seq, s.st.Snapshot, s.st.Timestamp = c.Seq, high.Snapshot, high.Timestamp
	if err := s.saveState(); err != nil {
		return err
	}
	return s.clearStaging()
}
