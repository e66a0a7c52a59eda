package publish

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"slices"
	"strings"

	"github.com/cordon-project/cordon/listsync/trust"
)

// SignOptions are an officer's.
type SignOptions struct {
	Officer    string   // the officer's key directory
	NeverBlock []string // further never-block files for the check
	Approve    string   // written reason for signing although a brake on the version's numbers holds
	// ApproveEntries are written reasons for entries that a brake holds, by address or id.
	ApproveEntries map[string]string

	Again bool // sign an unchanged list anew although the published one is fresh, or drop a candidate that stands in the public log
	All   bool // list every change in Signed.Diff

	later bool // each officer approves on a machine of their own: only brakes that no reason overcomes hold
}

// Signed says what an officer has signed and what is still missing.
type Signed struct {
	Seq     uint64       `json:"seq"`
	Officer string       `json:"officer"`
	Already bool         `json:"already"` // this officer had signed the same candidate before
	Made    bool         `json:"made"`    // the candidate was made now
	Dropped string       `json:"dropped"` // why an older candidate was dropped, and whose signatures went with it
	Have    []string     `json:"have"`
	Missing []string     `json:"missing"` // those who can still sign; empty when the threshold is reached
	Need    int          `json:"need"`
	Notes   []string     `json:"notes"`
	Diff    *Diff        `json:"diff"`
	Check   *CheckReport `json:"check"`

	approvals []Approval // without the officer
}

// Write puts it in plain words; limit bounds the lines of the difference.
func (g *Signed) Write(w io.Writer, limit int) error {
	if err := g.preamble(w, limit); err != nil {
		return err
	}
	verb := "has signed"
	if g.Already {
		verb = "had already signed"
	}
	fmt.Fprintf(w, "%s %s version %d: %d of %d signatures\n", g.Officer, verb, g.Seq, len(g.Have), g.Need)
	if len(g.Missing) > 0 {
		fmt.Fprintf(w, "still to sign: %s\n", oneOf(g.Missing, g.Need-len(g.Have)))
	} else {
		fmt.Fprintln(w, "it can be published now")
	}
	return nil
}

// preamble is what is said before who has signed.
func (g *Signed) preamble(w io.Writer, limit int) error {
	if g.Dropped != "" {
		fmt.Fprintln(w, g.Dropped)
	}
	for _, n := range g.Notes {
		fmt.Fprintln(w, n)
	}
	return g.Diff.Write(w, limit)
}

// oneOf names n people to be found among names.
func oneOf(names []string, n int) string {
	if len(names) <= n {
		return strings.Join(names, " and ")
	}
	if n == 1 {
		return strings.Join(names, " or ")
	}
	return fmt.Sprintf("%d of %s", n, strings.Join(names, ", "))
}

// Sign is SignWith for the officer whose key directory is given, without further options.
func (h *Hotline) Sign(officer string) (*Signed, error) {
	return h.SignWith(SignOptions{Officer: officer})
}

// SignWith makes the next version from the working set, unless it is staged already, and adds the officer's signature. A candidate
// that no longer fits the working set is dropped with its signatures. Brakes are asked first: when one holds, the report comes with
// an error that is ErrHeld. ErrNothingToSign says that the published version is the working set and fresh.
func (h *Hotline) SignWith(o SignOptions) (*Signed, error) {
	s, err := h.begin()
	if err != nil {
		return nil, err
	}
	defer s.release()
	key, err := s.officer(o.Officer)
	if err != nil {
		return nil, err
	}
	g := &Signed{Officer: key.Name, Notes: []string{}}
	c, e, meta, err := s.prepare(g, o)
	if err != nil {
		return g, err
	}
	if g.Already = slices.Contains(e.signers(s.acc.officers, s.acc.keys), key.KeyID); !g.Already {
		if e, err = s.addSignature(c, meta, key, g.approvals); err != nil {
			return nil, err
		}
	}
	g.Have, g.Missing = s.signatures(e)
	return g, nil
}

