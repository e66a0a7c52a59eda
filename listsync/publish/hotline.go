package publish

import (
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/cordon-project/cordon/listsync/trust"
	"github.com/cordon-project/cordon/resolver/canon"
	"github.com/cordon-project/cordon/resolver/match"
)

// Hotline is a hotline's directory. Its methods may be called at once, from several goroutines and processes: each takes the
// directory's lock and reads what it needs from disk.
//
//	hotline.json      who the hotline is: public        request.json  who it asks the authority to accredit: the same, or who it is to be
//	state.json        last versions, epoch, repository  operators.json
//	keys/             0600: snapshot, timestamp, log, open, one file for each epoch; old ones are kept
//	accredited/       root, targets and charter as the authority signed them
//	entries.jsonl     the working set, plain text       removals.jsonl  what went out, when and why
//	holdbacks.jsonl   what is held back for an authority, until when  attestations.jsonl  who assessed what again
//	wrapped/          the epoch's keys for each operator, with its marks  trace.jsonl  who was given marks
//	staging/          the candidate: next version, its files and signatures so far
//	versions/         a manifest for each published version, and the entries it was made of
//	withdrawals.jsonl urgent withdrawals and whose second signature is owed
//	repository/       what a web server serves
//	witnesses.policy  who cosigns the public log, and witnesses-ca.pem: of whose authority their certificates are
type Hotline struct {
	c   Config
	dir string
}

// settings is hotline.json.
type settings struct {
	Request
	Created  int64         `json:"created"`
	CanaryID match.EntryID `json:"canary_id"`
	Limits   Limits        `json:"limits"`
	// Popularity is the popularity file that the brakes ask about; nil for none.
	Popularity *PopularitySource `json:"popularity,omitempty"`
}

// Limits are the brakes a hotline sets for itself in hotline.json.
type Limits struct {
	MaxEntries int `json:"max_entries"`
	// A version may add, and may remove, this many percent of the entries of the one before, but always MinChange.
	MaxChangePercent int `json:"max_change_percent"`
	MinChange        int `json:"min_change"`
	// In seven days, in any number of versions, this many percent may be added: 0 means three times max_change_percent. Of whole sites
	// (host and domain entries) a version may add this many percent of those before: 0 means max_change_percent.
	MaxWindowPercent int `json:"max_window_percent,omitempty"`
	MaxBroadPercent  int `json:"max_broad_percent,omitempty"`
}

var defaultLimits = Limits{MaxEntries: 2_000_000, MaxChangePercent: 10, MinChange: 100}

// state is state.json.
type state struct {
	V          int    `json:"v"`
	Seq        uint64 `json:"seq"`       // last published version
	Snapshot   int64  `json:"snapshot"`  // last snapshot version
	Timestamp  int64  `json:"timestamp"` // last timestamp version
	Epoch      uint32 `json:"epoch"`     // keys of the next version
	Repository string `json:"repository"`
	LogSeq     uint64 `json:"log_seq,omitempty"`  // highest version that stands in the public log, or may
	LogSize    uint64 `json:"log_size,omitempty"` // of the public log as it was signed last
	LogRoot    string `json:"log_root,omitempty"` // its root, in hex
}

// epochFile is keys/epoch-N.json.
type epochFile struct {
	V       int    `json:"v"`
	Epoch   uint32 `json:"epoch"`
	Created int64  `json:"created"`
	Match   string `json:"match"`
	Gate    string `json:"gate"`
}

// InitOptions say who a new hotline is.
type InitOptions struct {
	Dir       string
	ID        string   // such as hotline-one
	Name      string   // shown to operators and auditors
	List      string   // such as hotline-one/main
	Canary    string   // a harmless host of the hotline's own
	Officers  []string // paths of the officers' .pub files, at least 3
	Threshold int      // signatures a version needs; 0 means 2
}

