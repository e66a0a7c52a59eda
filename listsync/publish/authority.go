package publish

import (
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cordon-project/cordon/listsync/trust"
	"github.com/cordon-project/cordon/resolver/canon"
	"github.com/cordon-project/cordon/resolver/match"
)

// How many keys an authority has and how many must sign. trust holds the minima.
const (
	rootKeys, rootThreshold                   = 5, 3
	accreditationKeys, accreditationThreshold = 3, 2
	minOfficers, minThreshold                 = 3, 2
	maxOfficers                               = 16
	maxValidDays                              = 1100 // three years: an accreditation is looked at again
)

// Authority is the content of authority.json: the public keys of an accreditation authority.
type Authority struct {
	V             int         `json:"v"`
	Development   bool        `json:"development"` // a throw-away authority; production nodes refuse its hotlines
	Root          []PublicKey `json:"root"`
	Accreditation []PublicKey `json:"accreditation"`
}

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
}

// InitAuthority makes an authority in dir: five root keys and three accreditation keys, each in a directory of its own so that
// each can be carried to a place of its own, and authority.json with the public parts. A directory that holds anything is refused.
func InitAuthority(c Config, dir string, development bool) (Authority, error) {
	if err := freshDir(dir, "an authority", "authority.json"); err != nil {
		return Authority{}, err
	}
	a := Authority{V: 1, Development: development}
	for _, r := range []struct {
		role  string
		n     int
		store *[]PublicKey
	}{{roleRoot, rootKeys, &a.Root}, {roleAccreditation, accreditationKeys, &a.Accreditation}} {
		for i := range r.n {
			name := fmt.Sprintf("%s-%d", r.role, i+1)
			home := filepath.Join(dir, name)
			if err := os.Mkdir(home, 0o700); err != nil {
				return Authority{}, fault(CodeFailure, err, "name a place where you may write", "cannot make %s", home)
			}
			pub, err := makeKey(c, home, r.role, r.role, name)
			if err != nil {
				return Authority{}, err
			}
			*r.store = append(*r.store, pub)
		}
	}
	if err := writeJSON(filepath.Join(dir, "authority.json"), a, 0o644); err != nil {
		return Authority{}, fault(CodeFailure, err, "name a place where you may write", "cannot write the authority in %s", dir)
	}
	return a, nil
}

// openAuthority reads and checks authority.json.
func openAuthority(dir string) (Authority, error) {
	var a Authority
	path := filepath.Join(dir, "authority.json")
	do := "name the directory that authority init made"
	if err := readJSON(path, &a); err != nil {
		return a, fault(CodeInput, err, do, "%s is not the directory of an authority", dir)
	}
	if a.V != 1 || len(a.Root) < rootThreshold || len(a.Root) > maxOfficers || len(a.Accreditation) < accreditationThreshold || len(a.Accreditation) > maxOfficers {
		return a, sentence(CodeInput, nil, do, "%s has another version or too few keys", path)
	}
	for _, r := range []struct {
		role string
		keys []PublicKey
	}{{roleRoot, a.Root}, {roleAccreditation, a.Accreditation}} {
		for _, k := range r.keys {
			if err := k.check(r.role); err != nil {
				return a, fault(CodeInput, err, do, "%s has a wrong key %q", path, printable(k.Name))
			}
		}
	}
	return a, nil
}

// AccreditOptions say what an authority grants.
type AccreditOptions struct {
	Dir           string   // of the authority
	Request       string   // path of the hotline's request.json
	Out           string   // where the files to sign go
	Jurisdictions []string // two capital letters each
	Bases         []string // law, order, voluntary
	Kinds         []string // url, prefix, host, domain
	RPZ           bool
	ValidDays     int
}

