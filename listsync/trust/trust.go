// Package trust decides whether bytes of a hotline may be believed, at a given time.
//
// In come the metadata of one hotline's TUF repository (five kinds of signed JSON and the charter), a pinned root and what was
// trusted before. Out comes Verified: the charter, the lists the hotline's officers signed, and new high-water marks; or an error
// that names one reason of a closed set. It promises that nothing gets through that is not signed by a threshold of officers whom
// an accreditation authority has delegated csam/<hotline>/* and nothing else, under a charter whose one scope is csam (P1); that
// versions never go back (P7); and that the same input gives the same result on every machine (P12): no clock, no disk, no
// network, no randomness in verification.
//
// The package also holds the other things a hotline signs or seals: withdrawal statements and the keys of a list's epoch. The
// signing side (author.go) builds the same metadata. KEYS.md says who holds which key and gives test vectors.
//
// All functions may be called concurrently. Inputs are not changed and not kept, unless a comment says so.
package trust

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"
	"github.com/theupdateframework/go-tuf/v2/metadata/trustedmetadata"
)

const (
	// MaxRootSteps is how many new roots one Verify follows. A reader that keeps a chain (Roots) takes as many steps again each
	// time it accepts something, up to MaxRoots.
	MaxRootSteps = 8

	// MaxTimestampLife is how far ahead a timestamp may expire: a mirror that withholds everything newer, or a thief of the
	// online keys, can freeze an operator so long and no longer. A day is normal; the rest lets a hotline's service be down
	// over a week's holiday.
	MaxTimestampLife = 8 * 24 * time.Hour
)

// Officers are the hotline's list keys as the accreditation names them.
type Officers struct {
	Threshold int
	Keys      []OfficerKey // ascending by id
}

// OfficerKey is one officer's public key and its TUF key id.
type OfficerKey struct {
	ID     string
	Public ed25519.PublicKey
}

// Verified is what Verify found to be true at the time it was asked about. The caller owns it.
type Verified struct {
	Hotline     HotlineID
	Charter     Charter
	CharterHash [32]byte
	Lists       []ListTarget // ascending by list
	High        HighWater    // what the next Verify must not fall below
	Root        []byte       // the latest root of the chain: may be pinned from now on
	Officers    Officers
	Expires     time.Time // the earliest expiry of anything this rests on
	Development bool      // the authority is a throw-away one
	Restarted   bool      // the roots brought new online keys: timestamp and snapshot versions count anew
}

// Production returns ErrDevelopment if the authority is a throw-away one: control nodes and edges outside of cordon dev must
// refuse it.
func (v *Verified) Production() error {
	if v.Development {
		return fmt.Errorf("hotline %s: %w", v.Hotline, ErrDevelopment)
	}
	return nil
}

// CheckCanon returns ErrCanon, naming the list, if a list was made for other canonicalisation rules than this program's: names
// would not be found in it as they were meant. Ask it of lists that are not in force yet, see ListTarget.CheckCanon.
func (v *Verified) CheckCanon() error {
	for _, l := range v.Lists {
		if err := l.CheckCanon(); err != nil {
			return err
		}
	}
	return nil
}

// Verify checks everything a hotline published against the pinned root, at the time now, and against what was trusted before.
// pinnedRoot is trusted as it is; m.Roots lead from it to the root in force (roots up to its version are passed over). high is the
// zero value at the first call for a hotline, later Verified.High; its timestamp and snapshot count only while the online keys stay, so
// give it together with the newest root trusted. Every refusal wraps exactly one sentinel of this package, see
// Reason; the order of checks is fixed, so every machine gives the same one.
//
// Content under a version that high already has is not compared with what was there before: callers compare Metadata.Hash.
//
// Nothing here depends on the build: which canonicalisation rules a list was made for is reported (ListTarget.CanonID) and not
// compared with our own, else a node could not read its own past after an update. CheckCanon does that for new lists.
//
// An error quotes no text of the input, since refusals end in a public log: what a stranger wrote would stay there for ever.
func Verify(pinnedRoot []byte, high HighWater, m Metadata, now time.Time) (*Verified, error) {
	if err := m.check(); err != nil {
		return nil, fmt.Errorf("verify metadata: %w", err)
	}
	p, err := Pin(pinnedRoot)
	if err != nil {
		return nil, err
	}
	return p.chain(now).verify(high, m)
}

