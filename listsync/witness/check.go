package witness

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
)

// Cosigned is what the witnesses of a policy said about a checkpoint.
type Cosigned struct {
	By []string // their names in the policy, in its order; those that are not part of the quorum too
	// Fresh is the latest time for which the cosignatures of that time and later make the quorum by themselves:
	// so many witnesses say that the log was like this then, or after. Zero when the quorum is none.
	Fresh time.Time
}

// Open verifies a checkpoint of the log and holds it to the policy: one of the log's keys signed, which the policy
// names when it names any log, and witnesses cosigned that make the quorum. Errors: those of Log.Open, ErrPolicy.
func (p Policy) Open(b []byte, log Log) (Checkpoint, Cosigned, error) {
	c, by, err := log.OpenBy(b)
	if err != nil {
		return Checkpoint{}, Cosigned{}, err
	}
	if len(p.Logs) > 0 && !slices.ContainsFunc(p.Logs, func(l PolicyLog) bool {
		return slices.ContainsFunc(by, func(k Key) bool { return k.vkey == l.Key.vkey })
	}) {
		return Checkpoint{}, Cosigned{}, fmt.Errorf("checkpoint of %s: the policy names other logs than the one that signed: %w", clip(c.Origin), ErrPolicy)
	}
	co, err := p.Check(b)
	if err != nil {
		return Checkpoint{}, Cosigned{}, err
	}
	return c, co, nil
}

// Check holds a checkpoint note to the policy's witnesses alone; the caller has verified that its log signed it.
// A wrong signature under the name and key of a witness refuses the note (ErrSignature); signatures of others are
// left alone. ErrPolicy says in words which witnesses are missing.
func (p Policy) Check(b []byte) (Cosigned, error) {
	c, n, err := openNote(b, p.keys())
	if err != nil {
		return Cosigned{}, fmt.Errorf("cosignatures: %w", err)
	}
	times, err := p.times(n)
	if err != nil {
		return Cosigned{}, err
	}
	var co Cosigned
	for i, w := range p.Witnesses {
		if _, ok := times[i]; ok {
			co.By = append(co.By, w.Name)
		}
	}
	if p.quorum == nil {
		return co, nil
	}
	at, _, ok := p.weigh(*p.quorum, times)
	if !ok {
		return co, fmt.Errorf("checkpoint of %s, size %d: %s: %w", clip(c.Origin), c.Size, p.missing(*p.quorum, times), ErrPolicy)
	}
	co.Fresh = time.Unix(at, 0).UTC()
	return co, nil
}

// Trim leaves of a note only what somebody needs who opens it with the log and the policy: the log's signatures, and
// those cosignatures that make the quorum. It is for notes that pass Open, and gives its errors for others.
func (p Policy) Trim(b []byte, log Log) ([]byte, error) {
	if _, _, err := p.Open(b, log); err != nil {
		return nil, fmt.Errorf("trim: %w", err)
	}
	keep := slices.Clone(log.keys)
	if p.quorum != nil {
		_, n, err := openNote(b, p.keys())
		if err != nil {
			return nil, fmt.Errorf("trim: %w", err)
		}
		times, err := p.times(n)
		if err != nil {
			return nil, fmt.Errorf("trim: %w", err)
		}
		_, chosen, _ := p.weigh(*p.quorum, times)
		for _, i := range chosen {
			keep = append(keep, p.Witnesses[i].Key)
		}
	}
	text, sigs := split(b)
	out := bytes.Clone(text)
	for line := range bytes.Lines(sigs) {
		if i := slices.IndexFunc(keep, func(k Key) bool { return signedWith(line, k) }); i >= 0 {
			keep = slices.Delete(keep, i, i+1) // a second line of the same key is not looked at by readers
			out = append(out, line...)
		}
	}
	return out, nil
}

func (p Policy) keys() []Key {
	keys := make([]Key, len(p.Witnesses))
	for i, w := range p.Witnesses {
		keys[i] = w.Key
	}
	return keys
}