// Accredit writes what an authority grants a hotline, not yet signed: N.root.json, charter.json and N.targets.json, each of the
// next version when Out has earlier ones of this hotline. It gives the paths of the two files to sign.
func Accredit(c Config, o AccreditOptions) ([]string, error) {
	a, err := openAuthority(o.Dir)
	if err != nil {
		return nil, err
	}
	req, err := readRequest(o.Request)
	if err != nil {
		return nil, err
	}
	if err := o.check(); err != nil {
		return nil, err
	}
	from := c.now()
	to := from.Add(time.Duration(o.ValidDays) * 24 * time.Hour)
	granted, err := newCharter(req, o, from, to)
	var charter []byte
	if err == nil {
		charter, err = trust.EncodeCharter(granted)
	}
	if err != nil {
		return nil, fault(CodeUsage, err, "check --jurisdiction, --basis and --kind", "the charter would not be valid")
	}
	rootVersion, targetsVersion, err := nextVersions(o.Out, req.Hotline)
	if err != nil {
		return nil, err
	}
	root, err := trust.NewRoot(trust.RootSpec{
		Version: rootVersion, Expires: to, Development: a.Development,
		Root:      trust.Role{Threshold: rootThreshold, Keys: publics(a.Root)},
		Targets:   trust.Role{Threshold: accreditationThreshold, Keys: publics(a.Accreditation)},
		Snapshot:  trust.Role{Threshold: 1, Keys: publics([]PublicKey{req.Snapshot})},
		Timestamp: trust.Role{Threshold: 1, Keys: publics([]PublicKey{req.Timestamp})},
	})
	if err != nil {
		return nil, fault(CodeInput, err, "check the keys in the request and in authority.json", "cannot accredit %s", req.Hotline)
	}
	targets, err := trust.NewTargets(trust.TargetsSpec{
		Version: targetsVersion, Expires: to, Charter: charter,
		Officers: trust.Role{Threshold: req.Threshold, Keys: publics(req.Officers)},
	})
	if err != nil {
		return nil, fault(CodeInput, err, "check the officers in the request", "cannot accredit %s", req.Hotline)
	}
	files := []string{
		filepath.Join(o.Out, strconv.FormatInt(rootVersion, 10)+".root.json"),
		filepath.Join(o.Out, strconv.FormatInt(targetsVersion, 10)+".targets.json"),
	}
	if err := os.MkdirAll(o.Out, 0o755); err != nil {
		return nil, fault(CodeFailure, err, "name a place where you may write", "cannot make %s", o.Out)
	}
	for _, f := range []struct {
		path string
		b    []byte
	}{{filepath.Join(o.Out, "charter.json"), charter}, {files[0], root}, {files[1], targets}} {
		if err := writeFile(f.path, f.b, 0o644); err != nil {
			return nil, fault(CodeFailure, err, "name a place where you may write", "cannot write %s", f.path)
		}
	}
	return files, nil
}

func (o AccreditOptions) check() error {
	if o.ValidDays < 1 || o.ValidDays > maxValidDays {
		return sentence(CodeUsage, nil, fmt.Sprintf("give --valid-days a number from 1 to %d", maxValidDays), "%d days is no accreditation", o.ValidDays)
	}
	if !slices.Contains(o.Kinds, "host") {
		return sentence(CodeUsage, nil, "add host to --kind", "the charter must allow host entries: every list carries one canary, a harmless host")
	}
	return nil
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
	return nil
}

// newCharter makes the charter from what the person at the authority typed.
func newCharter(r Request, o AccreditOptions, from, to time.Time) (trust.Charter, error) {
	c := trust.Charter{Hotline: r.Hotline, Name: r.Name, Jurisdictions: o.Jurisdictions, RPZ: o.RPZ, ValidFrom: from, ValidTo: to}
	for _, w := range o.Bases {
		b, err := match.ParseBasis(w)
		if err != nil {
			return c, fmt.Errorf("basis %q is not law, order or voluntary", printable(w))
		}
		c.Bases = append(c.Bases, b)
	}
	for _, w := range o.Kinds {
		k, err := canon.ParseKind(w)
		if err != nil {
			return c, fmt.Errorf("kind %q is not url, prefix, host or domain", printable(w))
		}
		c.Kinds = append(c.Kinds, k)
	}
	return c, nil
}

// nextVersions looks for earlier root and targets files in dir.
func nextVersions(dir string, id trust.HotlineID) (root, targets int64, err error) {
	root, targets = 1+latest(dir, ".root.json"), 1+latest(dir, ".targets.json")
	if root == 1 && targets == 1 {
		return root, targets, nil
	}
	do := "name a new directory with --out, or the one of the same hotline's earlier accreditation"
	b, err := readSmall(filepath.Join(dir, "charter.json"))
	if err != nil {
		return 0, 0, fault(CodeInput, err, do, "%s has earlier metadata without its charter", dir)
	}
	old, err := trust.ParseCharter(b)
	if err != nil {
		return 0, 0, fault(CodeInput, err, do, "%s has an earlier charter that is not valid", dir)
	}
	if old.Hotline != id {
		return 0, 0, sentence(CodeInput, ErrForeign, do, "%s holds the accreditation of %s", dir, old.Hotline)
	}
	return root, targets, nil
}