func (c *chain) verify(high HighWater, m Metadata) (*Verified, error) {
	before := c.root
	if err := c.roots(m.Roots); err != nil {
		return nil, fmt.Errorf("verify root: %w", err)
	}
	// Whoever stole an online key may have signed versions far ahead of the hotline's. New keys end that: what the old ones have signed
	// can no longer come back, so its versions bind nobody (TUF 5.3.11, fast-forward).
	restarted := c.root.version > high.Root && !before.sameOnline(c.root)
	if restarted {
		high.Timestamp, high.Snapshot = 0, 0
	}
	timestamp, err := c.timestamp(m.Timestamp)
	if err != nil {
		return nil, fmt.Errorf("verify timestamp: %w", err)
	}
	snapshot, err := c.snapshot(m.Snapshot)
	if err != nil {
		return nil, fmt.Errorf("verify snapshot: %w", err)
	}
	targets, err := c.targets(m.Targets)
	if err != nil {
		return nil, fmt.Errorf("verify targets: %w", err)
	}
	charter, err := c.charter(m.Charter, targets)
	if err != nil {
		return nil, fmt.Errorf("verify charter: %w", err)
	}
	if err := snapshot.check(metadata.SNAPSHOT, snapshotNames(charter.Hotline)); err != nil {
		return nil, fmt.Errorf("verify snapshot: %w", err)
	}
	list, officers, err := c.list(m.List, targets, charter.Hotline)
	if err != nil {
		return nil, fmt.Errorf("verify list role: %w", err)
	}
	if err := c.ownLogKey(charter, officers); err != nil {
		return nil, fmt.Errorf("verify charter: %w", err)
	}
	lists, err := list.lists(charter.Hotline)
	if err != nil {
		return nil, fmt.Errorf("verify list: %w", err)
	}
	next := HighWater{Root: c.root.version, Timestamp: timestamp.version, Snapshot: snapshot.version, Targets: targets.version, List: list.version}
	if next.Seqs, err = high.seqs(lists); err != nil {
		return nil, fmt.Errorf("verify list: %w", err)
	}
	if err := high.follows(next); err != nil {
		return nil, fmt.Errorf("verify versions: %w", err)
	}
	v := &Verified{
		Hotline: charter.Hotline, Charter: charter, CharterHash: sha256.Sum256(m.Charter), Lists: lists, High: next,
		Root: c.rootBytes, Officers: officers, Development: c.root.development, Expires: charter.ValidTo, Restarted: restarted,
	}
	for _, t := range []time.Time{c.root.expires, timestamp.expires, snapshot.expires, targets.expires, list.expires} {
		if t.Before(v.Expires) {
			v.Expires = t
		}
	}
	return v, nil
}

// chain is the walk from the pinned root to the hotline's lists. Each step reads the bytes strictly, lets go-tuf verify them, and
// then verifies the signatures once more over the raw signed bytes: what go-tuf signed off is what we read.
type chain struct {
	tuf       *trustedmetadata.TrustedMetadata
	root      rootDoc
	rootBytes []byte
	now       time.Time
}

// roots follows the chain of new roots, the last of which must be in force. A root of the pinned version must be the pinned one;
// older ones are not looked at.
func (c *chain) roots(roots [][]byte) error {
	if err := c.follow(roots); err != nil {
		return err
	}
	return c.live("root", c.root.expires)
}

