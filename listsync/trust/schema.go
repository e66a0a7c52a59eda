package trust

import (
	"crypto/ed25519"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"
)

// What the four kinds of TUF metadata may look like, field by field. The read functions say whether bytes have the form at all,
// and make sure that nothing they let through can crash go-tuf (a null, a missing entry, a key of another length). The check
// methods say whether the content keeps our rules; Verify calls them after the signatures, so that garbage is called unsigned.

const (
	maxFile       = 64 << 10 // one metadata file, the pinned root included
	maxSignatures = 16
	maxKeys       = 64 // in one file: 5 + 3 + a few online ones, or the officers
	maxRoleKeys   = 16
	maxTargets    = 256 // in one file: lists, auditor lists and wrapped keys

	// Minima: go-tuf itself accepts a threshold of 1.
	minRootThreshold    = 3
	minTargetsThreshold = 2
	minListThreshold    = 2
	minListKeys         = 3

	developmentField = "x-cordon-development"
	extraPrefix      = "x-cordon-" // fields of ours; no other unknown field is let through
)

var (
	timestampNames = []string{"snapshot.json"}
	rootRoles      = []string{metadata.ROOT, metadata.SNAPSHOT, metadata.TARGETS, metadata.TIMESTAMP}
)

// envelope is a metadata file of any role: its signatures and the signed part, also as the very bytes that were signed.
type envelope struct {
	signatures  []Signature
	signed      *value
	signedBytes []byte
}

// roleDoc is who may sign for a role.
type roleDoc struct {
	threshold int
	keys      map[string]ed25519.PublicKey // by key id
}

type header struct {
	envelope
	version int64
	expires time.Time
}

type rootDoc struct {
	header
	roles       map[string]roleDoc
	keys        map[string]ed25519.PublicKey
	development bool
}

type targetDoc struct {
	File
	of     string // "target 3", for messages
	custom *value // nil if there is none
}

type delegationDoc struct {
	roleDoc
	name        string
	terminating bool
	paths       []string
}

type targetsDoc struct {
	header
	targets     []targetDoc // ascending by path
	delegated   bool        // there is a delegations object
	delegations []delegationDoc
	keys        map[string]ed25519.PublicKey
}

type metaDoc struct {
	header
	files map[string]metaEntry
}

type metaEntry struct {
	version, length int64
	sha256          [32]byte
}

// readEnvelope reads the outer form of a metadata file of any role.
func readEnvelope(b []byte) (envelope, error) {
	if len(b) > maxFile {
		return envelope{}, fmt.Errorf("%w: metadata file of %d bytes, at most %d", ErrTooLarge, len(b), maxFile)
	}
	v, err := parseCanonical(b)
	if err != nil {
		return envelope{}, err
	}
	var env envelope
	f := object("metadata", v)
	env.signed = f.get("signed", kindObject)
	env.signedBytes = env.signed.raw
	sigs := f.get("signatures", kindArray).items
	if err := f.end(); err != nil {
		return envelope{}, err
	}
	if len(sigs) > maxSignatures {
		return envelope{}, fmt.Errorf("%w: %d signatures, at most %d", ErrTooLarge, len(sigs), maxSignatures)
	}
	for _, s := range sigs {
		f := object("signature", s)
		sig := Signature{KeyID: f.str("keyid"), Sig: f.hex("sig", ed25519.SignatureSize)}
		f.hex("keyid", 32)
		if err := f.end(); err != nil {
			return envelope{}, err
		}
		if slices.ContainsFunc(env.signatures, func(have Signature) bool { return have.KeyID == sig.KeyID }) {
			return envelope{}, fmt.Errorf("%w: two signatures of one key", ErrFormat)
		}
		env.signatures = append(env.signatures, sig)
	}
	return env, nil
}

// readHeader reads what all signed parts begin with.
func readHeader(b []byte, role string) (header, *fields, error) {
	env, err := readEnvelope(b)
	if err != nil {
		return header{}, nil, fmt.Errorf("read %s: %w", role, err)
	}
	f := object(role, env.signed)
	f.is("_type", role)
	if v := f.str("spec_version"); f.err == nil && !strings.HasPrefix(v, "1.0.") {
		f.fail("spec_version (%d bytes) is not 1.0.x", len(v))
	}
	h := header{envelope: env, version: f.int("version", 1, maxNumber), expires: f.time("expires")}
	return h, f, f.err
}

