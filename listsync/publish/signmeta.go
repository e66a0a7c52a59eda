package publish

import (
	"fmt"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/cordon-project/cordon/listsync/trust"
)

// FileSigned says how far a metadata file is signed.
type FileSigned struct {
	File  string `json:"file"`
	Have  int    `json:"have"`
	Need  int    `json:"need"`
	Again bool   `json:"again"` // this key had signed before
	// Of a root that names other keys, or another threshold, than the root before it: signatures of the keys before. 0 of 0 else.
	HaveBefore int `json:"have_before"`
	NeedBefore int `json:"need_before"`
}

// SignMetadata adds the signature of the authority key in keyDir to each file: a root key signs N.root.json (a key of today and, where
// keys have changed, one of the root before), an accreditation key N.targets.json (the newest N.root.json beside it says who may). A
// file is replaced whole; signing twice changes nothing.
func SignMetadata(c Config, keyDir string, files ...string) ([]FileSigned, error) {
	role := roleRoot
	if exists(filepath.Join(keyDir, roleAccreditation+".key")) {
		role = roleAccreditation
	}
	key, err := loadKey(c, keyDir, role, role)
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
	by, err := signersOf(path, e)
	if err != nil {
		return FileSigned{}, err
	}
	if key.Role != by[0].kind {
		return FileSigned{}, sentence(CodeInput, nil, fmt.Sprintf("sign it with a key of DIR/%s-1, %s-2, ...", by[0].kind, by[0].kind), "%s is signed by %s keys, and this is %s key", path, by[0].kind, article(key.Role))
	}
	if !slices.ContainsFunc(by, func(s signers) bool { return slices.Contains(s.role.KeyIDs, key.KeyID) }) {
		return FileSigned{}, sentence(CodeInput, nil, "use a key of the authority that wrote the file", "key %q is not one of those that sign %s", key.Name, path)
	}
	f := FileSigned{File: path, Again: slices.ContainsFunc(by, func(s signers) bool { return slices.Contains(e.signers(s.role, s.keys), key.KeyID) })}
	if !f.Again {
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
	f.Have, f.Need = len(e.signers(by[0].role, by[0].keys)), by[0].role.Threshold
	if len(by) > 1 {
		f.HaveBefore, f.NeedBefore = len(e.signers(by[1].role, by[1].keys)), by[1].role.Threshold
	}
	return f, nil
}

// signers are people of whom a threshold must sign.
type signers struct {
	kind string // of the keys: root or accreditation
	role tufRole
	keys map[string]tufKey
}

// signersOf says who signs a file: its own role first; of a root that changes the keys then those of the root before.
func signersOf(path string, e *envelope) ([]signers, error) {
	dir := filepath.Dir(path)
	root := func(version int64) (*envelope, error) {
		r, _, err := readEnvelope(filepath.Join(dir, strconv.FormatInt(version, 10)+".root.json"), "root")
		if err != nil {
			return nil, fault(CodeInput, err, "keep all root files of the hotline beside each other", "cannot tell who signs %s", path)
		}
		return r, nil
	}
	switch e.head.Type {
	case "root":
		own := signers{roleRoot, e.head.Roles["root"], e.head.Keys}
		if e.head.Version == 1 {
			return []signers{own}, nil
		}
		before, err := root(e.head.Version - 1)
		if err != nil {
			return nil, err
		}
		then := signers{roleRoot, before.head.Roles["root"], before.head.Keys}
		if own.role.same(then.role) {
			return []signers{own}, nil
		}
		return []signers{own, then}, nil
	case "targets":
		r, err := root(latest(dir, ".root.json"))
		if err != nil {
			return nil, err
		}
		return []signers{{roleAccreditation, r.head.Roles["targets"], r.head.Keys}}, nil
	}
	return nil, sentence(CodeInput, nil, "name N.root.json or N.targets.json", "an authority does not sign %s (%s)", path, printable(e.head.Type))
}

// same reports the same keys and threshold.
func (r tufRole) same(o tufRole) bool {
	a, b := slices.Sorted(slices.Values(r.KeyIDs)), slices.Sorted(slices.Values(o.KeyIDs))
	return r.Threshold == o.Threshold && slices.Equal(a, b)
}
