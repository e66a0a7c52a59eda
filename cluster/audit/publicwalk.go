package audit

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/cordon-project/cordon/listsync/publiclog"
	"github.com/cordon-project/cordon/listsync/trust"
	"github.com/cordon-project/cordon/resolver/match"
)

// LogReport is what comes of holding a hotline's public log, as somebody outside reads it, against an operator's log.
type LogReport struct {
	Pass     bool            `json:"pass"`
	Hotline  trust.HotlineID `json:"hotline"`
	Origin   string          `json:"origin"`
	Size     uint64          `json:"size"`
	Witness  []string        `json:"witnesses"` // of the trust file's policy that have cosigned the checkpoint read
	Matched  int             `json:"matched"`   // versions that are in both logs
	Newer    int             `json:"newer"`     // in the public log alone, after the operator's last
	Earlier  int             `json:"earlier"`   // before the operator's first
	Refused  int             `json:"refused"`   // refused, held back or passed over by the operator, and its log says so
	Findings []string        `json:"findings"`  // each a reason to fail
	Notes    []string        `json:"notes"`
}

// ErrNoPublicLog: the report's cluster follows no hotline whose public log this is.
var ErrNoPublicLog = errors.New("no hotline of this cluster has a public log with this key")

// WalkPublicLog reads all of a hotline's public log from a repository and compares: every version in it is in the operator's log, was refused there, or is newer;
// every version in the operator's log is in it; and it is the log that the operator was shown, grown. The report must have verified the log and the
// metadata, and not be Lean. Errors: those of read, ErrNoPublicLog, publiclog.ErrProof.
func (r *Report) WalkPublicLog(ctx context.Context, tf TrustFile, read publiclog.Read, notFound error) (*LogReport, error) {
	hotline, tree, err := r.openPublicLog(ctx, read, notFound)
	if err != nil {
		return nil, err
	}
	w := &logWalk{LogReport: &LogReport{Hotline: hotline, Origin: tree.Log.Origin, Size: tree.Size, Witness: []string{}, Findings: []string{}, Notes: []string{}}, tree: tree}
	if co, err := tf.LogPolicy().Check(tree.Checkpoint); err != nil {
		w.find("the log was not seen by the witnesses that your trust file asks for: %v", err)
	} else {
		w.Witness = append(w.Witness, co.By...)
	}
	w.proofs(r)
	w.operator(r)
	if err := w.heads(r.logged); err != nil {
		return nil, err
	}
	if err := tree.Entries(w.entry); err != nil {
		return nil, err
	}
	for _, list := range slices.Sorted(maps.Keys(w.unknown)) {
		for _, u := range w.unknown[list] {
			w.kept(u)
		}
	}
	w.missing(r.logged)
	w.Pass = len(w.Findings) == 0
	return w.LogReport, nil
}

// openPublicLog finds the hotline by whose key the repository's checkpoint is signed.
func (r *Report) openPublicLog(ctx context.Context, read publiclog.Read, notFound error) (trust.HotlineID, *publiclog.Tree, error) {
	var first error
	for _, h := range slices.Sorted(maps.Keys(r.logKeys)) {
		tree, err := publiclog.Open(ctx, r.logKeys[h], read, notFound)
		if err == nil {
			return h, tree, nil
		}
		if !errors.Is(err, publiclog.ErrProof) {
			return "", nil, err
		}
		if first == nil {
			first = err
		}
	}
	if first == nil {
		return "", nil, ErrNoPublicLog
	}
	return "", nil, fmt.Errorf("%w: %w", ErrNoPublicLog, first)
}

// logWalk is one comparison.
type logWalk struct {
	*LogReport
	tree *publiclog.Tree

	versions map[numbered][]publiclog.Leaf // in the operator's log, Role left out
	refused  []span
	first    map[match.ListID]uint64
	last     map[match.ListID]uint64
	seen     map[numbered][]versionSum // in the public log so far: a million leaves of a hostile one are a million of these
	dropped  map[numbered]bool
	unknown  map[match.ListID][]unknown // in the public log, not in the operator's, and the list's next version has not come yet
	public   map[uint64][]byte
	want     map[uint64]bool // leaves of the public log that the operator's proofs name
}

// numbered is a sequence number of a list.
type numbered struct {
	list match.ListID
	seq  uint64
}

// maxDropped bounds what is remembered of a log that drops version after version.
const maxDropped = 1 << 16

// unknown is leaf n of the public log.
type unknown struct {
	n    uint64
	leaf publiclog.Leaf
}

// versionSum tells versions apart as publiclog.Leaf.Same does.
type versionSum [32]byte

func sumOf(l publiclog.Leaf) versionSum {
	l.Role = [32]byte{}
	return sha256.Sum256(l.Encode())
}

// span is versions of a list that the operator's log accounts for without their having come into force.
type span struct {
	list     match.ListID
	from, to uint64
}

