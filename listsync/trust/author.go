package trust

import (
	"bytes"
	"cmp"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"
)

// Role is who may sign for a role and how many of them must.
type Role struct {
	Threshold int
	Keys      []ed25519.PublicKey
}

// RootSpec is what a root.json says. Root and Targets are the authority's keys (root and accreditation), Snapshot and Timestamp
// the hotline service's online keys. Expires is cut to whole seconds.
type RootSpec struct {
	Version                            int64
	Expires                            time.Time
	Root, Targets, Snapshot, Timestamp Role
	Development                        bool // marks a throw-away authority: production nodes refuse it
}

// TargetsSpec is what the top-level targets.json (the accreditation) says: the bytes of charter.json and the hotline's officers.
type TargetsSpec struct {
	Version  int64
	Expires  time.Time
	Charter  []byte // as ParseCharter accepts it; the hotline's id is taken from it
	Officers Role
}

// ListSpec is what the hotline's delegated role csam-<hotline>.json says: the lists in force, one version each.
type ListSpec struct {
	Hotline HotlineID
	Version int64
	Expires time.Time
	Lists   []ListTarget
}

// NewRoot builds the unsigned root.json of s. Same spec, same bytes. It refuses what Verify would refuse (ErrMinimum, ErrKeyRoles,
// ErrFormat). Sign it with at least Root.Threshold keys of this root and, from version 2 on, of the root before it.
func NewRoot(s RootSpec) ([]byte, error) {
	m := metadata.Root(wholeSecond(s.Expires))
	m.Signed.Version = s.Version
	for name, role := range map[string]Role{metadata.ROOT: s.Root, metadata.TARGETS: s.Targets, metadata.SNAPSHOT: s.Snapshot, metadata.TIMESTAMP: s.Timestamp} {
		m.Signed.Roles[name].Threshold = role.Threshold
		for _, pub := range sortedKeys(role.Keys) {
			if err := m.Signed.AddKey(tufKey(pub), name); err != nil {
				return nil, fmt.Errorf("build root: %w", err)
			}
		}
	}
	if s.Development {
		m.Signed.UnrecognizedFields = map[string]any{developmentField: true}
	}
	b, err := m.ToBytes(false)
	if err != nil {
		return nil, fmt.Errorf("build root: %w", err)
	}
	doc, err := readRoot(b)
	if err == nil {
		err = doc.check()
	}
	if err != nil {
		return nil, fmt.Errorf("build root: %w", err)
	}
	return b, nil
}

// NewTargets builds the unsigned top-level targets.json of s: the one target charter.json and the one delegation
// csam/<hotline>/*. Same spec, same bytes. Sign it with at least two accreditation keys.
func NewTargets(s TargetsSpec) ([]byte, error) {
	charter, err := ParseCharter(s.Charter)
	if err != nil {
		return nil, fmt.Errorf("build targets: %w", err)
	}
	m := metadata.Targets(wholeSecond(s.Expires))
	m.Signed.Version = s.Version
	m.Signed.Targets[CharterPath] = targetFile(int64(len(s.Charter)), sha256.Sum256(s.Charter), nil)
	role := metadata.DelegatedRole{
		Name: RoleName(charter.Hotline), KeyIDs: []string{}, Threshold: s.Officers.Threshold,
		Terminating: true, Paths: []string{delegatedPattern(charter.Hotline)},
	}
	m.Signed.Delegations = &metadata.Delegations{Keys: map[string]*metadata.Key{}, Roles: []metadata.DelegatedRole{role}}
	for _, pub := range sortedKeys(s.Officers.Keys) {
		if err := m.Signed.AddKey(tufKey(pub), role.Name); err != nil {
			return nil, fmt.Errorf("build targets: %w", err)
		}
	}
	b, err := m.ToBytes(false)
	if err != nil {
		return nil, fmt.Errorf("build targets: %w", err)
	}
	doc, err := readTargets(b)
	if err == nil {
		err = doc.check(charter.Hotline)
	}
	if err != nil {
		return nil, fmt.Errorf("build targets: %w", err)
	}
	return b, nil
}