// Init makes a hotline's directory: its service keys, the keys of its first epoch, an empty list and request.json for the authority.
// A directory that holds anything is refused.
func Init(c Config, o InitOptions) (*Hotline, error) {
	s, err := newSettings(c, o)
	if err != nil {
		return nil, err
	}
	if err := freshDir(o.Dir, "a hotline", "hotline.json"); err != nil {
		return nil, err
	}
	for _, sub := range []string{"keys", "accredited", "wrapped", "staging", "versions"} {
		if err := os.Mkdir(filepath.Join(o.Dir, sub), 0o700); err != nil {
			return nil, fault(CodeFailure, err, "name a place where you may write", "cannot make %s", o.Dir)
		}
	}
	keys := filepath.Join(o.Dir, "keys")
	if s.Snapshot, err = makeKey(c, keys, roleSnapshot, roleSnapshot, o.ID); err != nil {
		return nil, err
	}
	if s.Timestamp, err = makeKey(c, keys, roleTimestamp, roleTimestamp, o.ID); err != nil {
		return nil, err
	}
	pub, err := makeKey(c, keys, roleLog, roleLog, o.ID)
	if err != nil {
		return nil, err
	}
	if s.Log, err = logKey(s.Request, pub); err != nil {
		return nil, err
	}
	if err := s.check(); err != nil {
		return nil, fault(CodeUsage, err, "check the flags of init", "cannot make hotline %s", o.ID)
	}
	open := make([]byte, 32)
	if err := c.random(open); err != nil {
		return nil, fault(CodeFailure, err, "", "cannot make keys")
	}
	if err := writeFile(filepath.Join(keys, "open.key"), []byte(hex.EncodeToString(open)+"\n"), 0o600); err != nil {
		return nil, fault(CodeFailure, err, "check the disk", "cannot write the keys in %s", keys)
	}
	if err := makeEpoch(c, o.Dir, 1); err != nil {
		return nil, err
	}
	for _, f := range []struct {
		name string
		v    any
		mode fs.FileMode
	}{
		{"request.json", s.Request, 0o644},
		{"state.json", state{V: 1, Epoch: 1, Repository: "repository"}, 0o600},
		{"operators.json", operatorsFile{V: 1, Operators: []Operator{}}, 0o600},
		{"hotline.json", s, 0o644}, // last: with it the directory is a hotline
	} {
		if err := writeJSON(filepath.Join(o.Dir, f.name), f.v, f.mode); err != nil {
			return nil, fault(CodeFailure, err, "check the disk", "cannot write %s in %s", f.name, o.Dir)
		}
	}
	return &Hotline{c: c, dir: o.Dir}, nil
}

// newSettings checks the options before anything is written.
func newSettings(c Config, o InitOptions) (settings, error) {
	if o.Threshold == 0 {
		o.Threshold = minThreshold
	}
	bad := func(flag, format string, a ...any) error {
		return sentence(CodeUsage, nil, "mend "+flag, format, a...)
	}
	listID, err := match.ParseListID(o.List)
	if err != nil {
		return settings{}, bad("--list", "%q is no list; a list is HOTLINE/NAME in small letters, digits and hyphens", printable(o.List))
	}
	if listID.Hotline() != o.ID {
		return settings{}, bad("--id or --list", "list %s does not begin with the hotline's id %q", listID, printable(o.ID))
	}
	if err := checkName(o.Name); err != nil {
		return settings{}, bad("--name", "the hotline's name cannot be used: %s", err)
	}
	canary, err := canon.Host(o.Canary)
	if err != nil || canary != o.Canary || isAddress(canary) || canon.PublicSuffix(canary) || !strings.Contains(canary, ".") {
		return settings{}, bad("--canary", "the canary is not a host name of its own in canonical form, such as canary.%s.test", o.ID)
	}
	if len(o.Officers) < minOfficers || len(o.Officers) > maxOfficers {
		return settings{}, bad("--officer", "%d officers are named; a list has at least %d, so that one may be away and two still sign", len(o.Officers), minOfficers)
	}
	if o.Threshold < minThreshold || o.Threshold > len(o.Officers) {
		return settings{}, bad("--threshold", "threshold %d is not between %d and the number of officers (%d)", o.Threshold, minThreshold, len(o.Officers))
	}
	s := settings{
		Request: Request{V: 1, Hotline: trust.HotlineID(o.ID), Name: o.Name, List: listID, Canary: canary, Threshold: o.Threshold},
		Created: c.now().Unix(), Limits: defaultLimits,
	}
	if err := c.random(s.CanaryID[:]); err != nil {
		return settings{}, fault(CodeFailure, err, "", "cannot make an entry id")
	}
	for _, path := range o.Officers {
		p, err := readPublicKey(path, roleOfficer)
		if err != nil {
			return settings{}, err
		}
		for _, q := range s.Officers {
			if q.KeyID == p.KeyID || q.Name == p.Name {
				return settings{}, sentence(CodeInput, nil, "give each person a key and a name of their own", "officers %q and %q have the same key or name", q.Name, p.Name)
			}
		}
		s.Officers = append(s.Officers, p)
	}
	return s, nil
}

// Open gives the hotline in dir. It fails when dir is not one.
func Open(c Config, dir string) (*Hotline, error) {
	h := &Hotline{c: c, dir: dir}
	if _, err := h.settings(); err != nil {
		return nil, err
	}
	return h, nil
}

// Dir is the hotline's directory.
func (h *Hotline) Dir() string { return h.dir }

func (h *Hotline) settings() (settings, error) {
	var s settings
	path := filepath.Join(h.dir, "hotline.json")
	do := "name the directory that init made with --dir"
	err := readJSON(path, &s)
	if errors.Is(err, fs.ErrNotExist) {
		return s, sentence(CodeInput, ErrForeign, do, "%s is not a hotline's directory: it has no hotline.json", h.dir)
	}
	if err == nil {
		err = s.check()
	}
	if err == nil && (s.Limits.MaxEntries < 1 || s.Limits.MaxChangePercent < 0 || s.Limits.MinChange < 0 || s.Limits.MaxWindowPercent < 0 || s.Limits.MaxBroadPercent < 0) {
		err = errors.New("limits are not positive")
	}
	if err != nil {
		return s, fault(CodeInput, err, "put the file back as init wrote it", "cannot use %s", path)
	}
	return s, nil
}
