package trust

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"
)

// Reading without believing. Whoever fetches a repository has to know which file comes next before it can verify any of them, and
// people who sign want to see what they sign. The functions below check the form and nothing else: never act on their result.

// Description is what a metadata file of any role says about itself.
type Description struct {
	Type    string // root, timestamp, snapshot or targets
	Version int64
	Expires time.Time
	Signers []string // key ids of the signatures there are, ascending
	SHA256  [32]byte // of the signed part, which is what people compare before they sign
}

// Describe reads the head of a metadata file of any role. Unverified.
func Describe(b []byte) (Description, error) {
	env, err := readEnvelope(b)
	if err != nil {
		return Description{}, fmt.Errorf("describe metadata: %w", err)
	}
	f := object("metadata", env.signed)
	d := Description{Type: f.str("_type"), Version: f.int("version", 1, maxNumber), Expires: f.time("expires"), SHA256: sha256.Sum256(env.signedBytes)}
	if f.err != nil {
		return Description{}, fmt.Errorf("describe metadata: %w", f.err)
	}
	for _, s := range env.signatures {
		d.Signers = append(d.Signers, s.KeyID)
	}
	slices.Sort(d.Signers)
	return d, nil
}

// ReadRoot gives the spec that a root.json was built from, so that the next root can be derived from it. Unverified.
func ReadRoot(b []byte) (RootSpec, error) {
	d, err := readRoot(b)
	if err != nil {
		return RootSpec{}, err
	}
	s := RootSpec{Version: d.version, Expires: d.expires, Development: d.development}
	for name, role := range map[string]*Role{metadata.ROOT: &s.Root, metadata.TARGETS: &s.Targets, metadata.SNAPSHOT: &s.Snapshot, metadata.TIMESTAMP: &s.Timestamp} {
		*role = d.roles[name].role()
	}
	return s, nil
}

func (r roleDoc) role() Role {
	out := Role{Threshold: r.threshold}
	for _, pub := range r.keys {
		out.Keys = append(out.Keys, pub)
	}
	out.Keys = sortedKeys(out.Keys)
	return out
}

// ReadTargets gives the spec of a top-level targets.json but for the charter's bytes, and where the charter is. Unverified.
func ReadTargets(b []byte) (s TargetsSpec, charter File, err error) {
	d, err := readTargets(b)
	if err != nil {
		return TargetsSpec{}, File{}, err
	}
	i := indexTarget(d.targets, CharterPath)
	if i < 0 || len(d.delegations) != 1 {
		return TargetsSpec{}, File{}, fmt.Errorf("read targets: %w: no %s, or not one delegation", ErrPath, CharterPath)
	}
	return TargetsSpec{Version: d.version, Expires: d.expires, Officers: d.delegations[0].role()}, d.targets[i].File, nil
}

// ReadList gives the spec of a hotline's list role. Unverified.
func ReadList(b []byte, h HotlineID) (ListSpec, error) {
	d, err := readTargets(b)
	if err != nil {
		return ListSpec{}, err
	}
	lists, err := d.lists(h)
	if err != nil {
		return ListSpec{}, fmt.Errorf("read list role: %w", err)
	}
	return ListSpec{Hotline: h, Version: d.version, Expires: d.expires, Lists: lists}, nil
}

// ReadTimestamp gives the snapshot version that a timestamp.json names. Unverified.
func ReadTimestamp(b []byte) (snapshot int64, err error) {
	d, err := readMeta(b, metadata.TIMESTAMP, timestampNames)
	if err != nil {
		return 0, err
	}
	return d.files[timestampNames[0]].version, nil
}

// ReadSnapshot gives the versions of the targets role and of the hotline's list role that a snapshot.json names. Unverified.
func ReadSnapshot(b []byte, h HotlineID) (targets, list int64, err error) {
	names := snapshotNames(h)
	d, err := readMeta(b, metadata.SNAPSHOT, names)
	if err != nil {
		return 0, 0, err
	}
	return d.files[names[0]].version, d.files[names[1]].version, nil
}
