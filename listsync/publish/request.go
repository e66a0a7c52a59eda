package publish

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"filippo.io/age"
	"github.com/google/renameio/v2"

	"github.com/cordon-project/cordon/listsync/trust"
)

// A request carries a candidate to an officer's own machine, on a stick: an age file, encrypted to the officers it is for, because the
// difference in it names addresses. Inside, after the line requestMagic, come a length of four bytes, that many bytes of JSON
// (requestHead), and the bytes of its files one after the other.
//
// A full request carries the part of the hotline's directory that its next version is made from. The officer's tool puts it back on its
// own machine and does all that it would do in the directory itself: what it signs, it has rebuilt. Any other request carries the
// metadata to sign and what the hotline's machine says about it.

const (
	requestMagic   = "cordon-sign-request 1\n"
	maxRequestHead = 1 << 20
	maxRequestFile = 8 << 30 // 10M entries are 2.5 GB
	maxRequestAll  = 16 << 30
	maxRequestN    = 1024
)

// requestHead says what a request is for.
type requestHead struct {
	V       int             `json:"v"` // 1
	Hotline trust.HotlineID `json:"hotline"`
	List    string          `json:"list"`
	Seq     uint64          `json:"seq"`
	Signed  string          `json:"signed"` // SHA-256 of the metadata's signed part
	Full    bool            `json:"full"`
	For     []string        `json:"for"` // key ids
	Made    int64           `json:"made"`
	Files   []requestFile   `json:"files"`
}

type requestFile struct {
	Name string `json:"name"` // a path below the hotline's directory
	Size int64  `json:"size"`
}

// RequestOut is a request that was exported for the staged version.
type RequestOut struct {
	For  []string  `json:"for"` // officers' names
	Full bool      `json:"full"`
	Made time.Time `json:"made"`
}

// requestNote is a line of staging/requests.json.
type requestNote struct {
	For  []string `json:"for"` // key ids
	Full bool     `json:"full"`
	Made int64    `json:"made"`
}

// ExportOptions say what request to write.
type ExportOptions struct {
	File       string   // where it goes; replaced by rename
	For        []string // officers' names; empty means all that have still to sign
	Full       bool     // carry the entries and keys, so that the officer's tool rebuilds every byte
	NeverBlock []string
	Again      bool
	All        bool // list every change in Signed.Diff; a request with words alone has them all
}

// Exported says what was written.
type Exported struct {
	*Signed
	File string   `json:"file"`
	For  []string `json:"for"`
	Full bool     `json:"full"`
	Size int64    `json:"size"`
}

// Write puts it in plain words; limit bounds the lines of the difference.
func (x *Exported) Write(w io.Writer, limit int) error {
	if err := x.Signed.preamble(w, limit); err != nil {
		return err
	}
	what := "the difference in words"
	if x.Full {
		what = "all entries and the list's keys, from which it is rebuilt"
	}
	fmt.Fprintf(w, "wrote %s (%d bytes), encrypted to %s: version %d to sign, with %s\n", x.File, x.Size, strings.Join(x.For, " and "), x.Seq, what)
	_, err := fmt.Fprintf(w, "on the officer's machine: cordon-hotline officer sign --officer OFFICER_DIR --out SIGNATURE %s\nback here:                cordon-hotline sign --dir HOTLINE --import SIGNATURE\n", filepath.Base(x.File))
	return err
}

// Export makes the next version, unless it is staged already, and writes a request to sign it. Brakes that no reason overcomes refuse it
// (ErrHeld, with the report); the others are for each officer to approve.
func (h *Hotline) Export(o ExportOptions) (*Exported, error) {
	s, err := h.begin()
	if err != nil {
		return nil, err
	}
	defer s.release()
	if _, err := s.accredited(); err != nil {
		return nil, err
	}
	x := &Exported{Signed: &Signed{Notes: []string{}}, File: o.File, Full: o.Full}
	c, e, meta, err := s.prepare(x.Signed, SignOptions{NeverBlock: o.NeverBlock, Again: o.Again, All: o.All || !o.Full, later: true})
	if err != nil {
		return x, err
	}
	x.Have, x.Missing = s.signatures(e)
	to, err := s.addressees(o.For, e)
	if err != nil {
		return nil, err
	}
	head := requestHead{V: 1, Hotline: s.set.Hotline, List: string(s.set.List), Seq: c.Seq, Signed: signedSum(e), Full: o.Full, Made: s.now.Unix()}
	for _, p := range to {
		head.For, x.For = append(head.For, p.KeyID), append(x.For, p.Name)
	}
	files, err := s.requestFiles(x.Signed, c, meta, o.Full)
	if err != nil {
		return nil, err
	}
	if x.Size, err = writeRequest(o.File, to, head, files); err != nil {
		return nil, fault(CodeFailure, err, "name a place where you may write, with room for the entries", "cannot write the request %s", o.File)
	}
	return x, s.noteRequest(requestNote{For: head.For, Full: o.Full, Made: head.Made})
}

