package publish

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/cordon-project/cordon/listsync/brake"
)

// A popularity file names sites that many people use and hosts that carry many others. A hotline makes it, an authority or an
// operator; its key is a key of its own, which signs nothing else.

// PopularitySource is the popularity file of a hotline: its name in the hotline's directory and whose signature counts.
type PopularitySource struct {
	File string   `json:"file"`
	Keys []string `json:"keys"`
}

const popularityFile = "popularity.names"

// popularityName is what a popularity key may be called: C2SP key names stand in files between spaces and plus signs.
var popularityName = regexp.MustCompile(`^[a-z0-9][a-z0-9./-]{0,79}$`)

// PopularityKey is the public part of a key that signs popularity files.
type PopularityKey struct {
	Name string `json:"name"`
	Key  string `json:"key"` // NAME+HASH+KEY, as configurations take it
}

// NewPopularityKey makes DIR/popularity.key (private), popularity.pub and popularity.vkey, the line that hotlines and operators copy.
func NewPopularityKey(c Config, dir, name string) (PopularityKey, error) {
	if !popularityName.MatchString(name) {
		return PopularityKey{}, sentence(CodeUsage, nil, "give --name a name such as popularity.hotline-one.example", "%q cannot name a popularity key", printable(name))
	}
	if err := freshDir(dir, "a popularity key", "popularity.key"); err != nil {
		return PopularityKey{}, err
	}
	pub, err := makeKey(c, dir, "popularity", rolePopularity, name)
	if err != nil {
		return PopularityKey{}, err
	}
	k := PopularityKey{Name: name}
	if k.Key, err = brake.VerifierKey(name, pub.public()); err == nil {
		err = writeFile(filepath.Join(dir, "popularity.vkey"), []byte(k.Key+"\n"), 0o644)
	}
	if err != nil {
		return k, fault(CodeFailure, err, "name a place where you may write", "cannot write %s", dir)
	}
	return k, nil
}

// PopularityOptions are those of signing a popularity file.
type PopularityOptions struct {
	Key     string    // directory of the key
	Popular io.Reader // names, or rank,name, most popular first; nil for none
	Shared  io.Reader // hosts that carry many others; nil for none
	Out     string
}

// PopularityInfo says what a popularity file holds.
type PopularityInfo struct {
	File      string   `json:"file"`
	Date      string   `json:"date"`
	Popular   int      `json:"popular"`
	Shared    int      `json:"shared"`
	SignedBy  []string `json:"signed_by"`
	Addresses int      `json:"addresses,omitempty"` // lines left out because they are addresses
	Note      string   `json:"note,omitempty"`
}

// Write puts it in plain words.
func (p PopularityInfo) Write(w io.Writer) error {
	if p.Addresses > 0 {
		fmt.Fprintf(w, "%d %s left out: no list can stop an address\n", p.Addresses, plural(p.Addresses, "address is", "addresses are"))
	}
	if p.Note != "" {
		fmt.Fprintln(w, "note: "+p.Note)
	}
	_, err := fmt.Fprintf(w, "%s: %d popular %s and %d shared %s of %s, signed by %s\n", p.File, p.Popular, plural(p.Popular, "name", "names"),
		p.Shared, plural(p.Shared, "host", "hosts"), p.Date, strings.Join(p.SignedBy, " and "))
	return err
}

// SignPopularity reads names and writes a popularity file of today.
func SignPopularity(c Config, o PopularityOptions) (PopularityInfo, error) {
	key, err := loadKey(c, o.Key, "popularity", rolePopularity)
	if err != nil {
		return PopularityInfo{}, err
	}
	info := PopularityInfo{File: o.Out, Date: c.now().UTC().Format(time.DateOnly), SignedBy: []string{key.Name}}
	var lists [2][]string
	for i, r := range []io.Reader{o.Popular, o.Shared} {
		if r == nil {
			continue
		}
		names, addresses, err := brake.ReadNames(r)
		if err != nil {
			return info, fault(CodeInput, err, "write one name a line, or rank,name; # begins a comment", "cannot use the %s names", []string{"popular", "shared"}[i])
		}
		lists[i], info.Addresses = names, info.Addresses+addresses
	}
	info.Popular, info.Shared = len(lists[0]), len(lists[1])
	if info.Popular+info.Shared == 0 {
		return info, sentence(CodeInput, nil, "check the files that are named", "there is not one name to sign")
	}
	b, err := brake.SignPopularity(lists[0], lists[1], c.now(), key.Name, key.private)
	if err == nil {
		err = writeFile(o.Out, b, 0o644)
	}
	if err != nil {
		return info, fault(CodeFailure, err, "name a place where you may write", "cannot write %s", o.Out)
	}
	return info, nil
}

