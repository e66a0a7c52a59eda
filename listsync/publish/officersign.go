package publish

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/cordon-project/cordon/listsync/trust"
)

// AnswerOptions are an officer's, on a machine of their own.
type AnswerOptions struct {
	Officer    string   // the officer's key directory
	Request    string   // the file that Export wrote
	Out        string   // where the signature goes; empty only shows what would be signed, and needs no signing key
	NeverBlock []string // the officer's own never-block files; only a full request can be held to them
	Approve    string   // written reason for signing although a size or change brake holds
	// ApproveEntries are written reasons for entries that a brake holds, by address or id.
	ApproveEntries map[string]string

	All  bool   // list every change in Answered.Diff
	Work string // an empty directory for what the request carries, plain addresses among it; the caller removes it
}

// Answered says what an officer was asked to sign, what of it was proved, and what came of it.
type Answered struct {
	Hotline trust.HotlineID `json:"hotline"`
	Name    string          `json:"name"`
	List    string          `json:"list"`
	Seq     uint64          `json:"seq"`
	Signed  string          `json:"signed"` // SHA-256 of what the signature is over
	Expires time.Time       `json:"expires"`
	Epoch   uint32          `json:"epoch"`
	Entries map[string]int  `json:"entries"` // by kind, the canary among them, as signed
	Bases   map[string]int  `json:"bases"`   // the same by legal basis
	Keys    int             `json:"keys"`    // operators that get the list's keys
	Have    []string        `json:"have"`    // who had signed before
	Officer string          `json:"officer"`
	Root    string          `json:"root"`   // SHA-256 of the authority's first root
	First   bool            `json:"first"`  // that root was not seen by this officer before
	Proved  bool            `json:"proved"` // every byte was rebuilt here, and the difference proved
	Out     string          `json:"out,omitempty"`
	Notes   []string        `json:"notes"`
	Diff    *Diff           `json:"diff"`
	Check   *CheckReport    `json:"check"`
}

// each says how many there are of each, in the order of the alphabet.
func each(counts map[string]int) string {
	parts := []string{}
	for _, k := range slices.Sorted(maps.Keys(counts)) {
		parts = append(parts, fmt.Sprintf("%d %s", counts[k], k))
	}
	return strings.Join(parts, ", ")
}

// Write puts it in plain words; limit bounds the lines of the difference.
func (a *Answered) Write(w io.Writer, limit int) error {
	fmt.Fprintf(w, "%s (%s) asks %s to sign version %d of %s\n", a.Hotline, a.Name, a.Officer, a.Seq, a.List)
	if err := a.Diff.Write(w, limit); err != nil {
		return err
	}
	fmt.Fprintf(w, "what is signed: %s (the canary is one of them); by legal basis: %s; keys of epoch %d for %d %s, good until %s, SHA-256 %s\n",
		each(a.Entries), each(a.Bases), a.Epoch, a.Keys, plural(a.Keys, "operator", "operators"), day(a.Expires), short(a.Signed))
	for _, h := range a.Check.Holds {
		fmt.Fprintf(w, "HELD %s: %s\n", printable(h.Brake), printable(h.Text))
	}
	if a.Proved {
		before := ""
		if a.Diff.From > 0 {
			before = fmt.Sprintf("has held version %d to what officers have signed, ", a.Diff.From)
		}
		fmt.Fprintf(w, "PROVED HERE: this tool has made every byte of the version again from the entries in the request, %sand has asked the brakes itself\n", before)
	} else {
		fmt.Fprintln(w, "TAKEN ON TRUST: the hotline's machine wrote the difference above. Proved is only that its numbers are those that are signed,\n"+
			"and that the authority has accredited the hotline and its officers. To have it proved, ask for a request made with --full")
	}
	if a.First {
		fmt.Fprintf(w, "the authority's first root is new to this officer: compare it with the authority's, SHA-256 %s\n", a.Root)
	}
	for _, n := range a.Notes {
		fmt.Fprintln(w, "note: "+printable(n))
	}
	if a.Out == "" {
		_, err := fmt.Fprintln(w, "nothing is signed: name a file for the signature with --out")
		return err
	}
	_, err := fmt.Fprintf(w, "%s has signed version %d; carry %s back: cordon-hotline sign --dir HOTLINE --import %s\n", a.Officer, a.Seq, a.Out, filepath.Base(a.Out))
	return err
}