func (w *logWalk) find(format string, args ...any) {
	if len(w.Findings) < maxCauses {
		w.Findings = append(w.Findings, Escape(fmt.Sprintf(format, args...)))
	}
}

// operator takes out of the operator's leaves what it says of the hotline's versions.
func (w *logWalk) operator(r *Report) {
	w.first, w.last = map[match.ListID]uint64{}, map[match.ListID]uint64{}
	w.versions, w.seen, w.unknown = map[numbered][]publiclog.Leaf{}, map[numbered][]versionSum{}, map[match.ListID][]unknown{}
	w.dropped = map[numbered]bool{}
	var passed []Reject // the leaf before, when it says that versions were passed over: it speaks for the publication right behind it and for no other
	for _, l := range r.leaves {
		body, err := l.Body()
		if err != nil {
			continue // the log was replayed
		}
		before := passed
		passed = nil
		switch b := body.(type) {
		case Publish:
			if b.Hotline != w.Hotline {
				continue
			}
			if _, ok := w.first[b.List]; !ok {
				w.first[b.List] = b.Seq
			}
			for _, p := range before {
				if p.List == b.List && p.Seq == b.Prev {
					w.refused = append(w.refused, span{b.List, w.last[b.List] + 1, b.Prev})
				}
			}
			w.last[b.List] = max(w.last[b.List], b.Seq)
			at := numbered{b.List, b.Seq}
			w.versions[at] = append(w.versions[at], publiclog.Leaf{List: b.List, Seq: b.Seq, Prev: b.Prev, Epoch: b.Epoch, Edge: b.Edge, Audit: b.Audit, EntriesRoot: b.EntriesRoot})
		case Reject:
			if b.Reason == ReasonSuperseded {
				passed = []Reject{b}
				continue
			}
			w.refused = append(w.refused, span{b.List, b.Seq, b.Seq})
		case Hold:
			w.refused = append(w.refused, span{b.List, b.Seq, b.Seq})
		}
	}
}

// proofs takes over what verify found wrong in the operator's proofs. A proof that is left out or does not verify is what a version looks like that
// was shown to this operator only.
func (w *logWalk) proofs(r *Report) {
	if c, ok := r.Check(CheckPublicLog); ok && !c.Pass {
		for _, cause := range c.Causes {
			w.find("operator's log: %s", cause)
		}
		if len(c.Causes) == 0 {
			w.find("operator's log: proofs of the public log could not be checked: %s", c.Detail)
		}
	}
}

// heads holds the log to what the operator was shown of it.
func (w *logWalk) heads(all []Logged) error {
	w.public, w.want = map[uint64][]byte{}, map[uint64]bool{}
	for _, l := range all {
		if trust.HotlineID(l.Leaf.List.Hotline()) != w.Hotline {
			continue
		}
		w.want[l.Index] = true
		head := l.Head
		head.Log = w.tree.Head.Log // a log goes on under a new key
		switch err := w.tree.Continues(head); {
		case errors.Is(err, publiclog.ErrSplitView):
			w.find("the operator was shown another history of this log (leaf %d, size %d): %s is a list that was shown to one operator only, or the log here is one that was made for you", l.Operator, l.Head.Size, l.Leaf)
		case errors.Is(err, publiclog.ErrBehind):
			w.find("the operator was shown %d leaves of this log (leaf %d), and here are %d: this copy is behind, or something is kept from you", l.Head.Size, l.Operator, w.Size)
		case err != nil:
			return err
		}
	}
	return nil
}

// entry compares one leaf of the public log with the operator's.
func (w *logWalk) entry(n uint64, b []byte) error {
	if w.want[n] {
		w.public[n] = slices.Clone(b)
	}
	leaf, err := publiclog.ParseLeaf(b)
	if err != nil {
		w.find("leaf %d of the public log is no list version: %v", n, err)
		return nil
	}
	if trust.HotlineID(leaf.List.Hotline()) != w.Hotline {
		w.find("leaf %d of the public log is of another hotline: %s", n, leaf)
		return nil
	}
	at, sum := numbered{leaf.List, leaf.Seq}, sumOf(leaf)
	again := slices.Contains(w.seen[at], sum) // signed anew, with other keys or lists beside it
	if len(w.seen[at]) > 1 || len(w.seen[at]) == 1 && !again {
		w.find("leaf %d of the public log: %s is a second content of sequence %d: two lists were signed under one number", n, leaf, leaf.Seq)
	}
	if !again && len(w.seen[at]) < maxCauses {
		w.seen[at] = append(w.seen[at], sum)
	}
	if !again {
		w.follows(n, leaf)
	}
	last, known := w.last[leaf.List]
	switch {
	case again:
	case slices.ContainsFunc(w.versions[at], leaf.Same):
		w.Matched++
	case !known:
		if note := fmt.Sprintf("list %s is not in force at this operator", leaf.List); len(w.Notes) < maxCauses && !slices.Contains(w.Notes, note) {
			w.Notes = append(w.Notes, note)
		}
	case leaf.Seq > last:
		w.Newer++
	case slices.ContainsFunc(w.refused, func(s span) bool { return s.list == leaf.List && s.from <= leaf.Seq && leaf.Seq <= s.to }):
		w.Refused++
	case leaf.Seq < w.first[leaf.List]:
		w.Earlier++
	default:
		w.unknown[leaf.List] = append(w.unknown[leaf.List], unknown{n, leaf})
	}
	return nil
}

