package publish

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/cordon-project/cordon/listsync/list"
	"github.com/cordon-project/cordon/listsync/trust"
	"github.com/cordon-project/cordon/resolver/canon"
	"github.com/cordon-project/cordon/resolver/match"
)

// candidate is staging/candidate.json: what the next version was made from. Beside it lie list.json (the metadata, with the
// signatures so far), edge, audit, delta (from the version before, where there is one), and entries.jsonl (the working set it was made of). It is written last: without it nothing is
// staged.
type candidate struct {
	V          int        `json:"v"`
	Seq        uint64     `json:"seq"`
	Prev       uint64     `json:"prev"`
	Epoch      uint32     `json:"epoch"`
	Created    int64      `json:"created"`
	Entries    string     `json:"entries"`   // SHA-256 of entries.jsonl
	Operators  string     `json:"operators"` // SHA-256 of who gets keys
	Targets    int64      `json:"targets"`   // version of the accreditation
	Added      int        `json:"added"`
	Removed    int        `json:"removed"`
	NeverBlock string     `json:"never_block"`
	Approvals  []Approval `json:"approvals,omitempty"`

	Edge    trustFile      `json:"edge"`
	Audit   trustFile      `json:"audit"`
	Delta   *trustFile     `json:"delta,omitempty"`
	Keys    []keySource    `json:"keys"`
	Private bool           `json:"private,omitempty"` // there is a column beside them
	Kinds   map[string]int `json:"kinds"`             // entries, the canary among them
}

// Approval is an officer's written reason for signing although a brake held.
type Approval struct {
	Officer string `json:"officer"` // key id
	Brake   string `json:"brake"`
	Entry   string `json:"entry,omitempty"` // id; empty for a brake on the version's numbers
	Reason  string `json:"reason"`
}

// trustFile is a trust.File in JSON.
type trustFile struct {
	Path   string `json:"path"`
	Length int64  `json:"length"`
	SHA256 string `json:"sha256"`
}

type keySource struct {
	trustFile
	Source string `json:"source"` // in wrapped/
}

func toFile(f trust.File) trustFile {
	return trustFile{Path: f.Path, Length: f.Length, SHA256: hex.EncodeToString(f.SHA256[:])}
}

func (f trustFile) file() (trust.File, error) {
	t := trust.File{Path: f.Path, Length: f.Length}
	return t, decodeKey(f.SHA256, t.SHA256[:])
}

// loadCandidate gives the staged candidate and its metadata, or nil when nothing is staged.
func (s *session) loadCandidate() (*candidate, *envelope, []byte, error) {
	var c candidate
	err := readJSON(s.path("staging", "candidate.json"), &c)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil, nil
	}
	do := "sign again: the candidate is made anew"
	if err != nil || c.V != 1 {
		return nil, nil, nil, s.dropCandidate(fault(CodeInput, err, do, "cannot use %s", s.path("staging", "candidate.json")))
	}
	e, b, err := readEnvelope(s.path("staging", "list.json"), "targets")
	if err != nil {
		return nil, nil, nil, s.dropCandidate(fault(CodeInput, err, do, "cannot use %s", s.path("staging")))
	}
	return &c, e, b, nil
}

// dropCandidate takes a candidate that cannot be used away and gives why, or the error of taking it away.
func (s *session) dropCandidate(why error) error {
	if err := s.clearStaging(); err != nil {
		return err
	}
	return why
}

func (s *session) clearStaging() error {
	// candidate.json goes first, so that the rest is never taken for a candidate.
	err := os.Remove(s.path("staging", "candidate.json"))
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		err = os.RemoveAll(s.path("staging"))
	}
	if err == nil {
		err = os.Mkdir(s.path("staging"), 0o700)
	}
	if err != nil {
		return fault(CodeFailure, err, "check the disk", "cannot clear %s", s.path("staging"))
	}
	return nil
}

