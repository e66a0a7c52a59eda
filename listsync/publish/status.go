package publish

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/cordon-project/cordon/listsync/list"
	"github.com/cordon-project/cordon/listsync/trust"
	"github.com/cordon-project/cordon/resolver/match"
)

// Status is how a hotline stands.
type Status struct {
	Hotline     trust.HotlineID `json:"hotline"`
	Name        string          `json:"name"`
	List        string          `json:"list"`
	Accredited  bool            `json:"accredited"`
	Development bool            `json:"development"`
	Asked       bool            `json:"asked"` // request.json asks for something else than is accredited
	Seq         uint64          `json:"seq"`   // published; 0 for nothing
	Repository  string          `json:"repository"`
	Epoch       uint32          `json:"epoch"`
	EpochSince  time.Time       `json:"epoch_since"`
	Entries     int             `json:"entries"` // of the working set, without the canary
	ByKind      map[string]int  `json:"by_kind"`
	Expired     int             `json:"expired"`     // past review_by
	EndingSoon  int             `json:"ending_soon"` // within 14 days
	Staged      *StagedStatus   `json:"staged"`      // null when nothing is
	HeldBack    []HeldBack      `json:"held_back"`
	CameBack    []CameBack      `json:"came_back"` // from being held back, since the last version: the next one has them
	Expiry      []Expiry        `json:"expiry"`
	PublicLog   *LogStatus      `json:"public_log"` // null when the charter names none, or nothing is in it
	Private     *PrivateLookups `json:"private"`    // null when private lookups are off
	Operators   []Operator      `json:"operators"`
	Owed        []*Withdrawn    `json:"owed"`     // withdrawals whose second signature is owed
	Problems    []string        `json:"problems"` // what keeps the next version from being made, each with what to do
}

// endingSoon is how far ahead status looks for entries to be assessed again.
const endingSoon = 14 * 24 * time.Hour

// StagedStatus is the candidate's.
type StagedStatus struct {
	Seq     uint64   `json:"seq"`
	Have    []string `json:"have"`
	Missing []string `json:"missing"`
	Need    int      `json:"need"`
	Stale   string   `json:"stale"` // why it must be signed again, or empty

	Requests []RequestOut `json:"requests"` // exported, and not answered yet
}

// Expiry is when something signed ends.
type Expiry struct {
	What string    `json:"what"`
	At   time.Time `json:"at"`
	Left string    `json:"left"` // "expired" when it has
}

