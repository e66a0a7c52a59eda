package publish

import (
	"cmp"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/cordon-project/cordon/resolver/match"
)

// session is the directory while a command works in it.
type session struct {
	c       Config
	dir     string
	now     time.Time
	set     settings
	st      state
	acc     *accreditation // nil until accept
	release func()
}

// begin takes the lock, reads the directory and finishes what an earlier command could not.
func (h *Hotline) begin() (*session, error) { return h.beginWith(false) }

// beginWith is begin; mending lets a damaged accreditation pass as if there were none, for the command that takes a whole one in.
func (h *Hotline) beginWith(mending bool) (*session, error) {
	set, err := h.settings()
	if err != nil {
		return nil, err
	}
	release, err := lock(h.c, h.dir)
	if err != nil {
		return nil, err
	}
	s := &session{c: h.c, dir: h.dir, now: h.c.now(), set: set}
	s.release = func() {
		s.c.progress().Done()
		release()
	}
	if err := s.load(mending); err != nil {
		release()
		return nil, err
	}
	return s, nil
}

func (s *session) load(mending bool) error {
	do := "put the file back from your backup"
	if err := readJSON(s.path("state.json"), &s.st); err != nil {
		return fault(CodeInput, err, do, "cannot use %s", s.path("state.json"))
	}
	if s.st.V != 1 || s.st.Epoch < 1 || s.st.Repository == "" {
		return sentence(CodeInput, nil, do, "%s has another version or is damaged", s.path("state.json"))
	}
	if !exists(s.path("accredited")) && exists(s.path("accredited.old")) { // accept was cut off between its two renames
		if err := os.Rename(s.path("accredited.old"), s.path("accredited")); err != nil {
			return fault(CodeFailure, err, "check the disk", "cannot put %s back", s.path("accredited"))
		}
	}
	acc, err := loadAccreditation(s.path("accredited"))
	if err != nil && !mending {
		return fault(CodeInput, err, "take the accreditation in again: accept --dir "+s.dir+" DIR, the directory that the authority sent", "cannot use %s", s.path("accredited"))
	}
	s.acc = acc
	if err := s.adopt(); err != nil {
		return err
	}
	s.sweep()
	s.mendLogs()
	if err := s.finishInterrupted(); err != nil {
		return err
	}
	return s.finishHolds()
}

func (s *session) path(elem ...string) string {
	return filepath.Join(append([]string{s.dir}, elem...)...)
}

// repository is the published directory.
func (s *session) repository(elem ...string) string {
	root := s.st.Repository
	if !filepath.IsAbs(root) {
		root = s.path(root)
	}
	return filepath.Join(append([]string{root}, elem...)...)
}

func (s *session) saveState() error {
	if err := writeJSON(s.path("state.json"), s.st, 0o600); err != nil {
		return fault(CodeFailure, err, "check the disk", "cannot write %s", s.path("state.json"))
	}
	return nil
}

// accredited gives the accreditation or says that there is none.
func (s *session) accredited() (*accreditation, error) {
	if s.acc == nil {
		return nil, sentence(CodeInput, ErrNotAccredited, "send request.json to the authority, then take its answer in with: accept --dir "+s.dir+" DIR",
			"hotline %s is not accredited yet", s.set.Hotline)
	}
	return s.acc, nil
}

// makeEpoch writes the keys of epoch n.
func makeEpoch(c Config, dir string, n uint32) error {
	var k match.Keys
	defer func() { k = match.Keys{} }()
	err := c.random(k.Match[:])
	if err == nil {
		err = c.random(k.Gate[:])
	}
	if err == nil {
		err = writeJSON(epochPath(dir, n), epochFile{V: 1, Epoch: n, Created: c.now().Unix(), Match: hex.EncodeToString(k.Match[:]), Gate: hex.EncodeToString(k.Gate[:])}, 0o600)
	}
	if err != nil {
		return fault(CodeFailure, err, "check the disk", "cannot make the keys of epoch %d", n)
	}
	return nil
}

func epochPath(dir string, n uint32) string {
	return filepath.Join(dir, "keys", fmt.Sprintf("epoch-%d.json", n))
}

// epoch reads the keys of epoch n and when they were made.
func (s *session) epoch(n uint32) (*match.Keys, time.Time, error) {
	do := "put the file back from your backup"
	var f epochFile
	path := epochPath(s.dir, n)
	if err := readJSON(path, &f); err != nil {
		return nil, time.Time{}, fault(CodeInput, err, do, "cannot use %s", path)
	}
	k := new(match.Keys)
	if err := cmp.Or(decodeKey(f.Match, k.Match[:]), decodeKey(f.Gate, k.Gate[:])); err != nil || f.V != 1 || f.Epoch != n {
		return nil, time.Time{}, sentence(CodeInput, nil, do, "%s is damaged", path)
	}
	return k, time.Unix(f.Created, 0).UTC(), nil
}

// openKey reads K_open.
func (s *session) openKey() (*[32]byte, error) {
	path := s.path("keys", "open.key")
	b, err := readSmall(path)
	k := new([32]byte)
	if err == nil {
		err = decodeKey(strings.TrimSpace(string(b)), k[:])
	}
	if err != nil {
		return nil, fault(CodeInput, err, "put the file back from your backup", "cannot use %s", path)
	}
	return k, nil
}

// nextEpoch makes new keys for the next version.
func (s *session) nextEpoch() error {
	if err := makeEpoch(s.c, s.dir, s.st.Epoch+1); err != nil {
		return err
	}
	s.st.Epoch++
	return s.saveState()
}

// officerNames gives the names of key ids, in the order of hotline.json; unknown ones by the start of their id.
func (s *session) officerNames(ids []string) []string {
	names := []string{}
	rest := slices.Clone(ids)
	for _, o := range s.set.Officers {
		if i := slices.Index(rest, o.KeyID); i >= 0 {
			names = append(names, o.Name)
			rest = slices.Delete(rest, i, i+1)
		}
	}
	for _, id := range rest {
		names = append(names, id[:min(len(id), 12)])
	}
	return names
}
