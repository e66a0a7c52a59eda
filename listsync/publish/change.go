package publish

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/cordon-project/cordon/listsync/trust"
	"github.com/cordon-project/cordon/resolver/match"
)

// Request is the content of request.json: what a hotline asks an authority to accredit. All of it is public.
type Request struct {
	V         int             `json:"v"`
	Hotline   trust.HotlineID `json:"hotline"`
	Name      string          `json:"name"`
	List      match.ListID    `json:"list"`
	Canary    string          `json:"canary"`
	Threshold int             `json:"threshold"`
	Officers  []PublicKey     `json:"officers"`
	Snapshot  PublicKey       `json:"snapshot"`
	Timestamp PublicKey       `json:"timestamp"`
	Log       string          `json:"log"` // verifier key of the public log; empty for none
}

// readRequest reads and checks request.json.
func readRequest(path string) (Request, error) {
	var r Request
	err := readJSON(path, &r)
	if err == nil {
		err = r.check()
	}
	if err != nil {
		return r, fault(CodeInput, err, "name the request.json that init of the hotline wrote", "%s is not a hotline's request", path)
	}
	return r, nil
}

// check holds a request to what init writes.
func (r Request) check() error {
	if r.V != 1 {
		return fmt.Errorf("version %d is unknown", r.V)
	}
	if err := checkName(r.Name); err != nil {
		return err
	}
	if _, err := match.ParseListID(string(r.List)); err != nil {
		return err
	}
	if r.List.Hotline() != string(r.Hotline) {
		return fmt.Errorf("list %s does not belong to hotline %s", r.List, printable(string(r.Hotline)))
	}
	if len(r.Officers) < minOfficers || len(r.Officers) > maxOfficers {
		return fmt.Errorf("%d officers, want %d to %d", len(r.Officers), minOfficers, maxOfficers)
	}
	if r.Threshold < minThreshold || r.Threshold > len(r.Officers) {
		return fmt.Errorf("threshold %d, want %d to %d", r.Threshold, minThreshold, len(r.Officers))
	}
	seen := map[string]bool{}
	for _, k := range append([]PublicKey{r.Snapshot, r.Timestamp}, r.Officers...) {
		role := roleOfficer
		switch k.KeyID {
		case r.Snapshot.KeyID:
			role = roleSnapshot
		case r.Timestamp.KeyID:
			role = roleTimestamp
		}
		if err := k.check(role); err != nil {
			return fmt.Errorf("key %q: %w", printable(k.Name), err)
		}
		if seen[k.KeyID] {
			return fmt.Errorf("key %q is there twice; every person and role has a key of its own", printable(k.Name))
		}
		seen[k.KeyID] = true
	}
	if r.Log == "" {
		return nil
	}
	origin, pub, err := trust.ParseLogKey(r.Log)
	if err != nil {
		return err
	}
	if origin != logOrigin(r) || seen[trust.KeyID(pub)] {
		return errors.New("the public log has another name than this hotline's, or a key that is in another role")
	}
	return nil
}

// ChangeOptions say what a hotline asks its authority to change.
type ChangeOptions struct {
	Add         []string // paths of further officers' .pub files
	Remove      []string // names of officers who leave, or whose key is lost or stolen
	Threshold   int      // signatures a version needs; 0 leaves it
	ServiceKeys bool     // new snapshot, timestamp and public log keys
}

