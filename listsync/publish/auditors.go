package publish

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/cordon-project/cordon/listsync/lookup"
)

const maxAuditors = 200

// auditor is somebody who may ask the service of private lookups: a line of auditors.json. The token itself is kept nowhere here.
type auditor struct {
	Name  string `json:"name"`
	Token string `json:"token"` // SHA-256, hex
	Added int64  `json:"added"`
}

type auditorsFile struct {
	V        int       `json:"v"`
	Auditors []auditor `json:"auditors"`
}

func readAuditors(dir string) ([]auditor, error) {
	var f auditorsFile
	path := filepath.Join(dir, "auditors.json")
	err := readJSON(path, &f)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err == nil && f.V != 1 {
		err = fmt.Errorf("version %d is unknown", f.V)
	}
	for i := 0; err == nil && i < len(f.Auditors); i++ {
		var sum [32]byte
		if err = checkName(f.Auditors[i].Name); err == nil {
			err = decodeKey(f.Auditors[i].Token, sum[:])
		}
	}
	if err != nil {
		return nil, fault(CodeInput, err, "put the file back from your backup", "cannot use %s", path)
	}
	return f.Auditors, nil
}

func (s *session) saveAuditors(all []auditor) error {
	slices.SortFunc(all, func(a, b auditor) int { return strings.Compare(a.Name, b.Name) })
	if err := writeJSON(s.path("auditors.json"), auditorsFile{V: 1, Auditors: all}, 0o600); err != nil {
		return fault(CodeFailure, err, "check the disk", "cannot write %s", s.path("auditors.json"))
	}
	return nil
}

// AddAuditor gives an auditor a token for private lookups, which is told once. One of the same name gets a new token, and the old one ends.
func (h *Hotline) AddAuditor(name string) (token string, err error) {
	if err := checkName(name); err != nil {
		return "", fault(CodeUsage, err, "write NAME in quotes", "cannot register %q", printable(name))
	}
	s, err := h.begin()
	if err != nil {
		return "", err
	}
	defer s.release()
	all, err := readAuditors(h.dir)
	if err != nil {
		return "", err
	}
	all = slices.DeleteFunc(all, func(a auditor) bool { return a.Name == name })
	if len(all) >= maxAuditors {
		return "", sentence(CodeInput, nil, "remove those who have left", "%d auditors have tokens already", len(all))
	}
	secret := make([]byte, 32)
	if err := s.c.random(secret); err != nil {
		return "", fault(CodeFailure, err, "try again", "cannot make a token")
	}
	token = base64.RawURLEncoding.EncodeToString(secret)
	sum := sha256.Sum256([]byte(token))
	return token, s.saveAuditors(append(all, auditor{Name: name, Token: hex.EncodeToString(sum[:]), Added: s.now.Unix()}))
}

// AuditorNames lists who has a token.
func (h *Hotline) AuditorNames() ([]string, error) {
	all, err := readAuditors(h.dir)
	names := []string{}
	for _, a := range all {
		names = append(names, a.Name)
	}
	return names, err
}

// RemoveAuditor ends a token; a running service refuses it from then on.
func (h *Hotline) RemoveAuditor(name string) error {
	s, err := h.begin()
	if err != nil {
		return err
	}
	defer s.release()
	all, err := readAuditors(h.dir)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(all, func(a auditor) bool { return a.Name == name })
	if i < 0 {
		return sentence(CodeInput, nil, "see auditor list", "no auditor is called %q", printable(name))
	}
	return s.saveAuditors(slices.Delete(all, i, i+1))
}

// auditors are those of a service. The file is replaced whole, so it may be read while a command writes it.
func auditorsIn(dir string) ([]lookup.Auditor, error) {
	all, err := readAuditors(dir)
	out := make([]lookup.Auditor, len(all))
	for i, a := range all {
		out[i].Name = a.Name
		if err == nil {
			err = decodeKey(a.Token, out[i].Hash[:])
		}
	}
	return out, err
}
