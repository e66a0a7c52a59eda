package publish

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/cordon-project/cordon/listsync/trust"
)

// accreditation is what an authority has granted: the directory accredited/.
type accreditation struct {
	roots        [][]byte // version 1 first
	root         *envelope
	targets      []byte
	targetsEnv   *envelope
	charterBytes []byte
	charter      trust.Charter
	officers     tufRole
	keys         map[string]tufKey
}

// development reports a throw-away authority.
func (a *accreditation) development() bool { return a.root.head.Development }

// loadAccreditation reads a directory of N.root.json, N.targets.json and charter.json and verifies it; nil when it has no root.
func loadAccreditation(dir string) (*accreditation, error) {
	rootVersion, targetsVersion := latest(dir, ".root.json"), latest(dir, ".targets.json")
	if rootVersion == 0 && targetsVersion == 0 {
		return nil, nil
	}
	a := &accreditation{}
	for v := int64(1); v <= rootVersion; v++ {
		e, b, err := readEnvelope(filepath.Join(dir, strconv.FormatInt(v, 10)+".root.json"), "root")
		if err != nil {
			return nil, err
		}
		if e.head.Version != v {
			return nil, fmt.Errorf("%d.root.json says version %d", v, e.head.Version)
		}
		for _, by := range []*envelope{a.root, e} { // the root before and the new one must both agree
			if by == nil {
				continue
			}
			role := by.head.Roles["root"]
			if have := len(e.signers(role, by.head.Keys)); have < max(role.Threshold, rootThreshold) {
				return nil, fmt.Errorf("%w: %d.root.json has %d of %d root signatures", trust.ErrThreshold, v, have, max(role.Threshold, rootThreshold))
			}
		}
		a.roots, a.root = append(a.roots, b), e
	}
	if a.root == nil {
		return nil, errors.New("no root.json")
	}
	e, b, err := readEnvelope(filepath.Join(dir, strconv.FormatInt(targetsVersion, 10)+".targets.json"), "targets")
	if err != nil {
		return nil, err
	}
	if e.head.Version != targetsVersion {
		return nil, fmt.Errorf("%d.targets.json says version %d", targetsVersion, e.head.Version)
	}
	role := a.root.head.Roles["targets"]
	if have := len(e.signers(role, a.root.head.Keys)); have < max(role.Threshold, accreditationThreshold) {
		return nil, fmt.Errorf("%w: %d.targets.json has %d of %d accreditation signatures", trust.ErrThreshold, targetsVersion, have, max(role.Threshold, accreditationThreshold))
	}
	a.targets, a.targetsEnv = b, e
	if len(e.head.Delegations.Roles) != 1 {
		return nil, errors.New("targets.json does not delegate to one hotline")
	}
	a.officers, a.keys = e.head.Delegations.Roles[0], e.head.Delegations.Keys
	if a.charterBytes, err = readSmall(filepath.Join(dir, "charter.json")); err != nil {
		return nil, err
	}
	if !e.head.Targets[trust.CharterPath].matches(a.charterBytes) {
		return nil, fmt.Errorf("%w: charter.json is not the charter that targets.json signs", trust.ErrHash)
	}
	if a.charter, err = trust.ParseCharter(a.charterBytes); err != nil {
		return nil, err
	}
	return a, nil
}

// fits checks that the accreditation is the answer to the hotline's request.
func (a *accreditation) fits(r Request) error {
	if a.charter.Hotline != r.Hotline {
		return fmt.Errorf("it accredits hotline %s, and this is %s", a.charter.Hotline, r.Hotline)
	}
	for name, key := range map[string]PublicKey{"snapshot": r.Snapshot, "timestamp": r.Timestamp} {
		if !slices.Equal(a.root.head.Roles[name].KeyIDs, []string{key.KeyID}) {
			return fmt.Errorf("it names another %s key than this hotline's", name)
		}
	}
	if a.charter.Log != r.Log {
		return errors.New("its charter names another public log than this hotline's")
	}
	var ids []string
	for _, o := range r.Officers {
		ids = append(ids, o.KeyID)
	}
	got := slices.Clone(a.officers.KeyIDs)
	slices.Sort(ids)
	slices.Sort(got)
	if !slices.Equal(ids, got) || a.officers.Threshold != r.Threshold {
		return errors.New("it names other officers or another threshold than the request")
	}
	return nil
}

