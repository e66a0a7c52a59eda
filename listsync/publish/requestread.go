package publish

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"filippo.io/age"

	"github.com/cordon-project/cordon/listsync/trust"
)

// openRequest decrypts a request and puts its files below dir, which is empty and the caller's. What comes in was written by anybody who
// has the officer's public file: names, sizes and numbers are bounded, and nothing in it is believed yet.
func openRequest(path, dir string, id age.Identity) (requestHead, error) {
	f, err := os.Open(path)
	if err != nil {
		return requestHead{}, fault(CodeInput, err, "check the path", "cannot read the request")
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.IsDir() {
		return requestHead{}, sentence(CodeInput, nil, "name the file that sign --export wrote", "%s is a directory, not a request to sign", path)
	}
	in, err := age.Decrypt(bufio.NewReader(f), id)
	if _, other := errors.AsType[*age.NoIdentityMatchError](err); other {
		return requestHead{}, sentence(CodeInput, ErrForeign, "have it exported for you: sign --export FILE --for YOUR_NAME", "the request %s is encrypted to other officers", path)
	}
	if err != nil {
		return requestHead{}, fault(CodeInput, err, "name the file that sign --export wrote", "%s is not a request to sign", path)
	}
	head, err := unsealRequest(in, dir)
	switch {
	case errors.Is(err, errDamaged):
		return head, fault(CodeVerify, err, "copy it again from the hotline's machine", "the request %s is damaged or was changed on the way", path)
	case err != nil:
		return head, fault(CodeFailure, err, "name a directory with more room with --work", "cannot unpack the request %s", path)
	}
	return head, nil
}

// errDamaged: a request that sign --export has not written like this.
var errDamaged = errors.New("not as sign --export writes it")

func unsealRequest(in io.Reader, dir string) (requestHead, error) {
	var head requestHead
	damaged := func(err error) (requestHead, error) { return head, fmt.Errorf("%w: %w", errDamaged, err) }
	start := make([]byte, len(requestMagic)+4)
	if _, err := io.ReadFull(in, start); err != nil {
		return damaged(err)
	}
	size := binary.BigEndian.Uint32(start[len(requestMagic):])
	if string(start[:len(requestMagic)]) != requestMagic || size > maxRequestHead {
		return damaged(errors.New("it begins with something else"))
	}
	b := make([]byte, size)
	if _, err := io.ReadFull(in, b); err != nil {
		return damaged(err)
	}
	if err := decodeJSON(b, &head); err != nil {
		return damaged(err)
	}
	if err := head.check(); err != nil {
		return damaged(err)
	}
	for _, f := range head.Files {
		if err := unpack(in, filepath.Join(dir, filepath.FromSlash(f.Name)), f); err != nil {
			return head, err
		}
	}
	if n, err := io.Copy(io.Discard, io.LimitReader(in, 1)); err != nil || n > 0 {
		return damaged(errors.Join(err, errors.New("there is more behind its last file")))
	}
	return head, nil
}

// carriedName is the form of a file's name: at most three parts that do not begin with a dot.
var carriedName = regexp.MustCompile(`^[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}(/[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}){0,4}$`)

func (h requestHead) check() error {
	if h.V != 1 {
		return fmt.Errorf("version %d is unknown", h.V)
	}
	if len(h.Files) > maxRequestN {
		return fmt.Errorf("%d files, at most %d", len(h.Files), maxRequestN)
	}
	total := int64(0)
	for i, f := range h.Files {
		switch {
		case !carriedName.MatchString(f.Name):
			return fmt.Errorf("file name %q", printable(f.Name))
		case i > 0 && h.Files[i-1].Name >= f.Name:
			return errors.New("files are not in order")
		case f.Size < 0 || f.Size > maxRequestFile:
			return fmt.Errorf("file %s of %d bytes", f.Name, f.Size)
		}
		if total += f.Size; total > maxRequestAll {
			return fmt.Errorf("more than %d bytes", int64(maxRequestAll))
		}
	}
	return nil
}

// unpack writes one file that is not there yet.
func unpack(in io.Reader, path string, f requestFile) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	out, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer out.Close()
	from := &source{in: in}
	n, err := io.Copy(out, io.LimitReader(from, f.Size))
	if from.err != nil && !errors.Is(from.err, io.EOF) || err == nil && n < f.Size {
		return fmt.Errorf("%w: file %s: %w", errDamaged, f.Name, errors.Join(from.err, io.ErrUnexpectedEOF))
	}
	if err != nil {
		return err
	}
	return out.Close()
}

// source remembers how reading ended, so that a damaged request is told from a full disk.
type source struct {
	in  io.Reader
	err error
}

func (s *source) Read(p []byte) (int, error) {
	n, err := s.in.Read(p)
	s.err = err
	return n, err
}

// carriedDir opens what a request has brought as if it were the hotline's directory. Without a full request there is only enough of it to
// say what is to be signed.
func carriedDir(c Config, dir string, full bool) (*session, error) {
	h, err := Open(c, dir)
	if err != nil {
		return nil, err
	}
	if full {
		var st state // Export writes it so; any other repository would be a place outside of dir
		if err := readJSON(filepath.Join(dir, "state.json"), &st); err != nil || st.Repository != "repository" {
			return nil, fault(CodeVerify, err, "sign nothing, and find out who made the request", "the request names a repository outside of itself")
		}
		return h.begin()
	}
	set, err := h.settings()
	if err != nil {
		return nil, err
	}
	s := &session{c: c, dir: dir, now: c.now(), set: set, release: func() {}}
	if s.acc, err = loadAccreditation(s.path("accredited")); err != nil {
		return nil, fault(CodeVerify, err, "copy it again from the hotline's machine", "the accreditation in the request cannot be used")
	}
	return s, nil
}

// signable holds what a request brought together: the accreditation, its officers, the candidate and its metadata.
func (s *session) signable(head requestHead) (*candidate, *envelope, []byte, trust.ListTarget, error) {
	bad := func(err error) (*candidate, *envelope, []byte, trust.ListTarget, error) {
		return nil, nil, nil, trust.ListTarget{}, fault(CodeVerify, err, "copy it again from the hotline's machine, or have it exported anew", "the parts of the request do not belong together")
	}
	if s.acc == nil {
		return bad(errors.New("there is no accreditation in it"))
	}
	if err := s.acc.fits(s.set.Request); err != nil {
		return bad(err)
	}
	if head.Hotline != s.set.Hotline || head.List != string(s.set.List) {
		return bad(fmt.Errorf("it is of list %s and says %s", s.set.List, printable(head.List)))
	}
	c, e, meta, err := s.loadCandidate()
	if err != nil {
		return bad(err)
	}
	if c == nil || c.Seq != head.Seq || signedSum(e) != strings.ToLower(head.Signed) {
		return bad(errors.New("the metadata to sign is not what it speaks of"))
	}
	spec, err := trust.ReadList(meta, s.set.Hotline)
	if err != nil {
		return bad(err)
	}
	if len(spec.Lists) != 1 || spec.Lists[0].List != s.set.List || spec.Lists[0].Seq != c.Seq || spec.Lists[0].Prev != c.Prev || spec.Version != int64(c.Seq) {
		return bad(errors.New("the metadata to sign is of another list or version"))
	}
	t := spec.Lists[0]
	if t.Added != c.Added || t.Removed != c.Removed || toFile(t.Edge) != c.Edge || toFile(t.Audit) != c.Audit {
		return bad(errors.New("the metadata to sign says other numbers or files"))
	}
	return c, e, meta, t, nil
}