func readRoot(b []byte) (rootDoc, error) {
	h, f, err := readHeader(b, metadata.ROOT)
	if err != nil {
		return rootDoc{}, err
	}
	d := rootDoc{header: h, roles: map[string]roleDoc{}}
	if !f.bool("consistent_snapshot") {
		f.fail("consistent_snapshot is not true")
	}
	d.keys = readKeys(f)
	f.each("roles", len(rootRoles), func(name string, v *value) error {
		if !slices.Contains(rootRoles, name) {
			return fmt.Errorf("%w: root has an unknown role (%d bytes)", ErrFormat, len(name))
		}
		r := object("role "+name, v)
		d.roles[name] = readRole(r, d.keys)
		return r.end()
	})
	if f.err == nil && len(d.roles) != len(rootRoles) {
		f.fail("has %d roles, want %d", len(d.roles), len(rootRoles))
	}
	if f.has(developmentField) {
		d.development = f.bool(developmentField)
	}
	return d, f.end(extraPrefix)
}

// readKeys reads a map of key id to Ed25519 key.
func readKeys(f *fields) map[string]ed25519.PublicKey {
	keys := map[string]ed25519.PublicKey{}
	f.each("keys", maxKeys, func(id string, v *value) error {
		k := object("key", v)
		keytype, scheme := k.str("keytype"), k.str("scheme")
		val := k.get("keyval", kindObject)
		if err := k.end(); err != nil {
			return err
		}
		if keytype != metadata.KeyTypeEd25519 || scheme != metadata.KeySchemeEd25519 {
			return fmt.Errorf("%w: %s holds a key of another type or scheme than ed25519", ErrKeyRoles, f.of)
		}
		k = object("keyval", val)
		pub := ed25519.PublicKey(k.hex("public", ed25519.PublicKeySize))
		if err := k.end(); err != nil {
			return err
		}
		if KeyID(pub) != id {
			return fmt.Errorf("%w: %s holds a key under an id (%d bytes) that is not its own", ErrKeyRoles, f.of, len(id))
		}
		keys[id] = pub
		return nil
	})
	return keys
}

// readRole reads keyids and threshold; every id must be in keys and none twice.
func readRole(f *fields, keys map[string]ed25519.PublicKey) roleDoc {
	r := roleDoc{threshold: int(f.int("threshold", 1, maxRoleKeys)), keys: map[string]ed25519.PublicKey{}}
	for i, id := range f.strings("keyids", 1, maxRoleKeys) {
		pub, ok := keys[id]
		if _, twice := r.keys[id]; f.err == nil && (!ok || twice) {
			f.err = fmt.Errorf("%w: %s names key %d twice, or without its public key", ErrKeyRoles, f.of, i+1)
		}
		r.keys[id] = pub
	}
	return r
}

// check holds root to the minima and each key to one role.
func (d rootDoc) check() error {
	for name, least := range map[string]int{metadata.ROOT: minRootThreshold, metadata.TARGETS: minTargetsThreshold, metadata.SNAPSHOT: 1, metadata.TIMESTAMP: 1} {
		if err := d.roles[name].check("role "+name, least); err != nil {
			return err
		}
	}
	used := map[string]string{}
	for _, name := range rootRoles {
		for id := range d.roles[name].keys {
			if other, twice := used[id]; twice {
				return fmt.Errorf("%w: key %s signs for %s and for %s", ErrKeyRoles, id, other, name)
			}
			used[id] = name
		}
	}
	if len(used) != len(d.keys) {
		return fmt.Errorf("%w: root has %d keys, %d of them in roles", ErrKeyRoles, len(d.keys), len(used))
	}
	return nil
}

// sameOnline reports that two roots name the same keys for timestamp and for snapshot.
func (d rootDoc) sameOnline(o rootDoc) bool {
	same := func(role string) bool {
		return maps.EqualFunc(d.roles[role].keys, o.roles[role].keys, func(a, b ed25519.PublicKey) bool { return a.Equal(b) })
	}
	return same(metadata.TIMESTAMP) && same(metadata.SNAPSHOT)
}

func (r roleDoc) check(of string, least int) error {
	if r.threshold < least {
		return fmt.Errorf("%w: %s has the threshold %d, want at least %d", ErrMinimum, of, r.threshold, least)
	}
	if len(r.keys) < r.threshold {
		return fmt.Errorf("%w: %s has %d keys for a threshold of %d", ErrMinimum, of, len(r.keys), r.threshold)
	}
	return nil
}

// readTargets reads a targets file, the top-level one or the hotline's.
func readTargets(b []byte) (targetsDoc, error) {
	h, f, err := readHeader(b, metadata.TARGETS)
	if err != nil {
		return targetsDoc{}, err
	}
	d := targetsDoc{header: h}
	f.each("targets", maxTargets, func(path string, v *value) error {
		t, err := readTarget(fmt.Sprintf("target %d", len(d.targets)+1), path, v)
		d.targets = append(d.targets, t)
		return err
	})
	if f.has("delegations") {
		d.delegated = true
		d.keys, d.delegations, err = readDelegations(f.get("delegations", kindObject))
		if f.err == nil {
			f.err = err
		}
	}
	return d, f.end(extraPrefix)
}

