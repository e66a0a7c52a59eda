package publish

import (
	"crypto/sha256"
	_ "embed"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/cordon-project/cordon/listsync/list"
	"github.com/cordon-project/cordon/resolver/canon"
	"github.com/cordon-project/cordon/resolver/match"
)

//go:embed never-block.txt
var embeddedNeverBlock string

// Hold is one brake that holds the list, in plain words.
type Hold struct {
	Brake   string `json:"brake"` // never_block, public_suffix, charter, assessors, expired, size, change
	Text    string `json:"text"`
	Do      string `json:"do"`
	Approve bool   `json:"approve"` // officers may sign all the same, with a written reason
}

// CheckReport is what the brakes say about the working set.
type CheckReport struct {
	Entries    int    `json:"entries"`
	Against    uint64 `json:"against"` // the published version it was compared with, 0 for none
	Added      int    `json:"added"`
	Removed    int    `json:"removed"`
	NeverBlock string `json:"never_block"` // version of the never-block list
	Holds      []Hold `json:"holds"`
	More       int    `json:"more,omitempty"` // holds that are not listed
}

// maxHolds bounds the holds that are listed; an import gone wrong can have one for every row.
const maxHolds = 1000

func (r *CheckReport) hold(brake, do string, approve bool, format string, a ...any) {
	if len(r.Holds) >= maxHolds {
		r.More++
		return
	}
	r.Holds = append(r.Holds, Hold{Brake: brake, Text: fmt.Sprintf(format, a...), Do: do, Approve: approve})
}

// Err is nil when nothing holds, else a *Fault that is ErrHeld.
func (r *CheckReport) Err() error {
	n := len(r.Holds) + r.More
	if n == 0 {
		return nil
	}
	return sentence(CodeHeld, ErrHeld, "do what each line says, then check again", "%d %s the list back", n, plural(n, "brake holds", "brakes hold"))
}

// mustStop reports a hold that no reason overcomes.
func (r *CheckReport) mustStop() bool {
	return r.More > 0 || slices.ContainsFunc(r.Holds, func(h Hold) bool { return !h.Approve })
}

// Write puts the report in plain words.
func (r *CheckReport) Write(w io.Writer) {
	if len(r.Holds) == 0 {
		fmt.Fprintf(w, "nothing holds: %d %s checked, %d added and %d removed since %s\n", r.Entries, plural(r.Entries, "entry", "entries"), r.Added, r.Removed, versionName(r.Against))
		return
	}
	for _, h := range r.Holds {
		fmt.Fprintf(w, "HELD %s: %s\n  what to do: %s\n", h.Brake, h.Text, h.Do)
	}
	if r.More > 0 {
		fmt.Fprintf(w, "and %d more\n", r.More)
	}
}

func versionName(seq uint64) string {
	if seq == 0 {
		return "the beginning (nothing is published yet)"
	}
	return fmt.Sprintf("version %d", seq)
}

// Check holds the working set against the brakes. neverBlock names further files with one name a line. The report comes with a nil
// error when something holds, too: ask its Err.
func (h *Hotline) Check(neverBlock ...string) (*CheckReport, error) {
	s, err := h.begin()
	if err != nil {
		return nil, err
	}
	defer s.release()
	if _, err := s.accredited(); err != nil {
		return nil, err
	}
	k, err := s.newChecker(neverBlock)
	if err != nil {
		return nil, err
	}
	d, _, err := s.compare(false, onlookers{now: k.entry})
	if err != nil {
		return nil, err
	}
	return k.report(d), nil
}

// checker runs the brakes: over each entry while compare passes it, and then over the whole.
type checker struct {
	s      *session
	r      *CheckReport
	never  *neverBlock
	filter match.Filter
}

func (s *session) newChecker(neverBlock []string) (*checker, error) {
	never, err := s.neverBlock(neverBlock)
	if err != nil {
		return nil, err
	}
	return &checker{s: s, r: &CheckReport{NeverBlock: never.version, Holds: []Hold{}}, never: never, filter: s.acc.charter.Filter()}, nil
}

// entry is an onlooker of compare.
func (k *checker) entry(e *list.Entry) error {
	k.s.checkEntry(k.r, e, k.never, &k.filter)
	return nil
}

// report runs the brakes on size and change; d is the change since the last published version.
func (k *checker) report(d *Diff) *CheckReport {
	s, r := k.s, k.r
	r.Entries, r.Against, r.Added, r.Removed = d.After, d.From, d.AddedCount, d.RemovedCount
	lim := s.set.Limits
	if n := d.After; n > min(lim.MaxEntries, maxEntries) {
		r.hold("size", "look for an import gone wrong; raise max_entries in hotline.json when the number is right", true,
			"the list has %d %s, more than the limit of %d", n, plural(n, "entry", "entries"), min(lim.MaxEntries, maxEntries))
	}
	if d.From > 0 {
		allowed := max(lim.MinChange, d.Before*lim.MaxChangePercent/100)
		for _, c := range []struct {
			what string
			n    int
		}{{"adds", d.AddedCount}, {"removes", d.RemovedCount}} {
			if c.n > allowed {
				r.hold("change", "look at diff; when the change is right, each officer signs with --approve \"WHY\"", true,
					"the new version %s %d %s, more than %d (%d%% of %d, at least %d)", c.what, c.n, plural(c.n, "entry", "entries"), allowed, lim.MaxChangePercent, d.Before, lim.MinChange)
			}
		}
	}
	return r
}

