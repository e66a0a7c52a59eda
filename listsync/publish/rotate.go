package publish

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// RotateOptions say how an authority's keys change.
type RotateOptions struct {
	Dir                                   string   // of the authority
	Add                                   []string // roles: root or accreditation, one new key for each
	Replace                               []string // names, such as root-2: a new key in its place
	Drop                                  []string // names: no key in its place
	RootThreshold, AccreditationThreshold int      // 0 leaves it
}

// Rotated says what a rotation has changed.
type Rotated struct {
	New                    []string `json:"new"`     // directories of new keys
	Retired                []string `json:"retired"` // names
	Root                   int      `json:"root"`    // keys of today
	RootThreshold          int      `json:"root_threshold"`
	Accreditation          int      `json:"accreditation"`
	AccreditationThreshold int      `json:"accreditation_threshold"`
}

// RotateAuthority gives the authority other keys or thresholds. Nothing is signed by it: the next accreditation of each hotline names
// the keys of today, and the keys before must sign that one too. New keys are on disk before authority.json names them.
func RotateAuthority(c Config, o RotateOptions) (*Rotated, error) {
	a, err := openAuthority(o.Dir)
	if err != nil {
		return nil, err
	}
	if len(o.Add)+len(o.Replace)+len(o.Drop) == 0 && o.RootThreshold == 0 && o.AccreditationThreshold == 0 {
		return nil, sentence(CodeUsage, nil, "give --replace, --add, --drop, --root-threshold or --accreditation-threshold", "nothing is to change")
	}
	done := &Rotated{New: []string{}, Retired: []string{}}
	add := o.Add
	for _, name := range append(slices.Clone(o.Replace), o.Drop...) {
		role, err := a.retire(name)
		if err != nil {
			return nil, err
		}
		done.Retired = append(done.Retired, name)
		if slices.Contains(o.Replace, name) {
			add = append(add, role)
		}
	}
	for _, role := range add {
		if a.of(role) == nil {
			return nil, sentence(CodeUsage, nil, "give --add root or --add accreditation", "an authority has no %q keys", printable(role))
		}
	}
	if o.RootThreshold != 0 {
		a.RootThreshold = o.RootThreshold
	}
	if o.AccreditationThreshold != 0 {
		a.AccreditationThreshold = o.AccreditationThreshold
	}
	if err := a.afterAdding(add).check(); err != nil {
		return nil, fault(CodeUsage, err, "keep a key or two more than must sign", "these keys would not do")
	}
	for _, role := range add {
		name := a.nextName(o.Dir, role)
		home := filepath.Join(o.Dir, name)
		if err := os.Mkdir(home, 0o700); err != nil {
			return nil, fault(CodeFailure, err, "check that you may write there", "cannot make %s", home)
		}
		pub, err := makeKey(c, home, role, role, name)
		if err != nil {
			return nil, err
		}
		keys := a.of(role)
		*keys = append(*keys, pub)
		done.New = append(done.New, home)
	}
	if err := writeJSON(filepath.Join(o.Dir, "authority.json"), a, 0o644); err != nil {
		return nil, fault(CodeFailure, err, "check that you may write there", "cannot write the authority in %s", o.Dir)
	}
	done.Root, done.Accreditation = len(a.Root), len(a.Accreditation)
	done.RootThreshold, done.AccreditationThreshold = a.thresholds()
	return done, nil
}

// of are the keys of a role; nil for another word.
func (a *Authority) of(role string) *[]PublicKey {
	switch role {
	case roleRoot:
		return &a.Root
	case roleAccreditation:
		return &a.Accreditation
	}
	return nil
}

// retire moves a key to those of earlier times.
func (a *Authority) retire(name string) (role string, err error) {
	for _, role := range []string{roleRoot, roleAccreditation} {
		keys := a.of(role)
		if i := slices.IndexFunc(*keys, func(k PublicKey) bool { return k.Name == name }); i >= 0 {
			a.Retired = append(a.Retired, (*keys)[i])
			*keys = slices.Delete(slices.Clone(*keys), i, i+1)
			return role, nil
		}
	}
	var names []string
	for _, k := range append(slices.Clone(a.Root), a.Accreditation...) {
		names = append(names, k.Name)
	}
	return "", sentence(CodeUsage, nil, "name one of: "+strings.Join(names, ", "), "the authority has no key %q", printable(name))
}

// afterAdding is the authority with one more key of each role given, as far as check can tell.
func (a Authority) afterAdding(roles []string) Authority {
	for _, role := range roles {
		keys := a.of(role)
		*keys = append(slices.Clone(*keys), PublicKey{})
	}
	return a
}

// check holds the numbers of keys and the thresholds to what trust demands, and to one key more than must sign: a lost one must not
// be the end.
func (a Authority) check() error {
	root, accreditation := a.thresholds()
	for _, r := range []struct {
		role              string
		keys, need, least int
	}{{roleRoot, len(a.Root), root, rootThreshold}, {roleAccreditation, len(a.Accreditation), accreditation, accreditationThreshold}} {
		switch {
		case r.need < r.least:
			return fmt.Errorf("%d %s keys must sign, want at least %d", r.need, r.role, r.least)
		case r.keys <= r.need:
			return fmt.Errorf("%d %s keys where %d must sign, want at least %d", r.keys, r.role, r.need, r.need+1)
		case r.keys > maxOfficers:
			return fmt.Errorf("%d %s keys, at most %d", r.keys, r.role, maxOfficers)
		}
	}
	if len(a.Retired) > 1000 {
		return errors.New("too many retired keys")
	}
	return nil
}

// nextName is a name of the role that no key has or had.
func (a *Authority) nextName(dir, role string) string {
	top := 0
	take := func(name string) {
		if n, err := strconv.Atoi(strings.TrimPrefix(name, role+"-")); err == nil && strings.HasPrefix(name, role+"-") {
			top = max(top, n)
		}
	}
	for _, k := range slices.Concat(a.Root, a.Accreditation, a.Retired) {
		take(k.Name)
	}
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		take(e.Name())
	}
	return fmt.Sprintf("%s-%d", role, top+1)
}