// prepare gives the candidate that the next signature is for: the staged one, made again and compared, or a new one. g takes what its
// signer is shown. It asks the brakes, and drops a candidate that no longer fits the working set.
func (s *session) prepare(g *Signed, o SignOptions) (c *candidate, e *envelope, meta []byte, err error) {
	entries, operators, err := s.review(g, o)
	if err != nil {
		return nil, nil, nil, err
	}
	if c, e, meta, err = s.loadCandidate(); err != nil {
		return nil, nil, nil, err
	}
	if err := s.ageEpoch(g); err != nil {
		return nil, nil, nil, err
	}
	if c != nil {
		if why := s.stale(c, e, entries, operators); why != "" {
			if s.isLogged(c) && s.spoiled(c, e, entries, operators) == "" && !o.Again {
				return nil, nil, nil, s.errLogged(c)
			}
			if s.isLogged(c) {
				s.st.LogSeq = max(s.st.LogSeq, c.Seq) // before the staged leaf goes
				if err := s.saveState(); err != nil {
					return nil, nil, nil, err
				}
			}
			g.Dropped = fmt.Sprintf("the staged version %d is dropped: %s", c.Seq, why)
			if had := e.signers(s.acc.officers, s.acc.keys); len(had) > 0 {
				g.Dropped += "; the signature of " + strings.Join(s.officerNames(had), " and ") + " went with it"
			}
			c = nil
		}
	}
	if c != nil {
		if err := s.recheck(c, e, entries, g.Diff); err != nil {
			return nil, nil, nil, err
		}
	} else {
		if err := s.needed(g.Diff, operators, o.Again); err != nil {
			return nil, nil, nil, err
		}
		if c, err = s.stage(entries, operators, g.Diff, g.Check.NeverBlock); err != nil {
			return nil, nil, nil, err
		}
		if e, meta, err = readEnvelope(s.path("staging", "list.json"), "targets"); err != nil {
			return nil, nil, nil, err
		}
		g.Made = true
	}
	g.Seq, g.Need = c.Seq, max(s.acc.officers.Threshold, minThreshold)
	return c, e, meta, nil
}

// review reads the working set, shows g the difference to what is published, proved against what officers have signed, and asks the
// brakes. It gives the SHA-256 of the working set and of who gets keys.
func (s *session) review(g *Signed, o SignOptions) (entries [32]byte, operators string, err error) {
	if err := s.acc.charter.ValidAt(s.now); err != nil {
		return entries, "", fault(CodeVerify, err, "ask the authority for a new accreditation", "cannot sign")
	}
	checks, err := s.newChecker(o.NeverBlock)
	if err != nil {
		return entries, "", err
	}
	proof, err := s.newProver() // what this officer is shown is a difference to what is published, not to what someone says was
	if err != nil {
		return entries, "", err
	}
	defer proof.stop()
	if g.Diff, entries, err = s.compare(o.All, onlookers{now: checks.entry, was: both(checks.published, proof.add)}); err != nil {
		return entries, "", err
	}
	if err := proof.finish(); err != nil {
		return entries, "", err
	}
	if g.Check, err = checks.report(g.Diff); err != nil {
		return entries, "", err
	}
	if err := s.braked(g, o); err != nil {
		return entries, "", err
	}
	operators, err = s.operatorsSum()
	return entries, operators, err
}

// officer loads an officer's key and wants it among those the authority has accredited.
func (s *session) officer(dir string) (signingKey, error) {
	if _, err := s.accredited(); err != nil {
		return signingKey{}, err
	}
	key, err := loadKey(s.c, dir, "officer", roleOfficer)
	if err != nil {
		return signingKey{}, err
	}
	if !slices.Contains(s.acc.officers.KeyIDs, key.KeyID) {
		return signingKey{}, sentence(CodeInput, nil, "sign with the key of: "+strings.Join(s.officerNames(s.acc.officers.KeyIDs), ", "),
			"%s is not an accredited officer of hotline %s", key.Name, s.set.Hotline)
	}
	return key, nil
}

// braked refuses when a brake holds that this officer has not, or cannot, approve; else g takes the officer's reasons.
func (s *session) braked(g *Signed, o SignOptions) error {
	for _, why := range append(slices.Collect(maps.Values(o.ApproveEntries)), o.Approve) {
		if len(why) > maxReason || printable(why) != why {
			return sentence(CodeUsage, nil, fmt.Sprintf("give --approve a reason of at most %d characters on one line", maxReason), "the reason cannot be used")
		}
	}
	entries := map[string]string{} // reason by id
	for _, w := range slices.Sorted(maps.Keys(o.ApproveEntries)) {
		before := len(entries)
		for _, h := range g.Check.Holds {
			if h.is(w) {
				entries[h.Entry] = o.ApproveEntries[w]
			}
		}
		if len(entries) == before {
			return sentence(CodeInput, nil, "name one that check shows, by address or by id", "no brake holds an entry %q", printable(w))
		}
	}
	if g.Check.Err() == nil || o.later && !g.Check.mustStop() {
		return nil
	}
	if g.Check.More > 0 {
		return g.Check.Err()
	}
	g.approvals = nil
	left := 0
	for _, h := range g.Check.Holds {
		why := o.Approve
		if h.Entry != "" {
			why = entries[h.Entry]
		}
		if !h.Approve || why == "" {
			left++
			continue
		}
		g.Notes = append(g.Notes, fmt.Sprintf("%s signs although %s holds (%s), because: %s", g.Officer, h.Brake, h.Text, why))
		g.approvals = append(g.approvals, Approval{Brake: h.Brake, Entry: h.Entry, Reason: why})
	}
	if left > 0 {
		return g.Check.Err()
	}
	return nil
}