// times are the verified cosignatures of n, by witness.
func (p Policy) times(n *note.Note) (map[int]int64, error) {
	times := make(map[int]int64)
	for _, s := range n.Sigs {
		for i, w := range p.Witnesses {
			if w.Key.Name != s.Name || w.Key.v.KeyHash() != s.Hash {
				continue
			}
			at, err := signedAt(s)
			if err != nil {
				return nil, err
			}
			times[i] = at
		}
	}
	return times, nil
}

// weigh says whether m has seen the checkpoint, since when it would still have if only newer cosignatures counted,
// and which witnesses suffice for that.
func (p Policy) weigh(m member, times map[int]int64) (int64, []int, bool) {
	if !m.group {
		at, ok := times[m.at]
		return at, []int{m.at}, ok
	}
	type part struct {
		at int64
		by []int
	}
	var parts []part
	g := p.groups[m.at]
	for _, m := range g.members {
		if at, by, ok := p.weigh(m, times); ok {
			parts = append(parts, part{at, by})
		}
	}
	if len(parts) < g.need {
		return 0, nil, false
	}
	slices.SortStableFunc(parts, func(a, b part) int { return int(b.at - a.at) })
	var by []int
	for _, q := range parts[:g.need] {
		by = append(by, q.by...)
	}
	return parts[g.need-1].at, by, true
}

// missing says in words why m has not seen the checkpoint.
func (p Policy) missing(m member, times map[int]int64) string {
	if !m.group {
		return fmt.Sprintf("witness %s has not cosigned", clip(p.Witnesses[m.at].Name))
	}
	var seen int
	var lacks []string
	g := p.groups[m.at]
	for _, m := range g.members {
		switch _, _, ok := p.weigh(m, times); {
		case ok:
			seen++
		case m.group:
			lacks = append(lacks, "group "+clip(p.groups[m.at].name))
		default:
			lacks = append(lacks, clip(p.Witnesses[m.at].Name))
		}
	}
	if len(lacks) > 8 {
		lacks = append(lacks[:8], fmt.Sprintf("and %d more", len(lacks)-8))
	}
	return fmt.Sprintf("%d of %d members of group %s cosigned, %d are needed, missing: %s", seen, len(g.members), clip(g.name), g.need, strings.Join(lacks, ", "))
}

// split parts a note that openNote took into its text with the empty line, and its signature lines.
func split(b []byte) (text, sigs []byte) {
	at := bytes.LastIndex(b, []byte("\n\n"))
	if at < 0 {
		return b, nil
	}
	return b[:at+2], b[at+2:]
}

// signedWith reports whether a signature line is under the name and id of k; it verifies nothing.
func signedWith(line []byte, k Key) bool {
	rest, ok := bytes.CutPrefix(line, []byte("— "+k.Name+" "))
	if !ok {
		return false
	}
	sig, err := base64.StdEncoding.DecodeString(string(bytes.TrimSuffix(rest, []byte("\n"))))
	return err == nil && len(sig) > 4 && binary.BigEndian.Uint32(sig) == k.v.KeyHash()
}

// Carry adds to a note those cosignatures of the policy's witnesses that another note of the same text has and it lacks. Lines that
// do not verify are left behind. A note that cannot be read is given back as it is.
func (p Policy) Carry(b, from []byte) []byte {
	text, have := split(b)
	other, lines := split(from)
	if len(b) > MaxNote || !bytes.Equal(text, other) {
		return b
	}
	out := bytes.Clone(b)
	for line := range bytes.Lines(lines) {
		for _, k := range p.keys() {
			if !signedWith(line, k) || hasKey(have, k) || len(out)+len(line) > MaxNote {
				continue
			}
			if _, n, err := openNote(slices.Concat(text, line), []Key{k}); err == nil && len(n.Sigs) == 1 {
				out = append(out, line...)
			}
		}
	}
	return out
}

func hasKey(lines []byte, k Key) bool {
	for line := range bytes.Lines(lines) {
		if signedWith(line, k) {
			return true
		}
	}
	return false
}