func readTarget(of, path string, v *value) (targetDoc, error) {
	if !plainText(path, 256) {
		return targetDoc{}, fmt.Errorf("%w: %s has a path of %d bytes, want 1 to 256", ErrFormat, of, len(path))
	}
	f := object(of, v)
	t := targetDoc{of: of, File: File{Path: path, Length: f.int("length", 0, maxNumber), SHA256: readHashes(f)}}
	if f.has("custom") {
		t.custom = f.get("custom", kindObject)
	}
	return t, f.end()
}

// readHashes reads the hashes of a file: SHA-256 and nothing else.
func readHashes(f *fields) (sum [32]byte) {
	h := object(f.of+" hashes", f.get("hashes", kindObject))
	if f.err == nil {
		copy(sum[:], h.hex("sha256", len(sum)))
		f.err = h.end()
	}
	return sum
}

func readDelegations(v *value) (map[string]ed25519.PublicKey, []delegationDoc, error) {
	f := object("delegations", v)
	if f.has("succinct_roles") {
		return nil, nil, fmt.Errorf("%w: delegations by hash", ErrPath)
	}
	keys := readKeys(f)
	roles := f.get("roles", kindArray).items
	if err := f.end(); err != nil {
		return nil, nil, err
	}
	if len(roles) > maxRoleKeys {
		return nil, nil, fmt.Errorf("%w: %d delegations", ErrTooLarge, len(roles))
	}
	var out []delegationDoc
	for _, item := range roles {
		f := object("delegation", item)
		if f.has("path_hash_prefixes") {
			return nil, nil, fmt.Errorf("%w: delegation by path hash", ErrPath)
		}
		d := delegationDoc{roleDoc: readRole(f, keys), name: f.str("name"), terminating: f.bool("terminating"), paths: f.strings("paths", 0, maxRoleKeys)}
		if err := f.end(); err != nil {
			return nil, nil, err
		}
		out = append(out, d)
	}
	return keys, out, nil
}

// check holds the accreditation to its one target and one delegation.
func (d targetsDoc) check(hotline HotlineID) error {
	if len(d.targets) != 1 || d.targets[0].Path != CharterPath || d.targets[0].custom != nil {
		return fmt.Errorf("%w: targets.json may hold %s and nothing else", ErrPath, CharterPath)
	}
	if len(d.delegations) != 1 {
		return fmt.Errorf("%w: targets.json has %d delegations, want 1", ErrPath, len(d.delegations))
	}
	role := d.delegations[0]
	if role.name != RoleName(hotline) || !role.terminating || !slices.Equal(role.paths, []string{delegatedPattern(hotline)}) {
		return fmt.Errorf("%w: the delegation is not %s of %s, terminating", ErrPath, RoleName(hotline), delegatedPattern(hotline))
	}
	if err := role.roleDoc.check("role "+role.name, minListThreshold); err != nil {
		return err
	}
	if len(role.keys) < minListKeys {
		return fmt.Errorf("%w: role %s has %d keys, want at least %d", ErrMinimum, role.name, len(role.keys), minListKeys)
	}
	if len(role.keys) != len(d.keys) {
		return fmt.Errorf("%w: targets.json has %d keys, %d of them delegated to", ErrKeyRoles, len(d.keys), len(role.keys))
	}
	return nil
}

// readMeta reads snapshot.json or timestamp.json. names are the files it must speak of; nil leaves that open.
func readMeta(b []byte, role string, names []string) (metaDoc, error) {
	h, f, err := readHeader(b, role)
	if err != nil {
		return metaDoc{}, err
	}
	d := metaDoc{header: h, files: map[string]metaEntry{}}
	f.each("meta", maxRoleKeys, func(name string, v *value) error {
		m := object(role+" meta", v)
		e := metaEntry{version: m.int("version", 1, maxNumber), length: m.int("length", 1, maxFile), sha256: readHashes(m)}
		d.files[name] = e
		return m.end()
	})
	if err := f.end(extraPrefix); err != nil {
		return metaDoc{}, err
	}
	if names != nil {
		return d, d.check(role, names)
	}
	return d, nil
}

// check demands that the file speaks of exactly names: one that says nothing of a file would let any version of it in.
func (d metaDoc) check(role string, names []string) error {
	for _, n := range names {
		if _, ok := d.files[n]; !ok {
			return fmt.Errorf("%w: %s says nothing of %s", ErrFormat, role, n)
		}
	}
	if len(d.files) != len(names) {
		return fmt.Errorf("%w: %s speaks of %d files, want %d", ErrFormat, role, len(d.files), len(names))
	}
	return nil
}

func snapshotNames(hotline HotlineID) []string {
	return []string{"targets.json", RoleName(hotline) + ".json"}
}