// addressees are the officers that a request is for.
func (s *session) addressees(names []string, e *envelope) ([]PublicKey, error) {
	signed := e.signers(s.acc.officers, s.acc.keys)
	var to []PublicKey
	for _, o := range s.set.Officers {
		if slices.Contains(s.acc.officers.KeyIDs, o.KeyID) && (len(names) == 0 && !slices.Contains(signed, o.KeyID) || slices.Contains(names, o.Name)) {
			to = append(to, o)
		}
	}
	for _, n := range names {
		if !slices.ContainsFunc(to, func(o PublicKey) bool { return o.Name == n }) {
			return nil, sentence(CodeInput, nil, "name one of: "+strings.Join(s.officerNames(s.acc.officers.KeyIDs), ", "), "%q is not an accredited officer of hotline %s", printable(n), s.set.Hotline)
		}
	}
	if len(to) == 0 {
		return nil, sentence(CodeInput, nil, "publish it, or name an officer with --for", "every officer has signed the staged version")
	}
	return to, nil
}

// carried is a file of a request: bytes, or a file on disk.
type carried struct {
	name, path string
	b          []byte
}

// requestFiles are the files of a request, in the order of their names.
func (s *session) requestFiles(g *Signed, c *candidate, meta []byte, full bool) ([]carried, error) {
	files := []carried{{name: "staging/list.json", b: meta}}
	asJSON := func(name string, v any) error {
		b, err := json.Marshal(v)
		files = append(files, carried{name: name, b: b})
		return err
	}
	fail := func(err error) ([]carried, error) {
		return nil, fault(CodeFailure, err, "check the disk", "cannot read what version %d is made from", c.Seq)
	}
	if err := asJSON("staging/candidate.json", c); err != nil {
		return fail(err)
	}
	dirs := []string{"accredited"}
	if full {
		dirs = append(dirs, ".")
		st := s.st
		st.Repository = "repository"
		if err := asJSON("state.json", st); err != nil {
			return fail(err)
		}
		more, err := s.madeFrom(c)
		if err != nil {
			return nil, err
		}
		files = append(files, more...)
	} else {
		files = append(files, carried{name: "hotline.json", path: s.path("hotline.json")})
		if err := errors.Join(asJSON("difference.json", g.Diff), asJSON("check.json", g.Check)); err != nil {
			return fail(err)
		}
	}
	for _, dir := range dirs {
		names, err := os.ReadDir(s.path(dir))
		if err != nil {
			return fail(err)
		}
		for _, n := range names {
			name := filepath.ToSlash(filepath.Join(dir, n.Name()))
			// What no command of this tool has named so, such as an editor's copy, is in no request: its name could not be unpacked.
			if n.Type().IsRegular() && carriedName.MatchString(name) && name != "state.json" {
				files = append(files, carried{name: name, path: s.path(dir, n.Name())})
			}
		}
	}
	slices.SortFunc(files, func(a, b carried) int { return strings.Compare(a.name, b.name) })
	return files, nil
}

// madeFrom are the files that a version is rebuilt from and its difference proved with, but for those in the directory itself: keys, keys
// wrapped for operators, and the last published version with what officers have signed about it.
func (s *session) madeFrom(c *candidate) ([]carried, error) {
	var files []carried
	own := func(elem ...string) {
		files = append(files, carried{name: filepath.ToSlash(filepath.Join(elem...)), path: s.path(elem...)})
	}
	own("keys", "open.key")
	if exists(s.path("keys", privateFile)) {
		own("keys", privateFile)
	}
	epochs := []uint32{c.Epoch}
	for _, k := range c.Keys {
		own("wrapped", filepath.Base(k.Source))
	}
	if s.st.Seq > 0 {
		m, err := s.manifest(s.st.Seq)
		if err != nil {
			return nil, err
		}
		if epochs = append(epochs, m.Epoch); m.Epoch == c.Epoch {
			epochs = epochs[:1]
		}
		n := strconv.FormatUint(s.st.Seq, 10)
		recent, err := s.recent() // the brakes sum up what was added in the last days
		if err != nil {
			return nil, err
		}
		for _, m := range recent {
			own("versions", strconv.FormatUint(m.Seq, 10)+".json")
		}
		own("versions", n+".entries.jsonl")
		edge, err := m.Edge.file()
		if err != nil {
			return nil, fault(CodeInput, err, "put the file back from your backup", "cannot use %s", s.versionPath(s.st.Seq, "json"))
		}
		for _, name := range []string{
			trust.TimestampName, trust.SnapshotName(s.st.Snapshot), trust.ListName(s.set.Hotline, int64(s.st.Seq)), trust.TargetsName(m.Targets), trust.TargetName(edge),
		} {
			files = append(files, carried{name: "repository/" + name, path: s.repository(filepath.FromSlash(name))})
		}
	}
	for _, n := range epochs {
		own("keys", filepath.Base(epochPath(s.dir, n)))
	}
	return files, nil
}