// operatorsSum is the SHA-256 of who gets keys, and of how private lookups are made.
func (s *session) operatorsSum() (string, error) {
	all, err := s.operators()
	if err != nil {
		return "", err
	}
	h := sha256.New()
	for _, o := range all {
		fmt.Fprintf(h, "%s %s\n", o.Cluster, o.Recipient)
	}
	if f, key, err := s.loadPrivate(); err != nil {
		return "", err
	} else if key != nil && f.On {
		fmt.Fprintf(h, "private %x %s\n", key.Public(), f.URL)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// nextSeq is the number of the next version. One that stands in the public log and was dropped has used its number up: two contents under one
// number are what a list looks like that was shown to somebody in secret.
func (s *session) nextSeq() uint64 { return max(s.st.Seq, s.st.LogSeq) + 1 }

// stale says in plain words why the candidate is not what would be made now, or "".
func (s *session) stale(c *candidate, e *envelope, entries [32]byte, operators string) string {
	switch {
	case c.Prev != s.st.Seq || c.Seq <= s.st.Seq:
		return fmt.Sprintf("version %d is published already", s.st.Seq)
	case c.Seq < s.nextSeq() && !s.isLogged(c):
		return fmt.Sprintf("number %d is used up: another version stands in the public log under it", c.Seq)
	case c.Entries != hex.EncodeToString(entries[:]):
		return "the entries have changed"
	case c.Operators != operators:
		return "the operators, or private lookups, have changed"
	case c.Epoch != s.st.Epoch:
		return "the list has new keys"
	case c.Targets != s.acc.targetsEnv.head.Version:
		return "the accreditation has changed"
	case e.head.Expires.Sub(s.now) < listRenew:
		return "it has lain too long"
	}
	return ""
}

// compose makes everything the candidate stands for from the working set, the same bytes at each call: list metadata without signatures,
// edge and auditor list. c gives the fixed points and takes the files. entries is the SHA-256 of the working set as it was compared, n the number of
// its entries.
func (s *session) compose(c *candidate, entries [32]byte, n int) (v made, err error) {
	keys, _, err := s.epoch(c.Epoch)
	if err != nil {
		return v, err
	}
	open, err := s.openKey()
	if err != nil {
		return v, err
	}
	created := time.Unix(c.Created, 0).UTC()
	version := list.Version{List: s.set.List, Seq: c.Seq, Epoch: c.Epoch, CanonID: canon.ID()}
	edge, audit, built, err := s.build(version, entries, n, s.canaryEntry(created), keys, open)
	if err != nil {
		return v, err
	}
	wrapped, sources, err := s.wrapKeys(c.Epoch, keys)
	if err != nil {
		return v, err
	}
	chain, delta, err := s.deltas(c, edge, audit)
	if err != nil {
		return v, err
	}
	private, column, err := s.column(edge, keys, s.canaryEntry(created), n)
	if err != nil {
		return v, err
	}
	var edgeSum, auditSum [32]byte
	var wg sync.WaitGroup
	wg.Go(func() { edgeSum = sha256.Sum256(edge) })
	auditSum = sha256.Sum256(audit)
	wg.Wait()
	target := trust.ListTarget{
		List: s.set.List, Seq: c.Seq, Prev: c.Prev, Epoch: c.Epoch, CanonID: version.CanonID, EntriesRoot: built.EntriesRoot, EdgeHead: built.EdgeHead, Deltas: chain,
		Added: c.Added, Removed: c.Removed, NeverBlock: c.NeverBlock, Canaries: []string{s.set.Canary}, Keys: wrapped,
		Edge:  trust.File{Path: trust.EdgePath(s.set.List, c.Seq), Length: int64(len(edge)), SHA256: edgeSum},
		Audit: trust.File{Path: trust.AuditPath(s.set.List, c.Seq), Length: int64(len(audit)), SHA256: auditSum},
	}
	for kind, n := range built.Kinds {
		target.Counts = append(target.Counts, trust.Count{Kind: kind, N: n})
	}
	slices.SortFunc(target.Counts, func(a, b trust.Count) int { return bytes.Compare([]byte(a.Kind), []byte(b.Kind)) })
	target.Bases = trust.BasesOf(built.Bases)
	target.Private, c.Private = private, column != nil
	meta, err := newList(trust.ListSpec{Hotline: s.set.Hotline, Version: int64(c.Seq), Expires: created.Add(listAge)}, target)
	if err != nil {
		return v, fault(CodeInput, err, "check operators and accreditation with status", "cannot build version %d", c.Seq)
	}
	c.Edge, c.Audit, c.Delta, c.Kinds, c.Keys = toFile(target.Edge), toFile(target.Audit), nil, built.Kinds, nil
	if delta != nil {
		f := toFile(chain[len(chain)-1].File)
		c.Delta = &f
	}
	for _, k := range wrapped {
		c.Keys = append(c.Keys, keySource{toFile(k.File), filepath.Base(sources[k.Path])})
	}
	return made{meta, edge, audit, delta, column}, nil
}

// build makes the files of a version from the working set, which passes once, and the canary.
func (s *session) build(v list.Version, entries [32]byte, n int, canary list.Entry, keys *match.Keys, open *[32]byte) (edge, audit []byte, sum list.Summary, err error) {
	set, err := s.openWorkingSet(nil)
	if err != nil {
		return nil, nil, list.Summary{}, err
	}
	defer set.close()
	told := every{Progress: s.c.progress(), units: 1}
	told.Begin(fmt.Sprintf("making version %d", v.Seq), 2*int64(n)) // half of the work comes after the last entry
	refused := func(err error) error {
		return fault(CodeInput, err, "look at the entry it names in entries.jsonl", "cannot build version %d", v.Seq)
	}
	b, err := list.NewBuilder(v, keys, open, n+n/2)
	if err != nil {
		return nil, nil, list.Summary{}, refused(err)
	}
	defer b.Close()
	for {
		e, err := set.next()
		if err != nil {
			return nil, nil, list.Summary{}, err
		}
		if e == nil {
			break
		}
		if err := b.Add(e); err != nil {
			return nil, nil, list.Summary{}, refused(err)
		}
		told.one()
	}
	if set.sum() != entries {
		return nil, nil, list.Summary{}, sentence(CodeFailure, nil, "see diff and sign again", "%s was changed while it was read", s.path("entries.jsonl"))
	}
	if err := b.Add(&canary); err != nil {
		return nil, nil, list.Summary{}, refused(err)
	}
	if edge, audit, sum, err = b.Finish(); err != nil {
		return nil, nil, list.Summary{}, refused(err)
	}
	told.Add(int64(n))
	return edge, audit, sum, nil
}

// stage makes a candidate from the working set and puts it in staging.
func (s *session) stage(entries [32]byte, operators string, d *Diff, neverBlock string) (*candidate, error) {
	if err := s.clearStaging(); err != nil {
		return nil, err
	}
	c := &candidate{
		V: 1, Seq: s.nextSeq(), Prev: s.st.Seq, Epoch: s.st.Epoch, Created: s.now.Unix(), Entries: hex.EncodeToString(entries[:]),
		Operators: operators, Targets: s.acc.targetsEnv.head.Version, Added: d.AddedCount, Removed: d.RemovedCount, NeverBlock: neverBlock,
	}
	v, err := s.compose(c, entries, d.After)
	if err != nil {
		return nil, err
	}
	err = writeFile(s.path("staging", "edge"), v.edge, 0o600)
	if err == nil {
		err = writeFile(s.path("staging", "audit"), v.audit, 0o600)
	}
	if err == nil && c.Delta != nil {
		err = writeFile(s.path("staging", "delta"), v.delta, 0o600)
	}
	if err == nil && c.Private {
		err = writeFile(s.path("staging", "column"), v.column, 0o600)
	}
	if err == nil && exists(s.path("entries.jsonl")) {
		// A copy and never a second name: an editor that writes into entries.jsonl must not write into the record of a version.
		err = placeFile(s.path("entries.jsonl"), s.path("staging", "entries.jsonl"), 0o600)
	} else if err == nil {
		err = writeFile(s.path("staging", "entries.jsonl"), nil, 0o600)
	}
	if err == nil {
		err = writeFile(s.path("staging", "list.json"), v.meta, 0o600)
	}
	if err == nil {
		err = writeJSON(s.path("staging", "candidate.json"), c, 0o600)
	}
	if err != nil {
		return nil, fault(CodeFailure, err, "check the disk", "cannot write %s", s.path("staging"))
	}
	return c, nil
}

// recheck makes the candidate again from the working set and compares: an officer signs what is on his screen, not what someone has
// put into staging.
func (s *session) recheck(c *candidate, e *envelope, entries [32]byte, d *Diff) error {
	v, same, err := s.rebuild(c, e, entries, d)
	if err != nil {
		return err
	}
	for _, equal := range []func() (bool, error){
		func() (bool, error) { return sameBytes(s.path("staging", "edge"), v.edge) },
		func() (bool, error) { return sameBytes(s.path("staging", "audit"), v.audit) },
		func() (bool, error) {
			if c.Delta == nil {
				return v.delta == nil, nil
			}
			return sameBytes(s.path("staging", "delta"), v.delta)
		},
		func() (bool, error) {
			if !c.Private {
				return v.column == nil, nil
			}
			return sameBytes(s.path("staging", "column"), v.column)
		},
		func() (bool, error) { return sameFiles(s.path("staging", "entries.jsonl"), s.path("entries.jsonl")) },
	} {
		ok, err := equal()
		if err != nil {
			return fault(CodeFailure, err, "check the disk", "cannot read %s", s.path("staging"))
		}
		same = same && ok
	}
	if !same {
		return s.dropCandidate(sentence(CodeVerify, trust.ErrHash, "find out who changed it; the next sign makes it anew from the entries, without any signature",
			"what lies in %s is not what the entries give: it was changed after it was made", s.path("staging")))
	}
	return nil
}

// rebuild makes the candidate again from the working set; same says whether that is the metadata there is to sign, which pins both lists
// and the delta by hash.
func (s *session) rebuild(c *candidate, e *envelope, entries [32]byte, d *Diff) (v made, same bool, err error) {
	again := *c
	again.Added, again.Removed = d.AddedCount, d.RemovedCount // what this officer is shown
	if v, err = s.compose(&again, entries, d.After); err != nil {
		return v, false, err
	}
	fresh, err := openEnvelope(v.meta)
	if err != nil {
		return v, false, err
	}
	return v, bytes.Equal(fresh.Signed, e.Signed), nil
}