func (s *session) checkEntry(r *CheckReport, e *list.Entry, never *neverBlock, filter *match.Filter) {
	host := canon.HostOf(e.Expression)
	name := func() string { return e.Kind.String() + " entry " + e.Expression }
	remove := "take it out with remove --reason REASON"
	whole := e.Kind == canon.KindHost || e.Kind == canon.KindDomain || (e.Kind == canon.KindPrefix && e.Expression == host+"/")
	if whole {
		if n, ok := never.hit(host, e.Kind == canon.KindDomain); ok {
			r.hold("never_block", remove+", or list its pages as url entries", false, "%s would block %s, which the never-block list protects", name(), n)
		}
	}
	if (e.Kind == canon.KindHost || e.Kind == canon.KindDomain) && canon.PublicSuffix(host) {
		r.hold("public_suffix", remove, false, "%s is a public suffix: strangers have their sites below it", name())
	}
	if !slices.Contains(filter.Kinds, e.Kind) || !slices.Contains(filter.Bases, e.Basis) || !slices.Contains(filter.Jurisdictions, e.Jurisdiction) {
		r.hold("charter", remove+"; operators would drop it", false, "%s (%s, %s) is outside of the charter", name(), e.Basis, e.Jurisdiction)
	}
	if i, why := twoPeople(e.Assessors); why != "" { // import refuses it; this is for what came into the file another way
		r.hold("assessors", "have two people assess it and import it again, or "+remove, false, "%s has a wrong assessor_%d: %s", name(), i+1, why)
	}
	if !e.ReviewBy.After(s.now) {
		r.hold("expired", "assess it again and import it with a new review_by, or take all such entries out with remove --expired", false,
			"%s had to be assessed again by %s", name(), day(e.ReviewBy))
	}
}

// neverBlock is the union of never-block lists.
type neverBlock struct {
	version string
	names   map[string]bool
	above   map[string]string // every name above a protected one, to one that it would cover
}

// hit gives the protected name that blocking host, and with below everything below it, would block.
func (n *neverBlock) hit(host string, below bool) (string, bool) {
	if n.names[host] {
		return host, true
	}
	if covered, ok := n.above[host]; below && ok {
		return covered, true
	}
	return "", false
}

// maxNeverBlock bounds the names of one never-block file: the usual popularity lists have a million.
const maxNeverBlock = 5_000_000

// neverBlock reads the embedded list, the hotline's own never-block.txt and the given files. Its version names the embedded list and
// the hash of all of them.
func (s *session) neverBlock(files []string) (*neverBlock, error) {
	n := &neverBlock{names: map[string]bool{}, above: map[string]string{}}
	h := sha256.New()
	if err := n.read(strings.NewReader(embeddedNeverBlock), "the embedded never-block list", h); err != nil {
		return nil, err
	}
	if own := s.path("never-block.txt"); exists(own) {
		files = append([]string{own}, files...)
	}
	for _, path := range files {
		f, err := os.Open(path)
		if err != nil {
			if errors.Is(err, fs.ErrNotExist) {
				return nil, sentence(CodeInput, nil, "check the path", "there is no never-block list %s", path)
			}
			return nil, fault(CodeFailure, err, "check the path", "cannot read the never-block list %s", path)
		}
		if info, serr := f.Stat(); serr == nil && info.IsDir() {
			err = sentence(CodeInput, nil, "name a file with one name a line", "the never-block list %s is a directory", path)
		} else {
			err = n.read(f, path, h)
		}
		f.Close()
		if err != nil {
			return nil, err
		}
	}
	first, _, _ := strings.Cut(embeddedNeverBlock, "\n")
	n.version = fmt.Sprintf("%s %x", strings.TrimPrefix(first, "# "), h.Sum(nil)[:8])
	n.add(s.set.Canary) // the canary is listed by the tool itself; nothing may cover it
	return n, nil
}

func (n *neverBlock) read(r io.Reader, from string, h hash.Hash) error {
	in := newLineReader(io.TeeReader(r, h), 1024)
	for {
		line, err := in.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		do := "write one name a line; # begins a comment"
		if err != nil {
			return fault(CodeInput, err, do, "cannot use %s, line %d", from, max(in.line, 1))
		}
		text, _, _ := strings.Cut(string(line), "#")
		if text = strings.TrimSpace(text); text == "" {
			continue
		}
		name, err := canon.Host(text)
		if err != nil {
			return sentence(CodeInput, nil, do, "line %d of %s is not a name: %s", in.line, from, canonReason(err))
		}
		if len(n.names) >= maxNeverBlock {
			return sentence(CodeInput, nil, "shorten it", "%s has more than %d names", from, maxNeverBlock)
		}
		n.add(name)
	}
}

func (n *neverBlock) add(name string) {
	n.names[name] = true
	for rest := name; ; {
		_, up, ok := strings.Cut(rest, ".")
		if !ok {
			return
		}
		if _, known := n.above[up]; known {
			return // and everything above it too
		}
		n.above[up] = name
		rest = up
	}
}