// Answer shows an officer what a request asks to sign and, with Out, signs it. It needs nothing but the request and the officer's own
// directory: no network, no hotline's directory. When a brake holds that has no reason, what is known comes with an error that is ErrHeld.
func Answer(c Config, o AnswerOptions) (*Answered, error) {
	pub, err := readPublicKey(filepath.Join(o.Officer, "officer.pub"), roleOfficer)
	if err != nil {
		return nil, err
	}
	id, err := loadIdentity(o.Officer, pub)
	if err != nil {
		return nil, err
	}
	head, err := openRequest(o.Request, o.Work, id)
	if err != nil {
		return nil, err
	}
	s, err := carriedDir(c, o.Work, head.Full)
	if err != nil {
		return nil, err
	}
	defer s.release()
	cand, e, _, target, err := s.signable(head)
	if err != nil {
		return nil, err
	}
	if !slices.Contains(s.acc.officers.KeyIDs, pub.KeyID) {
		return nil, sentence(CodeInput, nil, "have one of them sign: "+oneOf(s.officerNames(s.acc.officers.KeyIDs), 1), "%s is not an accredited officer of hotline %s", pub.Name, s.set.Hotline)
	}
	root := sha256.Sum256(s.acc.roots[0])
	a := &Answered{
		Hotline: s.set.Hotline, Name: s.set.Name, List: string(s.set.List), Seq: cand.Seq, Signed: signedSum(e), Expires: e.head.Expires, Epoch: cand.Epoch,
		Entries: map[string]int{}, Bases: map[string]int{}, Keys: len(target.Keys), Have: s.officerNames(e.signers(s.acc.officers, s.acc.keys)),
		Officer: pub.Name, Root: hex.EncodeToString(root[:]), Proved: head.Full, Notes: []string{},
	}
	for _, n := range target.Counts {
		a.Entries[n.Kind] = n.N
	}
	for _, n := range target.Bases {
		a.Bases[n.Basis] = n.N
	}
	log, err := readSigned(o.Officer)
	if err != nil {
		return nil, err
	}
	if err := log.judge(a); err != nil {
		return nil, err
	}
	g := &Signed{Officer: pub.Name, Notes: []string{}}
	if head.Full {
		err = s.proveCandidate(g, cand, e, o)
	} else {
		err = s.takeWords(g, cand, target, o)
	}
	a.Diff, a.Check, a.Notes = g.Diff, g.Check, append(a.Notes, g.Notes...)
	if err != nil {
		return a, err
	}
	if o.Out == "" {
		return a, nil
	}
	key, err := loadKey(c, o.Officer, "officer", roleOfficer)
	if err != nil {
		return nil, err
	}
	byID := map[string]string{}
	for _, one := range g.approvals {
		if one.Entry != "" {
			byID[one.Entry] = one.Reason
		}
	}
	sig, err := newSignature(CarriedSignature{Entries: byID, Hotline: a.Hotline, List: a.List, Seq: a.Seq, Proved: a.Proved, Approve: o.Approve, At: s.now.Unix()}, e, key)
	if err != nil {
		return nil, unsigned(err, "cannot sign version %d", a.Seq)
	}
	// Remembered first: a signature that nobody remembers would let an older version be signed after it.
	if err := log.add(o.Officer, signedLine{At: s.now.Unix(), Hotline: a.Hotline, Root: a.Root, List: a.List, Seq: a.Seq, Signed: a.Signed}); err != nil {
		return nil, err
	}
	if err := writeJSON(o.Out, sig, 0o644); err != nil {
		return nil, fault(CodeFailure, err, "name a place where you may write", "cannot write the signature %s", o.Out)
	}
	a.Out = o.Out
	return a, nil
}

// proveCandidate does what an officer's tool does in the hotline's own directory: reads the entries, proves the difference, asks the
// brakes, makes the version again.
func (s *session) proveCandidate(g *Signed, c *candidate, e *envelope, o AnswerOptions) error {
	entries, operators, err := s.review(g, SignOptions{All: o.All, NeverBlock: o.NeverBlock, Approve: o.Approve, ApproveEntries: o.ApproveEntries, later: o.Out == ""})
	if err != nil {
		return err
	}
	if why := s.stale(c, e, entries, operators); why != "" {
		return sentence(CodeVerify, trust.ErrHash, "have it exported anew", "the request does not fit what it carries: %s", why)
	}
	_, same, err := s.rebuild(c, e, entries, g.Diff)
	if err != nil {
		return err
	}
	if !same {
		return sentence(CodeVerify, trust.ErrHash, "sign nothing, and find out who made the request",
			"the metadata to sign is not what the entries in the request give")
	}
	return nil
}

