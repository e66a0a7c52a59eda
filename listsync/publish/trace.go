package publish

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"
)

// Traced is what a leaked file says about where it came from.
type Traced struct {
	Bytes  int64    `json:"bytes"`
	SHA256 string   `json:"sha256"`
	Copies []Copy   `json:"copies"` // whose marks are in it, the most marks first
	Public []string `json:"public"` // what it is, when it is a file that this hotline publishes for everyone
}

// Copy is an operator whose marks are in a file.
type Copy struct {
	Cluster string    `json:"cluster"`
	Name    string    `json:"name"`
	Epoch   uint32    `json:"epoch"`
	Given   time.Time `json:"given"`
	Found   int       `json:"marks_found"`
	Of      int       `json:"marks_of"`
	As      []string  `json:"as"`   // name, digest, or hex
	Byte    int64     `json:"byte"` // where the first begins, from 0
	Line    int64     `json:"line"` // from 1
}

// Trace looks for the marks of every operator and epoch in a file of any kind: names and URLs in a text, digests in a binary file or a
// memory dump, digests written in hexadecimal. It reads r once and keeps a megabyte. A packed or encrypted file must be unpacked first.
func (h *Hotline) Trace(r io.Reader) (*Traced, error) {
	s, err := h.begin()
	if err != nil {
		return nil, err
	}
	find, err := s.markFinder()
	public := map[string]string{}
	if err == nil {
		public, err = s.publicFiles()
	}
	s.release() // the file may be long
	if err != nil {
		return nil, err
	}
	sum := sha256.New()
	t := &Traced{Public: []string{}}
	if t.Bytes, err = find.scan(io.TeeReader(r, sum)); err != nil {
		return nil, fault(CodeFailure, err, "check the file and the disk it is on", "cannot read the leaked file")
	}
	t.SHA256 = hex.EncodeToString(sum.Sum(nil))
	if what, ok := public[t.SHA256]; ok {
		t.Public = append(t.Public, what)
	}
	t.Copies = find.copies()
	return t, nil
}

// publicFiles names what anyone can fetch from the repository, by SHA-256.
func (s *session) publicFiles() (map[string]string, error) {
	all := map[string]string{}
	for m, err := range s.versions(s.st.Seq) {
		if err != nil {
			return nil, err
		}
		all[m.Edge.SHA256] = fmt.Sprintf("the edge list of version %d", m.Seq)
		all[m.Audit.SHA256] = fmt.Sprintf("the auditor list of version %d", m.Seq)
	}
	given, err := s.allGiven()
	for _, g := range given {
		all[g.File] = fmt.Sprintf("the keys of epoch %d, sealed for %s", g.Epoch, g.Name)
	}
	return all, err
}

// mark is one pattern: the first label of a name, a digest, or the first half of a digest in hexadecimal.
type mark struct {
	copy, number int
	as           string
}

// markFinder looks for many patterns of 16 bytes at once. A table of three bytes says where to look twice.
type markFinder struct {
	all   []Copy
	found []map[int]bool
	raw   patterns // as it is
	text  patterns // in lower case
}

type patterns struct {
	begins [1 << 24 / 64]uint64
	is     map[[markLabel]byte]mark
}

func (p *patterns) add(b []byte, m mark) {
	n := begin(b)
	p.begins[n/64] |= 1 << (n % 64)
	p.is[[markLabel]byte(b)] = m
}

func begin(b []byte) uint32 { return uint32(b[0])<<16 | uint32(b[1])<<8 | uint32(b[2]) }

// look gives the pattern that b, at least 16 bytes long, begins with.
func (p *patterns) look(b []byte) (mark, bool) {
	if n := begin(b); p.begins[n/64]&(1<<(n%64)) == 0 {
		return mark{}, false
	}
	m, ok := p.is[[markLabel]byte(b)]
	return m, ok
}