// writeRequest encrypts a request to its officers and puts it at path by rename.
func writeRequest(path string, to []PublicKey, head requestHead, files []carried) (int64, error) {
	var recipients []age.Recipient
	for _, p := range to {
		r, err := trust.ParseRecipient(p.Recipient)
		if err != nil {
			return 0, err
		}
		recipients = append(recipients, r)
	}
	for i, f := range files {
		size := int64(len(f.b))
		if f.path != "" {
			info, err := os.Stat(f.path)
			if err != nil {
				return 0, err
			}
			size = info.Size()
		}
		head.Files = append(head.Files, requestFile{Name: f.name, Size: size})
		if i >= maxRequestN || size > maxRequestFile {
			return 0, fmt.Errorf("%s: a request has at most %d files of %d bytes", f.name, maxRequestN, int64(maxRequestFile))
		}
	}
	out, err := renameio.NewPendingFile(path, renameio.WithPermissions(0o600), renameio.IgnoreUmask())
	if err != nil {
		return 0, err
	}
	defer out.Cleanup()
	sealed, err := age.Encrypt(out, recipients...)
	if err != nil {
		return 0, err
	}
	b, err := json.Marshal(head)
	if err != nil {
		return 0, err
	}
	b = append(binary.BigEndian.AppendUint32([]byte(requestMagic), uint32(len(b))), b...)
	if _, err := sealed.Write(b); err != nil {
		return 0, err
	}
	for i, f := range files {
		if err := f.write(sealed, head.Files[i].Size); err != nil {
			return 0, err
		}
	}
	if err := sealed.Close(); err != nil {
		return 0, err
	}
	info, err := out.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), out.CloseAtomicallyReplace()
}

func (f carried) write(w io.Writer, size int64) error {
	if f.path == "" {
		_, err := w.Write(f.b)
		return err
	}
	in, err := os.Open(f.path)
	if err != nil {
		return err
	}
	defer in.Close()
	if n, err := io.Copy(w, io.LimitReader(in, size)); err != nil {
		return err
	} else if n != size {
		return fmt.Errorf("%s became shorter while it was read", f.path)
	}
	return nil
}

// signedSum names what a signature is for.
func signedSum(e *envelope) string {
	sum := sha256.Sum256(e.Signed)
	return hex.EncodeToString(sum[:])
}

func (s *session) requestNotes() ([]requestNote, error) {
	var all []requestNote
	err := readJSON(s.path("staging", "requests.json"), &all)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fault(CodeInput, err, "remove it: it only reminds of requests that are out", "cannot use %s", s.path("staging", "requests.json"))
	}
	return all, nil
}

// noteRequest remembers a request until the staged version is published or dropped.
func (s *session) noteRequest(n requestNote) error {
	all, err := s.requestNotes()
	if err != nil {
		return err
	}
	if all = append(all, n); len(all) > maxRequestN {
		all = all[1:]
	}
	if err := writeJSON(s.path("staging", "requests.json"), all, 0o600); err != nil {
		return fault(CodeFailure, err, "check the disk", "cannot write %s", s.path("staging", "requests.json"))
	}
	return nil
}

// requestsOut are the requests that somebody has not answered yet.
func (s *session) requestsOut(e *envelope) ([]RequestOut, error) {
	notes, err := s.requestNotes()
	if err != nil {
		return nil, err
	}
	signed := e.signers(s.acc.officers, s.acc.keys)
	out := []RequestOut{}
	for _, n := range notes {
		waits := slices.DeleteFunc(slices.Clone(n.For), func(id string) bool { return slices.Contains(signed, id) })
		if len(waits) > 0 {
			out = append(out, RequestOut{For: s.officerNames(waits), Full: n.Full, Made: time.Unix(n.Made, 0).UTC()})
		}
	}
	return out, nil
}