// takeWords reads what the hotline's machine says about the version and holds its numbers to what is signed.
func (s *session) takeWords(g *Signed, c *candidate, t trust.ListTarget, o AnswerOptions) error {
	if err := s.acc.charter.ValidAt(s.now); err != nil {
		return fault(CodeVerify, err, "ask the authority for a new accreditation", "cannot sign")
	}
	bad := func(err error) error {
		return fault(CodeVerify, err, "sign nothing, and have it exported anew", "what the request says about version %d does not fit what is to be signed", c.Seq)
	}
	for name, into := range map[string]any{"difference.json": &g.Diff, "check.json": &g.Check} {
		b, err := readBounded(s.path(name), maxRequestFile)
		if err == nil {
			err = decodeJSON(b, into)
		}
		if err != nil {
			return bad(err)
		}
	}
	d := g.Diff
	if d == nil || g.Check == nil {
		return bad(errors.New("the difference is not there"))
	}
	all := 0
	for _, n := range t.Counts {
		if n.Kind != "steer" {
			all += n.N
		}
	}
	bases := 0
	for _, n := range t.Bases {
		bases += n.N
	}
	switch {
	case bases != all:
		return bad(fmt.Errorf("%d entries by kind, and %d by legal basis are signed", all, bases))
	case d.From != c.Prev:
		return bad(fmt.Errorf("a difference to version %d, and the version before it is %d", d.From, c.Prev))
	case d.AddedCount != t.Added || d.RemovedCount != t.Removed:
		return bad(fmt.Errorf("%d added and %d removed, and %d and %d are signed", d.AddedCount, d.RemovedCount, t.Added, t.Removed))
	case len(d.Added) != t.Added || len(d.Removed) != t.Removed || len(d.Changed) != d.ChangedCount:
		return bad(errors.New("it does not name every entry"))
	case d.After+1 != all:
		return bad(fmt.Errorf("%d entries and the canary, and %d are signed", d.After, all))
	}
	for _, of := range [][]Change{d.Added, d.Removed, d.Changed} {
		for i := range of { // written by a machine that is not trusted, shown on a terminal
			of[i].Words = printable(of[i].Words)
		}
	}
	for i := range g.Check.Holds {
		h := &g.Check.Holds[i]
		h.Brake, h.Text, h.Do, h.Entry, h.Address = printable(h.Brake), printable(h.Text), printable(h.Do), printable(h.Entry), printable(h.Address)
	}
	if len(o.NeverBlock) > 0 {
		return sentence(CodeUsage, nil, "ask for a request made with --full", "only a full request can be held to your own never-block list")
	}
	return s.braked(g, SignOptions{Approve: o.Approve, ApproveEntries: o.ApproveEntries, later: o.Out == ""})
}

// signedLine is a line of OFFICER/signed.jsonl: what this officer has signed on requests, so that a first root never changes unseen and
// no older version is signed after a newer one.
type signedLine struct {
	At      int64           `json:"at"`
	Hotline trust.HotlineID `json:"hotline"`
	Root    string          `json:"root"`
	List    string          `json:"list"`
	Seq     uint64          `json:"seq"`
	Signed  string          `json:"signed"`
}

type signedLog []signedLine

const signedFile = "signed.jsonl"

func readSigned(dir string) (signedLog, error) {
	path := filepath.Join(dir, signedFile)
	b, err := readSmall(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var log signedLog
	for line := range bytes.Lines(b) {
		var l signedLine
		if err == nil {
			err = decodeJSON(line, &l)
		}
		log = append(log, l)
	}
	if err != nil {
		return nil, fault(CodeInput, err, "put the file back from your backup", "cannot use %s", path)
	}
	return log, nil
}

// judge holds a request to what the officer has signed before.
func (log signedLog) judge(a *Answered) error {
	a.First = true
	for _, l := range log {
		if l.Hotline != a.Hotline {
			continue
		}
		a.First = false
		switch {
		case l.Root != a.Root:
			return sentence(CodeVerify, trust.ErrRollback, "sign nothing, and ask the authority", "the request names another authority for hotline %s than the requests before it: its first root is %s, and it was %s", a.Hotline, short(a.Root), short(l.Root))
		case l.List == a.List && l.Seq > a.Seq:
			return sentence(CodeVerify, trust.ErrRollback, "ask the hotline for the newest request", "the request is for version %d of %s, and %s has signed version %d on %s", a.Seq, a.List, a.Officer, l.Seq, day(time.Unix(l.At, 0)))
		case l.List == a.List && l.Seq == a.Seq && l.Signed != a.Signed:
			a.Notes = append(a.Notes, fmt.Sprintf("%s has signed another version %d on %s (%s): this one takes its place when something has changed at the hotline since", a.Officer, a.Seq, day(time.Unix(l.At, 0)), short(l.Signed)))
		}
	}
	return nil
}

func (log signedLog) add(dir string, l signedLine) error {
	if slices.ContainsFunc(log, func(o signedLine) bool { return o.Root == l.Root && o.Signed == l.Signed }) {
		return nil
	}
	const keep = 2000 // lines; far below what readSmall reads
	if len(log) > keep {
		log = log[len(log)-keep:]
	}
	var out bytes.Buffer
	for _, l := range append(slices.Clip(log), l) {
		b, err := json.Marshal(l)
		if err != nil {
			return err
		}
		out.Write(append(b, '\n'))
	}
	path := filepath.Join(dir, signedFile)
	if err := writeFile(path, out.Bytes(), 0o600); err != nil {
		return fault(CodeFailure, err, "take the write protection off: what was signed has to be remembered", "cannot write %s", path)
	}
	return nil
}

// WorkDir makes an empty directory for Answer, in memory where there is such a place, and gives what removes it. in is the officer's
// choice; empty means /dev/shm.
func WorkDir(in string) (string, func(), error) {
	if in == "" {
		in = "/dev/shm"
	}
	dir, err := os.MkdirTemp(in, "cordon-request-")
	if err != nil {
		return "", nil, fault(CodeFailure, err, "name a directory in memory, or on an encrypted disk, with --work: the request carries plain addresses", "cannot unpack a request in %s", in)
	}
	return dir, func() { os.RemoveAll(dir) }, nil
}