// NewList builds the unsigned csam-<hotline>.json of s. Edge, Audit, Deltas and Keys of each list carry path, length and SHA-256 of the
// files; paths must be those of EdgePath, AuditPath, DeltaPath and KeysPath. Same spec, same bytes. Sign it with at least two officers.
func NewList(s ListSpec) ([]byte, error) {
	m := metadata.Targets(wholeSecond(s.Expires))
	m.Signed.Version = s.Version
	for _, l := range s.Lists {
		custom, err := encodeCustom(l)
		if err != nil {
			return nil, fmt.Errorf("build list %s: %w", l.List, err)
		}
		m.Signed.Targets[l.Edge.Path] = targetFile(l.Edge.Length, l.Edge.SHA256, custom)
		m.Signed.Targets[l.Audit.Path] = targetFile(l.Audit.Length, l.Audit.SHA256, nil)
		for _, d := range l.Deltas {
			m.Signed.Targets[d.Path] = targetFile(d.Length, d.SHA256, nil)
		}
		for _, k := range l.Keys {
			m.Signed.Targets[k.Path] = targetFile(k.Length, k.SHA256, nil)
		}
	}
	b, err := m.ToBytes(false)
	if err != nil {
		return nil, fmt.Errorf("build list: %w", err)
	}
	doc, err := readTargets(b)
	if err == nil {
		_, err = doc.lists(s.Hotline)
	}
	if err != nil {
		return nil, fmt.Errorf("build list: %w", err)
	}
	return b, nil
}

// NewSnapshot builds the unsigned snapshot.json that pins the signed bytes of targets.json and of the hotline's list role by
// version, length and SHA-256: a signature added to either later needs a new snapshot.
func NewSnapshot(version int64, expires time.Time, hotline HotlineID, targets, list []byte) ([]byte, error) {
	t, err := readTargets(targets)
	if err != nil {
		return nil, fmt.Errorf("build snapshot: %w", err)
	}
	l, err := readTargets(list)
	if err != nil {
		return nil, fmt.Errorf("build snapshot: %w", err)
	}
	m := metadata.Snapshot(wholeSecond(expires))
	m.Signed.Version = version
	m.Signed.Meta = map[string]*metadata.MetaFiles{
		"targets.json":              metaFile(t.version, targets),
		RoleName(hotline) + ".json": metaFile(l.version, list),
	}
	b, err := m.ToBytes(false)
	if err != nil {
		return nil, fmt.Errorf("build snapshot: %w", err)
	}
	if _, err := readMeta(b, metadata.SNAPSHOT, snapshotNames(hotline)); err != nil {
		return nil, fmt.Errorf("build snapshot: %w", err)
	}
	return b, nil
}

// NewTimestamp builds the unsigned timestamp.json that pins the signed bytes of snapshot.json. It may live at most
// MaxTimestampLife: that is how long a mirror can freeze an operator.
func NewTimestamp(version int64, expires time.Time, snapshot []byte) ([]byte, error) {
	s, err := readMeta(snapshot, metadata.SNAPSHOT, nil)
	if err != nil {
		return nil, fmt.Errorf("build timestamp: %w", err)
	}
	m := metadata.Timestamp(wholeSecond(expires))
	m.Signed.Version = version
	m.Signed.Meta = map[string]*metadata.MetaFiles{"snapshot.json": metaFile(s.version, snapshot)}
	b, err := m.ToBytes(false)
	if err != nil {
		return nil, fmt.Errorf("build timestamp: %w", err)
	}
	if _, err := readMeta(b, metadata.TIMESTAMP, timestampNames); err != nil {
		return nil, fmt.Errorf("build timestamp: %w", err)
	}
	return b, nil
}