func (s *session) markFinder() (*markFinder, error) {
	f := &markFinder{raw: patterns{is: map[[markLabel]byte]mark{}}, text: patterns{is: map[[markLabel]byte]mark{}}}
	all, err := s.allGiven()
	if err != nil || len(all) == 0 {
		return f, err
	}
	key, err := s.traceKey()
	if err != nil {
		return nil, err
	}
	for _, g := range all {
		n := slices.IndexFunc(f.all, func(c Copy) bool { return c.Cluster == g.Cluster && c.Epoch == g.Epoch })
		if n >= 0 {
			continue // sealed again, for a new recipient: the same marks
		}
		n = len(f.all)
		f.all = append(f.all, Copy{Cluster: g.Cluster, Name: g.Name, Epoch: g.Epoch, Given: time.Unix(g.At, 0).UTC(), Of: marksEach})
		f.found = append(f.found, map[int]bool{})
		keys, _, err := s.epoch(g.Epoch)
		if err != nil {
			return nil, err
		}
		names := s.markNames(key, g.Cluster, g.Epoch)
		digests := s.markDigests(names, keys)
		for i, name := range names {
			d := digests[i*markLabel : (i+1)*markLabel]
			f.text.add([]byte(name), mark{n, i, "name"})
			f.raw.add(d, mark{n, i, "digest"})
			f.text.add(hex.AppendEncode(nil, d), mark{n, i, "hex"})
		}
	}
	return f, nil
}

// scan reads all of r and counts its bytes.
func (f *markFinder) scan(r io.Reader) (int64, error) {
	const block = 1 << 20
	in := bufio.NewReaderSize(r, block)
	buf, lower := make([]byte, 0, block+markLabel), make([]byte, block+markLabel)
	var at, line int64 // of buf's first byte
	for {
		n, err := io.ReadFull(in, buf[len(buf):len(buf)+block])
		buf = buf[:len(buf)+n]
		last := errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
		if err != nil && !last {
			return at, err
		}
		for i, c := range buf {
			if lower[i] = c; c >= 'A' && c <= 'Z' {
				lower[i] = c + 'a' - 'A'
			}
		}
		ready := max(len(buf)-markLabel+1, 0)
		for i := range ready {
			if m, ok := f.raw.look(buf[i:]); ok {
				f.hit(m, at+int64(i), line+int64(bytes.Count(buf[:i], []byte("\n"))))
			}
			if m, ok := f.text.look(lower[i:]); ok {
				f.hit(m, at+int64(i), line+int64(bytes.Count(buf[:i], []byte("\n"))))
			}
		}
		if last {
			return at + int64(len(buf)), nil
		}
		line += int64(bytes.Count(buf[:ready], []byte("\n")))
		at += int64(ready)
		buf = buf[:copy(buf, buf[ready:])]
	}
}

func (f *markFinder) hit(m mark, at, line int64) {
	c := &f.all[m.copy]
	if len(f.found[m.copy]) == 0 {
		c.Byte, c.Line = at, line+1
	}
	f.found[m.copy][m.number] = true
	if !slices.Contains(c.As, m.as) {
		c.As = append(c.As, m.as)
	}
}

func (f *markFinder) copies() []Copy {
	out := []Copy{}
	for i, c := range f.all {
		if c.Found = len(f.found[i]); c.Found > 0 {
			out = append(out, c)
		}
	}
	slices.SortStableFunc(out, func(a, b Copy) int { return b.Found - a.Found })
	return out
}

// Write puts it in plain words.
func (t *Traced) Write(w io.Writer) error {
	for _, p := range t.Public {
		fmt.Fprintf(w, "it is %s, which anyone can fetch from the repository: having it says nothing about who gave it away\n", p)
	}
	for _, c := range t.Copies {
		fmt.Fprintf(w, "copy of %s (%s): %d of the %d marks it was given with epoch %d on %s, the first at byte %d, line %d\n", c.Name, c.Cluster, c.Found, c.Of, c.Epoch, day(c.Given), c.Byte, c.Line)
	}
	switch {
	case len(t.Copies) == 1:
		fmt.Fprintln(w, "certain: nobody but this operator and this hotline was ever given these marks, and nobody guesses one (1 in 2^80)")
	case len(t.Copies) > 1:
		fmt.Fprintln(w, "certain for each of them: the file has parts of several copies, or comes from this hotline, which alone has the marks of all")
	case len(t.Public) == 0:
		fmt.Fprintln(w, "no operator's mark is in it; that does not say that it came from none: marks can be cut out, and what is packed or encrypted was not looked into")
	}
	return nil
}