// follows holds a version to those that it says were never published: the numbers between it and the one that it follows. A hotline that dropped a
// version after it stood in the log has used its number up, and its officers sign that nobody was to have it.
func (w *logWalk) follows(n uint64, leaf publiclog.Leaf) {
	if w.dropped[numbered{leaf.List, leaf.Prev}] {
		w.find("leaf %d of the public log: %s follows sequence %d, which was dropped before it was published: two histories", n, leaf, leaf.Prev)
	}
	for _, u := range w.unknown[leaf.List] {
		if u.leaf.Seq <= leaf.Prev || u.leaf.Seq >= leaf.Seq {
			w.kept(u)
			continue
		}
		if len(w.dropped) == maxDropped {
			w.find("leaf %d of the public log: more than %d versions were dropped before they were published", n, maxDropped)
			continue
		}
		w.dropped[numbered{leaf.List, u.leaf.Seq}] = true
		if len(w.Notes) < maxCauses {
			w.Notes = append(w.Notes, Escape(fmt.Sprintf("leaf %d of the public log: %s was dropped before it was published: leaf %d, sequence %d, follows sequence %d", u.n, u.leaf, n, leaf.Seq, leaf.Prev)))
		}
	}
	delete(w.unknown, leaf.List)
	if leaf.Seq == leaf.Prev+1 {
		return
	}
	for _, seq := range w.sequences(leaf.List) {
		if leaf.Prev < seq && seq < leaf.Seq {
			w.find("leaf %d of the public log: %s follows sequence %d, as if sequence %d, which the operator has had in force, had never been published: a list that was shown to one operator only", n, leaf, leaf.Prev, seq)
		}
	}
}

// sequences are the numbers of a list's versions in the operator's log, ascending.
func (w *logWalk) sequences(list match.ListID) (out []uint64) {
	for at := range w.versions {
		if at.list == list {
			out = append(out, at.seq)
		}
	}
	slices.Sort(out)
	return out
}

// kept finds a version that is nowhere in the operator's log.
func (w *logWalk) kept(u unknown) {
	w.find("leaf %d of the public log: %s is not in the operator's log, neither in force nor refused: a list that was shown to somebody else only, or kept from this operator", u.n, u.leaf)
}

// missing looks for versions of the operator's that the public log does not have where they were shown.
func (w *logWalk) missing(all []Logged) {
	proven := map[numbered]bool{}
	for _, l := range all {
		proven[numbered{l.Leaf.List, l.Leaf.Seq}] = true
	}
	for _, l := range all {
		if trust.HotlineID(l.Leaf.List.Hotline()) != w.Hotline || l.Index >= w.Size || string(w.public[l.Index]) == string(l.Leaf.Encode()) {
			continue
		}
		w.find("leaf %d of the operator's log: %s is not in the public log as it is shown here: a list that was shown to one operator only", l.Operator, l.Leaf)
	}
	var bare []publiclog.Leaf
	for at, all := range w.versions {
		for _, v := range all {
			if !slices.Contains(w.seen[at], sumOf(v)) && !proven[at] {
				bare = append(bare, v)
			}
		}
	}
	slices.SortFunc(bare, func(a, b publiclog.Leaf) int { return cmp.Or(cmp.Compare(a.List, b.List), cmp.Compare(a.Seq, b.Seq)) })
	for _, v := range bare[:min(len(bare), maxCauses)] {
		w.Notes = append(w.Notes, Escape(fmt.Sprintf("%s is in force without a proof of the public log, and not in it: its charter named none", v)))
	}
}

// WriteText puts it in words.
func (l *LogReport) WriteText(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "public log %s of hotline %s: %d leaves", l.Origin, l.Hotline, l.Size)
	if len(l.Witness) > 0 {
		fmt.Fprintf(&b, ", cosigned by %s", strings.Join(l.Witness, ", "))
	}
	fmt.Fprintf(&b, "\n%d versions are in both logs; the operator refused or passed over %d, its log says so; %d are older than its first and %d newer than its last\n", l.Matched, l.Refused, l.Earlier, l.Newer)
	for _, f := range l.Findings {
		fmt.Fprintf(&b, "FAIL  %s\n", f)
	}
	for _, n := range l.Notes {
		fmt.Fprintf(&b, "note  %s\n", n)
	}
	if l.Pass {
		b.WriteString("\nPASS  the public log and the operator's say the same\n")
	} else {
		fmt.Fprintf(&b, "\nFAIL  %d findings\n", len(l.Findings))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// WriteJSON prints it as one JSON object.
func (l *LogReport) WriteJSON(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(l)
}