// ageEpoch starts a new epoch when the present keys would soon be as old as they may get: the version may be in force for weeks.
func (s *session) ageEpoch(g *Signed) error {
	_, made, err := s.epoch(s.st.Epoch)
	if err != nil || s.now.Sub(made) < epochRenew {
		return err
	}
	if err := s.nextEpoch(); err != nil {
		return err
	}
	g.Notes = append(g.Notes, fmt.Sprintf("the list's keys are %d days old: this version has new ones (epoch %d)", int(s.now.Sub(made).Hours()/24), s.st.Epoch))
	return nil
}

// needed refuses to make a version that would be the published one again.
func (s *session) needed(d *Diff, operators string, again bool) error {
	if again || s.st.Seq == 0 || !d.Empty() {
		return nil
	}
	m, err := s.manifest(s.st.Seq)
	if err != nil {
		return err
	}
	if m.Operators != operators || m.Epoch != s.st.Epoch || m.Targets != s.acc.targetsEnv.head.Version || m.Expires-s.now.Unix() < int64(listRenew.Seconds()) {
		return nil
	}
	return sentence(CodeInput, ErrNothingToSign, "import or remove entries first, or sign the same ones anew with --again",
		"nothing has changed since version %d, and that is good for longer than %d days", s.st.Seq, int(listRenew.Hours()/24))
}

// addSignature signs the staged metadata.
func (s *session) addSignature(c *candidate, meta []byte, key signingKey, approvals []Approval) (*envelope, error) {
	if len(approvals) > 0 {
		for _, a := range approvals {
			a.Officer = key.KeyID
			c.Approvals = append(c.Approvals, a)
		}
		if err := writeJSON(s.path("staging", "candidate.json"), c, 0o600); err != nil {
			return nil, fault(CodeFailure, err, "check the disk", "cannot write %s", s.path("staging"))
		}
	}
	b, err := trust.Sign(meta, key.private)
	if err != nil {
		return nil, unsigned(err, "cannot sign version %d", c.Seq)
	}
	if err := writeFile(s.path("staging", "list.json"), b, 0o600); err != nil {
		return nil, fault(CodeFailure, err, "check the disk", "cannot write %s", s.path("staging"))
	}
	return openEnvelope(b)
}

// signatures names who has signed a candidate and, below the threshold, who still can.
func (s *session) signatures(e *envelope) (have, missing []string) {
	ids := e.signers(s.acc.officers, s.acc.keys)
	have, missing = s.officerNames(ids), []string{}
	if len(ids) < max(s.acc.officers.Threshold, minThreshold) {
		missing = s.officerNames(slices.DeleteFunc(slices.Clone(s.acc.officers.KeyIDs), func(id string) bool { return slices.Contains(ids, id) }))
	}
	return have, missing
}

// manifest is versions/N.json: what a published version was. Prev is the one before it; numbers between them were used up and never published.
type manifest struct {
	candidate
	List      string   `json:"list"`
	Published int64    `json:"published"`
	Expires   int64    `json:"expires"` // of the list's own metadata
	SignedBy  []string `json:"signed_by"`
}

func (s *session) versionPath(seq uint64, what string) string {
	return s.path("versions", fmt.Sprintf("%d.%s", seq, what))
}

// versions are the manifests of the versions up to seq, newest first. It ends with the first error.
func (s *session) versions(seq uint64) iter.Seq2[*manifest, error] {
	return func(yield func(*manifest, error) bool) {
		for seq > 0 {
			m, err := s.manifest(seq)
			if !yield(m, err) || err != nil {
				return
			}
			seq = m.Prev
		}
	}
}

func (s *session) manifest(seq uint64) (*manifest, error) {
	var m manifest
	path := s.versionPath(seq, "json")
	err := readJSON(path, &m)
	if err == nil && (m.V != 1 || m.Seq != seq || m.Prev >= seq) {
		err = errors.New("it is of another version")
	}
	if err == nil {
		_, err = hex.DecodeString(m.Entries)
	}
	if err != nil {
		return nil, fault(CodeInput, err, "put the file back from your backup", "cannot use %s", path)
	}
	return &m, nil
}