// Status reads the whole directory.
func (h *Hotline) Status() (*Status, error) {
	s, err := h.begin()
	if err != nil {
		return nil, err
	}
	defer s.release()
	st := &Status{
		Hotline: s.set.Hotline, Name: s.set.Name, List: string(s.set.List), Accredited: s.acc != nil, Seq: s.st.Seq, Repository: s.repository(),
		Epoch: s.st.Epoch, ByKind: map[string]int{}, Expiry: []Expiry{}, Owed: []*Withdrawn{}, Problems: []string{},
	}
	if _, st.EpochSince, err = s.epoch(s.st.Epoch); err != nil {
		return nil, err
	}
	if err := s.statusHolds(st); err != nil {
		return nil, err
	}
	back := map[match.EntryID]bool{}
	for _, b := range st.CameBack {
		back[b.ID] = false
	}
	entries, err := scanEntries(s.path("entries.jsonl"), func(e *list.Entry) error {
		st.Entries++
		if _, ok := back[e.ID]; ok {
			back[e.ID] = true
		}
		st.ByKind[e.Kind.String()]++
		switch left := e.ReviewBy.Sub(s.now); {
		case left <= 0:
			st.Expired++
		case left <= endingSoon:
			st.EndingSoon++
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if err := s.baseProblem(st.Entries); err != nil {
		if !errors.Is(err, errRecord) {
			return nil, err
		}
		st.Problems = append(st.Problems, err.Error())
	}
	if st.Operators, err = s.operators(); err != nil {
		return nil, err
	}
	st.stillThere(back)
	st.Private = s.statusPrivate(st)
	if s.acc == nil {
		return st, nil
	}
	st.Development = s.acc.development()
	st.PublicLog = s.statusLog(st)
	if r, err := readRequest(s.path("request.json")); err == nil && s.acc.fits(r) != nil {
		st.Asked = true
	}
	if why := s.mustResign(); why != "" {
		st.Problems = append(st.Problems, why)
	}
	if err := s.statusStaged(st, entries); err != nil {
		return nil, err
	}
	if err := s.statusExpiry(st); err != nil {
		return nil, err
	}
	all, err := s.statements()
	if err != nil {
		return nil, err
	}
	for _, w := range all {
		d, err := s.describe(w.raw)
		if err != nil {
			return nil, err
		}
		if d.Owed > 0 {
			for _, id := range w.Entries {
				d.Entries = append(d.Entries, Removed{ID: id})
			}
			st.Owed = append(st.Owed, d)
		}
	}
	return st, nil
}

func (s *session) statusStaged(st *Status, entries [32]byte) error {
	c, e, _, err := s.loadCandidate()
	if err != nil || c == nil {
		return err
	}
	operators, err := s.operatorsSum()
	if err != nil {
		return err
	}
	st.Staged = &StagedStatus{Seq: c.Seq, Need: max(s.acc.officers.Threshold, minThreshold), Stale: s.spoiled(c, e, entries, operators)}
	st.Staged.Have, st.Staged.Missing = s.signatures(e)
	st.Staged.Requests, err = s.requestsOut(e)
	return err
}

func (s *session) statusExpiry(st *Status) error {
	add := func(what string, at time.Time) {
		left := "expired"
		if d := at.Sub(s.now); d > 0 {
			left = fmt.Sprintf("%d days", int(d.Hours()/24)) // two or more
			if d < 48*time.Hour {
				left = fmt.Sprintf("%d %s", int(d.Hours()), plural(int(d.Hours()), "hour", "hours"))
			}
		}
		st.Expiry = append(st.Expiry, Expiry{What: what, At: at, Left: left})
	}
	add("root", s.acc.root.head.Expires)
	add("accreditation", s.acc.targetsEnv.head.Expires)
	add("charter", s.acc.charter.ValidTo)
	if s.st.Seq == 0 {
		return nil
	}
	for _, f := range []struct{ what, name, kind string }{
		{"list", trust.ListName(s.set.Hotline, int64(s.st.Seq)), "targets"},
		{"snapshot", trust.SnapshotName(s.st.Snapshot), "snapshot"},
		{"timestamp", trust.TimestampName, "timestamp"},
	} {
		e, _, err := readEnvelope(s.repository(filepath.FromSlash(f.name)), f.kind)
		if err != nil {
			return fault(CodeInput, err, "put the repository back from a mirror", "cannot use the repository %s", s.repository())
		}
		add(f.what, e.head.Expires)
	}
	return nil
}

// Write puts the status in plain words.
func (st *Status) Write(w io.Writer) error {
	out := bufio.NewWriter(w)
	p := func(format string, a ...any) { fmt.Fprintf(out, format+"\n", a...) }
	p("hotline     %s (%s)", st.Hotline, st.Name)
	p("list        %s", st.List)
	switch {
	case !st.Accredited:
		p("accredited  no: send request.json to the authority, then accept its answer")
	case st.Development:
		p("accredited  yes, by a throw-away authority: only cordon dev takes it")
	default:
		p("accredited  yes")
	}
	if st.Asked {
		p("asked       request.json waits for the authority's answer: accept takes it in")
	}
	if st.Seq == 0 {
		p("published   nothing yet")
	} else {
		p("published   version %d in %s", st.Seq, st.Repository)
	}
	var kinds []string
	for _, k := range slices.Sorted(maps.Keys(st.ByKind)) {
		kinds = append(kinds, fmt.Sprintf("%d %s", st.ByKind[k], k))
	}
	p("entries     %d%s", st.Entries, map[bool]string{true: " (" + strings.Join(kinds, ", ") + ")"}[len(kinds) > 0])
	if st.Expired > 0 {
		p("            %d past their review_by, out of force: assess them again (review, reattest) or remove --expired", st.Expired)
	}
	if st.EndingSoon > 0 {
		p("            %d to be assessed again within 14 days: see review", st.EndingSoon)
	}
	for i, h := range st.HeldBack {
		if i == maxNamed {
			p("held back   and %d more: see holdback --list", len(st.HeldBack)-i)
			break
		}
		p("held back   %s %s: %s", h.Kind, h.Expression, h.Words())
	}
	for i, b := range st.CameBack {
		if i == maxNamed {
			p("came back   and %d more", len(st.CameBack)-i)
			break
		}
		p("came back   %s %s: it was held back, %s; the next version has it", b.Kind, b.Expression, b.Why)
	}
	p("keys        epoch %d, since %s", st.Epoch, day(st.EpochSince))
	switch g := st.Staged; {
	case g == nil:
		p("staged      nothing")
	case g.Stale != "":
		p("staged      version %d, to be signed again: %s", g.Seq, g.Stale)
	case len(g.Missing) == 0:
		p("staged      version %d, signed by %s: ready to publish", g.Seq, strings.Join(g.Have, " and "))
	default:
		by := ""
		if len(g.Have) > 0 {
			by = " (" + strings.Join(g.Have, " and ") + ")"
		}
		p("staged      version %d, %d of %d signatures%s; still to sign: %s", g.Seq, len(g.Have), g.Need, by, oneOf(g.Missing, g.Need-len(g.Have)))
	}
	if st.Staged != nil {
		for _, r := range st.Staged.Requests {
			p("            a request is out to %s, since %s", strings.Join(r.For, " and "), day(r.Made))
		}
	}
	for _, e := range st.Expiry {
		p("%-11s ends %s (%s)", e.What, day(e.At), e.Left)
	}
	if l := st.PublicLog; l != nil {
		seen := "nobody else has to cosign it"
		if len(l.Witnesses) > 0 {
			seen = "its witnesses have cosigned it"
		}
		if l.Missing != "" {
			seen = "refresh asks again for what is missing: " + l.Missing
		}
		p("public log  %s, %d leaves; %s", l.Origin, l.Size, seen)
	}
	if l := st.Private; l != nil {
		p("private     lookups are on at %s, for %d %s", l.URL, l.Auditors, plural(l.Auditors, "auditor", "auditors"))
	}
	for _, problem := range st.Problems {
		p("PROBLEM     %s", problem)
	}
	p("operators   %d", len(st.Operators))
	for _, o := range st.Operators {
		p("            %s %s", o.Cluster, o.Name)
	}
	for _, o := range st.Owed {
		late := ""
		if o.LateFor != "" {
			late = ", late by " + o.LateFor
		}
		p("OWED        withdrawal %d (%d %s, signed by %s): %s signs by %s%s", o.Number, len(o.Entries), plural(len(o.Entries), "entry", "entries"),
			strings.Join(o.SignedBy, " and "), oneOf(o.Missing, o.Owed), day(o.OwedBy), late)
	}
	return out.Flush()
}