// latest is the highest N of the files N<suffix> in dir, 0 when there is none.
func latest(dir, suffix string) int64 {
	names, _ := os.ReadDir(dir)
	var top int64
	for _, e := range names {
		if n, ok := strings.CutSuffix(e.Name(), suffix); ok {
			if v, err := strconv.ParseInt(n, 10, 64); err == nil && strconv.FormatInt(v, 10) == n {
				top = max(top, v)
			}
		}
	}
	return top
}

func publics(keys []PublicKey) []ed25519.PublicKey {
	var all []ed25519.PublicKey
	for _, k := range keys {
		all = append(all, k.public())
	}
	return all
}

// FileSigned says how far a metadata file is signed.
type FileSigned struct {
	File  string `json:"file"`
	Have  int    `json:"have"`
	Need  int    `json:"need"`
	Again bool   `json:"again"` // this key had signed before
}

// SignMetadata adds the signature of the authority key in keyDir to each file: a root key signs N.root.json, an accreditation key
// N.targets.json (the newest N.root.json beside it says who may). A file is replaced whole; signing twice changes nothing.
func SignMetadata(c Config, keyDir string, files ...string) ([]FileSigned, error) {
	role := roleRoot
	if exists(filepath.Join(keyDir, roleAccreditation+".key")) {
		role = roleAccreditation
	}
	key, err := loadKey(keyDir, role, role)
	if err != nil {
		return nil, err
	}
	var done []FileSigned
	for _, path := range files {
		f, err := signFile(key, path)
		if err != nil {
			return done, err
		}
		done = append(done, f)
	}
	return done, nil
}

func signFile(key signingKey, path string) (FileSigned, error) {
	e, b, err := readEnvelope(path, "")
	if err != nil {
		return FileSigned{}, fault(CodeInput, err, "name N.root.json or N.targets.json of authority accredit", "cannot sign %s", path)
	}
	root, tufName := e, "root"
	switch e.head.Type {
	case "root":
	case "targets":
		tufName = "targets"
		dir := filepath.Dir(path)
		rootPath := filepath.Join(dir, strconv.FormatInt(latest(dir, ".root.json"), 10)+".root.json")
		if root, _, err = readEnvelope(rootPath, "root"); err != nil {
			return FileSigned{}, fault(CodeInput, err, "keep targets.json beside its root.json", "cannot tell who signs %s", path)
		}
	default:
		return FileSigned{}, sentence(CodeInput, nil, "name N.root.json or N.targets.json", "an authority does not sign %s (%s)", path, printable(e.head.Type))
	}
	if want := map[string]string{"root": roleRoot, "targets": roleAccreditation}[tufName]; key.Role != want {
		return FileSigned{}, sentence(CodeInput, nil, fmt.Sprintf("sign it with a key of DIR/%s-1, %s-2, ...", want, want), "%s is signed by %s keys, and this is %s key", path, want, article(key.Role))
	}
	role := root.head.Roles[tufName]
	if !slices.Contains(role.KeyIDs, key.KeyID) {
		return FileSigned{}, sentence(CodeInput, nil, "use a key of the authority that wrote the file", "key %q is not one of those that sign %s", key.Name, path)
	}
	again := slices.Contains(e.signers(role, root.head.Keys), key.KeyID)
	if !again {
		if b, err = trust.Sign(b, key.private); err != nil {
			return FileSigned{}, fault(CodeInput, err, "write it again with authority accredit", "cannot sign %s", path)
		}
		if err := writeFile(path, b, 0o644); err != nil {
			return FileSigned{}, fault(CodeFailure, err, "check that you may write there", "cannot write %s", path)
		}
		if e, err = openEnvelope(b); err != nil {
			return FileSigned{}, fault(CodeFailure, err, "", "cannot read %s again", path)
		}
	}
	return FileSigned{File: path, Have: len(e.signers(role, root.head.Keys)), Need: role.Threshold, Again: again}, nil
}

// decodeKey reads 2n hex digits.
func decodeKey(s string, into []byte) error {
	if len(s) != 2*len(into) {
		return errors.New("wrong length")
	}
	_, err := hex.Decode(into, []byte(s))
	return err
}