// Sign adds the signature of key to the metadata file b (of any role) and returns the new file; signatures of other keys stay, an
// older one of the same key is replaced. key may be any crypto.Signer with an Ed25519 public key, so also a PKCS#11 token. The
// order in which people sign does not change the bytes.
func Sign(b []byte, key crypto.Signer) ([]byte, error) {
	pub, ok := key.Public().(ed25519.PublicKey)
	if !ok {
		return nil, fmt.Errorf("sign metadata: %w: want an Ed25519 key, got %T", ErrKeyRoles, key.Public())
	}
	env, err := readEnvelope(b)
	if err != nil {
		return nil, fmt.Errorf("sign metadata: %w", err)
	}
	sig, err := key.Sign(rand.Reader, env.signedBytes, crypto.Hash(0))
	if err != nil {
		return nil, fmt.Errorf("sign metadata: %w", err)
	}
	if !ed25519.Verify(pub, env.signedBytes, sig) {
		return nil, fmt.Errorf("sign metadata: %w: the signer's own signature does not verify", ErrSignature)
	}
	id := KeyID(pub)
	sigs := slices.DeleteFunc(slices.Clone(env.signatures), func(s Signature) bool { return s.KeyID == id })
	sigs = append(sigs, Signature{KeyID: id, Sig: sig})
	slices.SortFunc(sigs, func(a, b Signature) int { return cmp.Compare(a.KeyID, b.KeyID) })
	return assemble(sigs, env.signedBytes)
}

// assemble writes the one form of a metadata file: canonical JSON of signatures and the signed part.
func assemble(sigs []Signature, signed []byte) ([]byte, error) {
	if len(sigs) > maxSignatures {
		return nil, fmt.Errorf("%w: %d signatures, at most %d", ErrTooLarge, len(sigs), maxSignatures)
	}
	var out bytes.Buffer
	out.WriteString(`{"signatures":[`)
	for i, s := range sigs {
		if i > 0 {
			out.WriteByte(',')
		}
		fmt.Fprintf(&out, `{"keyid":"%s","sig":"%x"}`, s.KeyID, s.Sig)
	}
	out.WriteString(`],"signed":`)
	out.Write(signed)
	out.WriteByte('}')
	return out.Bytes(), nil
}

// KeyID is the TUF key id of an Ed25519 public key: hex SHA-256 of its canonical JSON form. It panics if pub is not 32 bytes.
func KeyID(pub ed25519.PublicKey) string {
	if len(pub) != ed25519.PublicKeySize {
		panic("trust: public key is not 32 bytes")
	}
	sum := sha256.Sum256(fmt.Appendf(nil, `{"keytype":"ed25519","keyval":{"public":"%x"},"scheme":"ed25519"}`, []byte(pub)))
	return hex.EncodeToString(sum[:])
}

func tufKey(pub ed25519.PublicKey) *metadata.Key {
	return &metadata.Key{Type: metadata.KeyTypeEd25519, Scheme: metadata.KeySchemeEd25519, Value: metadata.KeyVal{PublicKey: hex.EncodeToString(pub)}}
}

// sortedKeys makes the order in which an author lists keys irrelevant for the bytes.
func sortedKeys(keys []ed25519.PublicKey) []ed25519.PublicKey {
	keys = slices.Clone(keys)
	slices.SortFunc(keys, func(a, b ed25519.PublicKey) int { return bytes.Compare(a, b) })
	return keys
}

func targetFile(length int64, sum [32]byte, custom []byte) *metadata.TargetFiles {
	t := metadata.TargetFile()
	t.Length = length
	t.Hashes["sha256"] = sum[:]
	if custom != nil {
		raw := json.RawMessage(custom)
		t.Custom = &raw
	}
	return t
}

func metaFile(version int64, b []byte) *metadata.MetaFiles {
	sum := sha256.Sum256(b)
	return &metadata.MetaFiles{Version: version, Length: int64(len(b)), Hashes: metadata.Hashes{"sha256": sum[:]}}
}

func wholeSecond(t time.Time) time.Time { return t.UTC().Truncate(time.Second) }