// Accepted is what Accept has taken in.
type Accepted struct {
	Charter trust.Charter
	Resign  string // why the published version has to be signed anew before refresh can renew anything; empty when it need not be
}

// mustResign says why the published version cannot be carried on under the accreditation in use, and until when that may last.
func (s *session) mustResign() string {
	p, err := s.published()
	if err != nil || p.seq == 0 {
		return "" // the repository's own trouble is told elsewhere
	}
	e, err := openEnvelope(p.list)
	if err != nil {
		return ""
	}
	good := len(e.signers(s.acc.officers, s.acc.keys))
	if good == len(e.Signatures) && good >= max(s.acc.officers.Threshold, minThreshold) {
		if s.otherCharter() {
			return fmt.Sprintf("the charter grants other jurisdictions, bases or kinds than when version %d was signed: sign it anew (sign) and publish it, since operators apply a charter from the version on that is published under it", p.seq)
		}
		return ""
	}
	until := "soon"
	if ts, _, err := readEnvelope(s.repository(filepath.FromSlash(trust.TimestampName)), "timestamp"); err == nil {
		until = "before " + ts.head.Expires.UTC().Format("2006-01-02 15:04 UTC")
	}
	return fmt.Sprintf("version %d was signed by officers who are no longer accredited, or too few: sign it anew (sign) and publish it %s, since refresh cannot renew it", p.seq, until)
}

// otherCharter reports that the published version was made under a charter that grants something else.
func (s *session) otherCharter() bool {
	m, err := s.manifest(s.st.Seq)
	if err != nil || m.Targets == s.acc.targetsEnv.head.Version {
		return false
	}
	e, _, err := readEnvelope(s.repository(filepath.FromSlash(trust.TargetsName(m.Targets))), "targets")
	if err != nil {
		return false
	}
	sum := e.head.Targets[trust.CharterPath].Hashes["sha256"]
	b, err := readSmall(s.repository("targets", sum+"."+trust.CharterPath))
	if err != nil {
		return false
	}
	was, err := trust.ParseCharter(b)
	return err == nil && was.Filter().Hash() != s.acc.charter.Filter().Hash()
}

