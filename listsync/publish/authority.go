package publish

import (
	"cmp"
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
	V                      int         `json:"v"`
	Development            bool        `json:"development"` // a throw-away authority; production nodes refuse its hotlines
	Root                   []PublicKey `json:"root"`
	Accreditation          []PublicKey `json:"accreditation"`
	RootThreshold          int         `json:"root_threshold,omitempty"`          // 0 is 3
	AccreditationThreshold int         `json:"accreditation_threshold,omitempty"` // 0 is 2
	Retired                []PublicKey `json:"retired,omitempty"`                 // keys of earlier times: each hotline's next root still needs some of them
}

// thresholds are how many root and accreditation keys must sign.
func (a Authority) thresholds() (root, accreditation int) {
	return cmp.Or(a.RootThreshold, rootThreshold), cmp.Or(a.AccreditationThreshold, accreditationThreshold)
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
	if a.V != 1 {
		return a, sentence(CodeInput, nil, do, "%s has another version", path)
	}
	if err := a.check(); err != nil {
		return a, fault(CodeInput, err, do, "%s cannot be used", path)
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

// Granted says what is to be signed, by how many.
type Granted struct {
	Sign          []string `json:"sign"` // paths of N.root.json and N.targets.json
	Root          int      `json:"root"` // root keys of today that must sign
	Accreditation int      `json:"accreditation"`
	// Where the root keys have changed since the hotline's last root: the names of those before, and how many of them must sign too.
	Before     []string `json:"before"`
	NeedBefore int      `json:"need_before"`
}

// Accredit writes what an authority grants a hotline, not yet signed: N.root.json, charter.json and N.targets.json, each of the
// next version when Out has earlier ones of this hotline.
func Accredit(c Config, o AccreditOptions) (*Granted, error) {
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
	needRoot, needAccreditation := a.thresholds()
	root, err := trust.NewRoot(trust.RootSpec{
		Version: rootVersion, Expires: to, Development: a.Development,
		Root:      trust.Role{Threshold: needRoot, Keys: publics(a.Root)},
		Targets:   trust.Role{Threshold: needAccreditation, Keys: publics(a.Accreditation)},
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
	g := &Granted{Sign: files, Root: needRoot, Accreditation: needAccreditation, Before: []string{}}
	e, err := openEnvelope(root)
	if err != nil {
		return nil, fault(CodeFailure, err, "", "cannot read %s again", files[0])
	}
	by, err := signersOf(files[0], e)
	if err != nil {
		return nil, err
	}
	if len(by) > 1 {
		g.Before, g.NeedBefore = a.names(by[1].role.KeyIDs), by[1].role.Threshold
	}
	return g, nil
}

// names gives the names of key ids, unknown ones by the start of their id.
func (a Authority) names(ids []string) []string {
	names := []string{}
	for _, id := range ids {
		name := id[:min(len(id), 12)]
		for _, k := range slices.Concat(a.Root, a.Accreditation, a.Retired) {
			if k.KeyID == id {
				name = k.Name
			}
		}
		names = append(names, name)
	}
	slices.Sort(names)
	return names
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

// newCharter makes the charter from what the person at the authority typed.
func newCharter(r Request, o AccreditOptions, from, to time.Time) (trust.Charter, error) {
	c := trust.Charter{Hotline: r.Hotline, Name: r.Name, Jurisdictions: o.Jurisdictions, RPZ: o.RPZ, Log: r.Log, ValidFrom: from, ValidTo: to}
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

// decodeKey reads 2n hex digits.
func decodeKey(s string, into []byte) error {
	if len(s) != 2*len(into) {
		return errors.New("wrong length")
	}
	_, err := hex.Decode(into, []byte(s))
	return err
}