func (c *chain) follow(roots [][]byte) error {
	pinned, pinnedVersion := c.rootBytes, c.root.version
	for _, b := range roots {
		doc, err := readRoot(b)
		if err != nil {
			return err
		}
		if doc.version <= pinnedVersion {
			if doc.version == pinnedVersion && !bytes.Equal(b, pinned) {
				return fmt.Errorf("%w: another root %d than the pinned one", ErrSignature, doc.version)
			}
			continue
		}
		next, err := c.tuf.UpdateRoot(b)
		if err := settle(err, b, next, doc.envelope, c.root.roles[metadata.ROOT], doc.roles[metadata.ROOT]); err != nil {
			return err
		}
		if err := doc.check(); err != nil {
			return err
		}
		if doc.development != c.root.development {
			return fmt.Errorf("%w: root %d is marked %t, the one before %t", ErrDevelopment, doc.version, doc.development, c.root.development)
		}
		c.root, c.rootBytes = doc, b
	}
	return nil
}

// live refuses what expires now or before: go-tuf lets the very second pass.
func (c *chain) live(what string, expires time.Time) error {
	if !c.now.Before(expires) {
		return fmt.Errorf("%w: %s expired %s", ErrExpired, what, expires.Format(time.RFC3339))
	}
	return nil
}

func (c *chain) timestamp(b []byte) (metaDoc, error) {
	doc, err := readMeta(b, metadata.TIMESTAMP, timestampNames)
	if err != nil {
		return doc, err
	}
	m, err := c.tuf.UpdateTimestamp(b)
	if err := settle(err, b, m, doc.envelope, c.root.roles[metadata.TIMESTAMP]); err != nil {
		return doc, err
	}
	if doc.expires.Sub(c.now) > MaxTimestampLife {
		return doc, fmt.Errorf("%w: expires %s, more than %v ahead", ErrMinimum, doc.expires.Format(time.RFC3339), MaxTimestampLife)
	}
	return doc, c.live("timestamp", doc.expires)
}

func (c *chain) snapshot(b []byte) (metaDoc, error) {
	doc, err := readMeta(b, metadata.SNAPSHOT, nil)
	if err != nil {
		return doc, err
	}
	m, err := c.tuf.UpdateSnapshot(b, false)
	if err := settle(err, b, m, doc.envelope, c.root.roles[metadata.SNAPSHOT]); err != nil {
		return doc, err
	}
	return doc, c.live("snapshot", doc.expires)
}

func (c *chain) targets(b []byte) (targetsDoc, error) {
	doc, err := readTargets(b)
	if err != nil {
		return doc, err
	}
	m, err := c.tuf.UpdateTargets(b)
	if err := settle(err, b, m, doc.envelope, c.root.roles[metadata.TARGETS]); err != nil {
		return doc, err
	}
	return doc, c.live("targets", doc.expires)
}

// charter reads the one target of the accreditation, and then knows which delegation there must be.
func (c *chain) charter(b []byte, targets targetsDoc) (Charter, error) {
	if i := indexTarget(targets.targets, CharterPath); i >= 0 {
		want := targets.targets[i]
		if int64(len(b)) != want.Length || sha256.Sum256(b) != want.SHA256 {
			return Charter{}, fmt.Errorf("%w: %s", ErrHash, CharterPath)
		}
	}
	charter, err := ParseCharter(b)
	if err != nil {
		return Charter{}, err
	}
	if err := targets.check(charter.Hotline); err != nil {
		return Charter{}, err
	}
	for id, pub := range targets.keys {
		for rootID, rootPub := range c.root.keys {
			if id == rootID || pub.Equal(rootPub) {
				return Charter{}, fmt.Errorf("%w: key %s is an officer's and in the root", ErrKeyRoles, id)
			}
		}
	}
	return charter, charter.ValidAt(c.now)
}

func (c *chain) list(b []byte, targets targetsDoc, hotline HotlineID) (targetsDoc, Officers, error) {
	role := targets.delegations[0]
	doc, err := readTargets(b)
	if err != nil {
		return doc, Officers{}, err
	}
	m, err := c.tuf.UpdateDelegatedTargets(b, RoleName(hotline), metadata.TARGETS)
	if err := settle(err, b, m, doc.envelope, role.roleDoc); err != nil {
		return doc, Officers{}, err
	}
	return doc, role.officers(), c.live("list role", doc.expires)
}