// CheckPopularity verifies a popularity file. keys are lines of popularity.vkey files, or paths of such files.
func CheckPopularity(c Config, path string, keys ...string) (PopularityInfo, error) {
	keys, err := popularityKeys(keys)
	if err != nil {
		return PopularityInfo{}, err
	}
	p, err := loadPopularity(path, keys, c.now())
	if err != nil {
		return PopularityInfo{}, err
	}
	return popularityInfo(path, p, c.now()), nil
}

func popularityInfo(path string, p *brake.Popularity, now time.Time) PopularityInfo {
	n, m := p.Counts()
	return PopularityInfo{File: path, Date: p.Date().Format(time.DateOnly), Popular: n, Shared: m, SignedBy: p.Signers(), Note: p.Stale(now)}
}

func loadPopularity(path string, keys []string, now time.Time) (*brake.Popularity, error) {
	p, err := brake.LoadPopularity(path, keys, now)
	switch {
	case err == nil:
		return p, nil
	case errors.Is(err, brake.ErrSignature), errors.Is(err, brake.ErrNames):
		return nil, fault(CodeVerify, err, "give the popularity.vkey of who made the file with --key, or get the file again", "cannot trust %s", path)
	case errors.Is(err, brake.ErrPopularity):
		return nil, fault(CodeInput, err, "make it with: cordon-hotline popularity sign", "cannot use %s", path)
	}
	return nil, fault(CodeInput, err, "check the path", "cannot use %s", path)
}

// popularityKeys reads keys that are given as lines or as files.
func popularityKeys(given []string) ([]string, error) {
	var out []string
	for _, k := range given {
		if brake.CheckKey(k) != nil {
			b, err := readSmall(k)
			if err != nil {
				return nil, fault(CodeInput, err, "give --key the line of a popularity.vkey, or the path of that file", "%q is no popularity key", printable(k))
			}
			k = strings.TrimSpace(string(b))
		}
		if err := brake.CheckKey(k); err != nil {
			return nil, fault(CodeInput, err, "give --key the line of a popularity.vkey, or the path of that file", "cannot use a popularity key")
		}
		if !slices.Contains(out, k) {
			out = append(out, k)
		}
	}
	return out, nil
}

// UsePopularity takes a verified popularity file in: check and sign ask about its names from now on. Without keys it must be signed by
// one that signed the file in use.
func (h *Hotline) UsePopularity(path string, keys ...string) (PopularityInfo, error) {
	s, err := h.begin()
	if err != nil {
		return PopularityInfo{}, err
	}
	defer s.release()
	if keys, err = popularityKeys(keys); err != nil {
		return PopularityInfo{}, err
	}
	if len(keys) == 0 {
		if s.set.Popularity == nil {
			return PopularityInfo{}, sentence(CodeUsage, nil, "give the popularity.vkey of who made it with --key", "no popularity file is in use yet, so it must be said whose signature counts")
		}
		keys = s.set.Popularity.Keys
	}
	p, err := loadPopularity(path, keys, s.now)
	if err != nil {
		return PopularityInfo{}, err
	}
	if s.set.Popularity != nil {
		if old, err := s.popularity(); err == nil && p.Date().Before(old.Date()) {
			return PopularityInfo{}, sentence(CodeInput, nil, "name the newest file", "%s is of %s, the file in use of %s", path, p.Date().Format(time.DateOnly), old.Date().Format(time.DateOnly))
		}
	}
	s.set.Popularity = &PopularitySource{File: popularityFile, Keys: keys}
	err = placeFile(path, s.path(popularityFile), 0o600)
	if err == nil {
		err = writeJSON(s.path("hotline.json"), s.set, 0o644)
	}
	if err != nil {
		return PopularityInfo{}, fault(CodeFailure, err, "check the disk", "cannot take %s in", path)
	}
	return popularityInfo(s.path(popularityFile), p, s.now), nil
}

// popularity is the file in use, verified again; nil when there is none. Where it should be and is not, nothing is signed.
func (s *session) popularity() (*brake.Popularity, error) {
	src := s.set.Popularity
	if src == nil {
		return nil, nil
	}
	if filepath.Base(src.File) != src.File || len(src.Keys) == 0 {
		return nil, sentence(CodeInput, nil, "take the file in again with: popularity use", "the popularity file in %s is not one of this directory, or has no key", s.path("hotline.json"))
	}
	if _, err := os.Stat(s.path(src.File)); err != nil {
		return nil, fault(CodeInput, err, "take it in again with: popularity use", "the popularity file is gone")
	}
	return loadPopularity(s.path(src.File), src.Keys, s.now)
}