// Accept takes the authority's signed answer in: it verifies all of it, that it answers this hotline's request and that it does not
// go back behind what was accepted before, and keeps a copy. The next publish or refresh carries it out.
func (h *Hotline) Accept(dir string) (*Accepted, error) {
	s, err := h.beginWith(true)
	if err != nil {
		return nil, err
	}
	defer s.release()
	do := "ask the authority to complete the signatures (authority sign) and send the whole directory"
	switch info, err := os.Stat(dir); {
	case errors.Is(err, fs.ErrNotExist):
		return nil, sentence(CodeInput, err, "check the path: it is the directory that authority accredit wrote (--out)", "there is no directory %s", dir)
	case err == nil && !info.IsDir():
		return nil, sentence(CodeInput, nil, "name the directory that authority accredit wrote", "%s is a file, not a directory", dir)
	}
	a, err := loadAccreditation(dir)
	if err != nil {
		code := CodeInput
		if errors.Is(err, trust.ErrThreshold) || errors.Is(err, trust.ErrHash) {
			code = CodeVerify
		}
		return nil, fault(code, err, do, "cannot accept %s", dir)
	}
	if a == nil {
		return nil, sentence(CodeInput, nil, "name the directory that authority accredit wrote", "%s has no accreditation: no root.json in it", dir)
	}
	if err := s.answered(a); err != nil {
		return nil, fault(CodeInput, err, "ask the authority to accredit your request.json", "cannot accept %s", dir)
	}
	if _, err := a.chain(); err != nil {
		return nil, fault(CodeVerify, err, do, "cannot accept %s: its roots do not follow one another", dir)
	}
	for what, e := range map[string]*envelope{"root.json": a.root, "targets.json": a.targetsEnv} {
		if !s.now.Before(e.head.Expires) {
			return nil, sentence(CodeVerify, trust.ErrExpired, "ask the authority for a new accreditation", "cannot accept %s: its %s expired on %s", dir, what, day(e.head.Expires))
		}
	}
	if err := s.behind(a); err != nil {
		return nil, sentence(CodeVerify, trust.ErrRollback, "take in the newest one", "cannot accept %s: %s", dir, err)
	}
	if old := s.acc; old != nil {
		if a.targetsEnv.head.Version < old.targetsEnv.head.Version || len(a.roots) < len(old.roots) {
			return nil, sentence(CodeVerify, trust.ErrRollback, "take in the newest one", "cannot accept %s: it is older than the accreditation in use", dir)
		}
		for i, b := range old.roots {
			if string(b) != string(a.roots[i]) {
				return nil, sentence(CodeVerify, trust.ErrRollback, "ask the authority for root files that follow those in use",
					"cannot accept %s: its %d.root.json is another one than operators have pinned", dir, i+1)
			}
		}
	}
	if err := s.keepAccreditation(a); err != nil {
		return nil, fault(CodeFailure, err, "check the disk", "cannot write %s", s.path("accredited"))
	}
	s.acc = a
	if err := s.adopt(); err != nil {
		return nil, err
	}
	return &Accepted{Charter: a.charter, Resign: s.mustResign()}, nil
}

// behind refuses an accreditation that operators are ahead of: the repository has a newer one, or another root of the same version.
func (s *session) behind(a *accreditation) error {
	dir := s.repository("metadata")
	if latest(dir, ".root.json") > int64(len(a.roots)) || latest(dir, ".targets.json") > a.targetsEnv.head.Version {
		return errors.New("what is published has a newer one")
	}
	for i, b := range a.roots {
		published, err := readSmall(s.repository(filepath.FromSlash(trust.RootName(int64(i + 1)))))
		if err == nil && string(published) != string(b) {
			return fmt.Errorf("its %d.root.json is another one than is published", i+1)
		}
	}
	return nil
}

// answered checks that the accreditation answers what the hotline is, or what it has asked to be since.
func (s *session) answered(a *accreditation) error {
	err := a.fits(s.set.Request)
	if err == nil {
		return nil
	}
	if r, readErr := readRequest(s.path("request.json")); readErr == nil {
		return a.fits(r)
	}
	return err
}

// chain is the accreditation's roots as operators follow them.
func (a *accreditation) chain() (trust.Roots, error) {
	roots, err := trust.PinRoot(a.roots[0])
	if err != nil {
		return roots, err
	}
	return roots.Follow(a.roots[1:])
}

// keepAccreditation writes beside and swaps the directory in, so that it is never half of two accreditations.
func (s *session) keepAccreditation(a *accreditation) error {
	fresh, old := s.path("accredited.new"), s.path("accredited.old")
	for _, dir := range []string{fresh, old} {
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
	}
	if err := os.Mkdir(fresh, 0o700); err != nil {
		return err
	}
	files := map[string][]byte{"charter.json": a.charterBytes, strconv.FormatInt(a.targetsEnv.head.Version, 10) + ".targets.json": a.targets}
	for i, b := range a.roots {
		files[strconv.Itoa(i+1)+".root.json"] = b
	}
	for name, b := range files {
		if err := writeFile(filepath.Join(fresh, name), b, 0o644); err != nil {
			return err
		}
	}
	if err := os.Rename(s.path("accredited"), old); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.Rename(fresh, s.path("accredited")); err != nil {
		return err
	}
	if err := syncDir(s.dir); err != nil {
		return err
	}
	return os.RemoveAll(old)
}