// Change writes another request.json for the authority: other officers, another threshold, new service keys. Until Accept takes in
// an accreditation that answers it everything goes on with what is accredited. A second request replaces the first; without changes it
// is what is in use.
func (h *Hotline) Change(o ChangeOptions) (Request, error) {
	s, err := h.begin()
	if err != nil {
		return Request{}, err
	}
	defer s.release()
	r := s.set.Request
	r.Officers = slices.Clone(r.Officers)
	for _, name := range o.Remove {
		i := slices.IndexFunc(r.Officers, func(p PublicKey) bool { return p.Name == name })
		if i < 0 {
			return r, sentence(CodeUsage, nil, "name one of: "+strings.Join(s.officerNames(s.officerIDs()), ", "), "hotline %s has no officer %q", r.Hotline, printable(name))
		}
		r.Officers = slices.Delete(r.Officers, i, i+1)
	}
	for _, path := range o.Add {
		p, err := readPublicKey(path, roleOfficer)
		if err != nil {
			return r, err
		}
		for _, q := range append(slices.Clone(r.Officers), s.set.Officers...) {
			if q.KeyID == p.KeyID || q.Name == p.Name && slices.Contains(r.Officers, q) {
				return r, sentence(CodeInput, nil, "give each person a key and a name of their own, and a new key where one was lost", "officers %q and %q have the same key or name", q.Name, p.Name)
			}
		}
		r.Officers = append(r.Officers, p)
	}
	if o.Threshold != 0 {
		r.Threshold = o.Threshold
	}
	if o.ServiceKeys {
		if r.Snapshot, err = s.newServiceKey(roleSnapshot); err != nil {
			return r, err
		}
		if r.Timestamp, err = s.newServiceKey(roleTimestamp); err != nil {
			return r, err
		}
		pub, err := s.newServiceKey(roleLog) // the log itself goes on
		if err != nil {
			return r, err
		}
		if r.Log, err = logKey(r, pub); err != nil {
			return r, err
		}
	}
	if err := r.check(); err != nil {
		return r, fault(CodeUsage, err, "keep at least three officers, two of whom sign", "the authority could not accredit this")
	}
	if err := writeJSON(s.path("request.json"), r, 0o644); err != nil {
		return r, fault(CodeFailure, err, "check the disk", "cannot write %s", s.path("request.json"))
	}
	return r, nil
}

func (s *session) officerIDs() []string {
	var ids []string
	for _, o := range s.set.Officers {
		ids = append(ids, o.KeyID)
	}
	return ids
}

// newServiceKey makes a key beside the one in use: its file has the key's id in its name, so that nothing has to be renamed later.
func (s *session) newServiceKey(role string) (PublicKey, error) {
	const making = "new-service-key"
	pub, err := makeKey(s.c, s.path("keys"), making, role, string(s.set.Hotline))
	if err != nil {
		return pub, err
	}
	for _, end := range []string{".pub", ".key"} {
		if err := os.Rename(s.path("keys", making+end), s.path("keys", serviceKeyFile(role, pub.KeyID)+end)); err != nil {
			return pub, fault(CodeFailure, err, "check the disk", "cannot write the %s key in %s", role, s.path("keys"))
		}
	}
	return pub, nil
}

func serviceKeyFile(role, id string) string { return role + "-" + id[:16] }

// serviceKey loads the key that the accreditation in use names for a role.
func (s *session) serviceKey(role string) (signingKey, error) {
	want := s.set.Snapshot
	if role == roleTimestamp {
		want = s.set.Timestamp
	}
	if own := serviceKeyFile(role, want.KeyID); exists(s.path("keys", own+".key")) {
		return loadKey(s.c, s.path("keys"), own, role)
	}
	return loadKey(s.c, s.path("keys"), role, role)
}

// adopt makes the hotline what it asked to be, once the accreditation in use answers that request. It may be repeated: a command that was
// cut off behind accept is finished by the next one.
func (s *session) adopt() error {
	if s.acc == nil || s.acc.fits(s.set.Request) == nil {
		return nil
	}
	r, err := readRequest(s.path("request.json"))
	if err != nil {
		return err
	}
	if err := s.acc.fits(r); err != nil {
		return fault(CodeInput, err, "put request.json or the accreditation back from your backup", "the accreditation in use answers neither hotline.json nor request.json")
	}
	s.set.Request = r
	if err := writeJSON(s.path("hotline.json"), s.set, 0o644); err != nil {
		return fault(CodeFailure, err, "check the disk", "cannot write %s", s.path("hotline.json"))
	}
	return nil
}
