package publish

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/cordon-project/cordon/listsync/trust"
)

// Reviewers are the people outside who may be shown entries: accredited by whom the charter says, registered here by name, so that an officer
// reads a name and not a key when signing.

const maxReviewers = 100

// Reviewer is somebody to whom drawn entries may be opened.
type Reviewer struct {
	Name      string `json:"name"`
	Recipient string `json:"recipient"` // age1...
	Added     int64  `json:"added"`
}

type reviewersFile struct {
	V         int        `json:"v"`
	Reviewers []Reviewer `json:"reviewers"`
}

func (r Reviewer) check() error {
	if err := checkName(r.Name); err != nil {
		return err
	}
	_, err := trust.ParseRecipient(r.Recipient)
	return err
}

func (s *session) reviewers() ([]Reviewer, error) {
	var f reviewersFile
	path := s.path("reviewers.json")
	err := readJSON(path, &f)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err == nil && f.V != 1 {
		err = fmt.Errorf("version %d is unknown", f.V)
	}
	for i := 0; err == nil && i < len(f.Reviewers); i++ {
		err = f.Reviewers[i].check()
	}
	if err != nil {
		return nil, fault(CodeInput, err, "put the file back from your backup", "cannot use %s", path)
	}
	return f.Reviewers, nil
}

func (s *session) saveReviewers(all []Reviewer) error {
	slices.SortFunc(all, func(a, b Reviewer) int { return strings.Compare(a.Name, b.Name) })
	if err := writeJSON(s.path("reviewers.json"), reviewersFile{V: 1, Reviewers: all}, 0o600); err != nil {
		return fault(CodeFailure, err, "check the disk", "cannot write %s", s.path("reviewers.json"))
	}
	return nil
}

// AddReviewer registers a reviewer; one of the same name is replaced.
func (h *Hotline) AddReviewer(name, recipient string) (Reviewer, error) {
	r := Reviewer{Name: name, Recipient: strings.TrimSpace(recipient)}
	if err := r.check(); err != nil {
		return Reviewer{}, fault(CodeUsage, err, "write NAME in quotes, and the line of the reviewer's key file that begins with age1", "cannot register %q", printable(name))
	}
	s, err := h.begin()
	if err != nil {
		return Reviewer{}, err
	}
	defer s.release()
	all, err := s.reviewers()
	if err != nil {
		return Reviewer{}, err
	}
	if i := slices.IndexFunc(all, func(x Reviewer) bool { return x.Recipient == r.Recipient && x.Name != name }); i >= 0 {
		return Reviewer{}, sentence(CodeInput, nil, "remove that name first, or ask the reviewer for the right key", "this key is registered for %s", all[i].Name)
	}
	all = slices.DeleteFunc(all, func(x Reviewer) bool { return x.Name == name })
	if len(all) >= maxReviewers {
		return Reviewer{}, sentence(CodeInput, nil, "remove those who have left", "%d reviewers are registered already", len(all))
	}
	r.Added = s.now.Unix()
	return r, s.saveReviewers(append(all, r))
}

// Reviewers lists who is registered, by name.
func (h *Hotline) Reviewers() ([]Reviewer, error) {
	s, err := h.begin()
	if err != nil {
		return nil, err
	}
	defer s.release()
	return s.reviewers()
}

// RemoveReviewer takes a name out; what was shown before stays shown.
func (h *Hotline) RemoveReviewer(name string) error {
	s, err := h.begin()
	if err != nil {
		return err
	}
	defer s.release()
	all, err := s.reviewers()
	if err != nil {
		return err
	}
	i := slices.IndexFunc(all, func(x Reviewer) bool { return x.Name == name })
	if i < 0 {
		return sentence(CodeInput, nil, "see reviewer list", "no reviewer is called %q", printable(name))
	}
	return s.saveReviewers(slices.Delete(all, i, i+1))
}
