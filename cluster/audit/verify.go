package audit

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/cordon-project/cordon/listsync/trust"
	"github.com/cordon-project/cordon/resolver/match"
)

// Options say how strict a verification is.
type Options struct {
	Now    time.Time     // for the checkpoint's age
	MaxAge time.Duration // an older checkpoint fails; 0 for any age
	Before *Visit        // the last visit, to hold the log to; nil for a first visit

	// Statements are withdrawals, as a hotline published them, that the log may lack: an edge without a quorum takes them from the hotline.
	Statements [][]byte

	All bool // the bundle must have the files of every version, not only those in force
	// Builds are the digests of programs that the auditor knows; nil: every program is accepted, and noted.
	Builds map[[32]byte]bool

	// Lean keeps no leaves, and goes on from Before where that passed under the same trust file: memory and time go with what is new.
	// Report.Leaves are only those that are new then, none at a first visit, and Report.Served is nil.
	Lean bool

	Certificates Certifier // nil: certificates in the log are not made again, and noted

	Watch *Watch // nil for nobody who wants to see more than the report
}

// Verify reads a bundle and checks everything in it against the trust file. It needs no key. Leaves are
// looked at as they come, list files one at a time. It returns an error only when the bundle could not
// be read (network, disk, context); whatever the bundle says, however malformed, ends in the report.
func Verify(ctx context.Context, bundle io.Reader, trustFile []byte, o Options) (*Report, error) {
	v := &verifier{ctx: ctx, o: o, checks: make(map[string]*Check), indexes: make(map[[32]byte][32]byte), pinned: make(map[trust.HotlineID]pinnedRoot), logKeys: make(map[trust.HotlineID]string)}
	err := v.run(newBundleReader(&contextReader{ctx, bundle}), trustFile)
	switch {
	case err == nil:
		v.pass(CheckBundle, "%d members", v.members)
	case errors.Is(err, errStop):
	case errors.Is(err, ErrFormat) || errors.Is(err, ErrTooLarge):
		v.fail(CheckBundle, "%v", err)
		v.why = "the bundle could not be read to its end"
	default:
		return nil, fmt.Errorf("verify: %w", err)
	}
	return v.report(), nil
}

// errStop ends a verification early: a failed check leaves nothing to build the later ones on.
var errStop = errors.New("stopped")

// verifier is one run. Its phases follow the bundle's members; each fills in what later ones need. What a leaf leaves behind for later
// leaves is in history and nowhere else.
type verifier struct {
	ctx     context.Context
	o       Options
	checks  map[string]*Check // those made so far
	why     string            // why the others were not
	notes   []string
	members int

	trust  TrustFile
	cp     Checkpoint
	signed []byte // the note that says so
	rcp    *ReportCheckpoint

	all       bool     // the bundle has the files of every version
	lied      bool     // a publish leaf names an index that does not follow from its list
	since     uint64   // what the bundle leaves out: entry bundles before that of this leaf
	began     uint64   // leaves that an earlier visit has followed
	seen      []byte   // the hashes of those
	trustHash [32]byte // of the trust file
	backdated *Leaf    // the first leaf after the last visit, when it is dated before it

	tree    treeHashes // of the leaves read so far
	genesis [][]byte   // the leaves that the trusted cluster file begins with
	cluster string     // id
	h       history
	hash    [32]byte // of what is in force after the last leaf
	broken  bool     // a leaf could not be followed: those after it are only hashed

	docs   map[[32]byte]*document         // metadata that the present leaves name
	pinned map[trust.HotlineID]pinnedRoot // to verify it from

	// Of this run's leaves, for what is checked after the last of them.
	leaves       []Leaf
	versions     []version
	certificates int
	returns      []returnAt
	logged       []Logged
	logKeys      map[trust.HotlineID]string
	receipts     []pending // whose state is still to be compared
	withdrawals  []ServedWithdrawal

	entries map[[32]byte][]match.EntryID // of the edge lists that returns are about; nil until read
	served  *Served                      // what the receipts say, once they are checked
	moments []Moment                     // the states they were held to
	indexes map[[32]byte][32]byte        // by edge list
}

func (v *verifier) run(b *bundleReader, trustFile []byte) error {
	tf, err := ParseTrustFile(trustFile)
	if err != nil {
		return v.stop(CheckTrust, "the trust file could not be used", "%v", err)
	}
	v.trust, v.trustHash = tf, sha256.Sum256(trustFile)
	v.h, v.cluster = beginning(tf.Cluster), tf.Cluster.ID()
	v.hash = v.h.InForce.Hash()
	for _, l := range tf.Cluster.Genesis() {
		b, err := EncodeLeaf(l)
		if err != nil {
			return v.stop(CheckTrust, "the trust file could not be used", "%v", err)
		}
		v.genesis = append(v.genesis, b)
	}
	m, err := v.head(b)
	if err != nil {
		return err
	}
	if m, err = v.log(b, m); err != nil {
		return err
	}
	v.ends()
	if err := v.endCertificates(); err != nil {
		return err
	}
	if err := v.lists(b, m); err != nil {
		return err
	}
	v.pass(CheckVersions, "%d list versions, none hidden, skipped or rolled back", v.h.Tally.Versions)
	v.checkReceipts()
	return nil
}

// head reads bundle.json and the checkpoint and returns the member after them (nil at the end).
func (v *verifier) head(b *bundleReader) (*member, error) {
	m, err := v.next(b)
	if err != nil {
		return nil, err
	}
	if m == nil {
		return nil, fmt.Errorf("bundle is empty: %w", ErrFormat)
	}
	data, err := b.read()
	if err != nil {
		return nil, err
	}
	var info bundleInfo
	if err := strictJSON(data, maxBundleInfo, bundleInfoName, &info); err != nil {
		return nil, err
	}
	if info.V != bundleVersion {
		return nil, fmt.Errorf("bundle has version %d, this tool reads %d: %w", info.V, bundleVersion, ErrFormat)
	}
	v.all, v.since = info.All, info.Since
	if err := (Part{Since: info.Since, All: info.All}).Check(); err != nil {
		return nil, err
	}
	id := v.trust.Cluster.ID()
	if info.Cluster != id {
		return nil, v.stop(CheckTrust, "the bundle is of another cluster", "the bundle is of cluster %s, trusted is %s (%s)", info.Cluster, id, v.trust.Cluster.Name)
	}
	v.pass(CheckTrust, "cluster %s (%s), %d of %d members must have signed", v.trust.Cluster.Name, id, v.trust.Need, len(v.trust.Cluster.Members))
	if m, err = v.next(b); err != nil {
		return nil, err
	}
	if m == nil {
		return nil, v.stop(CheckCheckpoint, "there is no checkpoint", "the bundle has no checkpoint")
	}
	if m.class != classCheckpoint {
		return nil, fmt.Errorf("bundle has %q where its checkpoint belongs: %w", m.name, ErrFormat)
	}
	if data, err = b.read(); err != nil {
		return nil, err
	}
	v.signed = data
	if err := v.checkpoint(data); err != nil {
		return nil, err
	}
	if err := v.from(b); err != nil {
		return nil, err
	}
	return v.next(b)
}

// from decides where the leaves begin that are looked at.
func (v *verifier) from(b *bundleReader) error {
	if err := v.resume(); err != nil {
		return v.stop(CheckConsistency, "the state of the last visit could not be used", "%v", err)
	}
	if v.since == 0 {
		return nil
	}
	if before := v.o.Before; before != nil && v.cp.Size < before.Size {
		return v.stop(CheckConsistency, "the log became shorter", "rollback: the log has %d leaves, at the last visit it had %d", v.cp.Size, before.Size)
	}
	if v.since > v.began {
		return v.stop(CheckBundle, "the bundle goes on from a visit that this is not",
			"the bundle goes on from leaf %d, and no earlier visit has verified what comes before: give the state of that visit, or get a bundle of the whole log", v.since)
	}
	for n := range v.began {
		v.tree.addHash(v.seenLeaf(n))
	}
	b.tile = v.since / tileWidth
	return nil
}

func (v *verifier) checkpoint(data []byte) error {
	cp, by, fresh, err := v.trust.Quorum().Open(data)
	if err != nil {
		return v.stop(CheckCheckpoint, "the checkpoint is not to be trusted", "%v", err)
	}
	v.cp = cp
	age := v.o.Now.Sub(fresh).Truncate(time.Second)
	v.rcp = &ReportCheckpoint{Origin: cp.Origin, Size: cp.Size, Root: hex.EncodeToString(cp.Root[:]), SignedBy: by, Fresh: fresh, Age: age.String()}
	switch {
	case v.o.MaxAge > 0 && age > v.o.MaxAge:
		v.fail(CheckCheckpoint, "the checkpoint is stale: a quorum signed it %v ago, at most %v is allowed", age, v.o.MaxAge)
	case age < -5*time.Minute:
		v.fail(CheckCheckpoint, "the checkpoint is dated %v in the future", -age)
	default:
		v.pass(CheckCheckpoint, "size %d, cosigned by %d of %d, %v old", cp.Size, len(by), len(v.trust.Cluster.Members), max(age, 0))
	}
	v.witnesses(data)
	return nil
}

// next counts members and hides the end: nil, nil.
func (v *verifier) next(b *bundleReader) (*member, error) {
	m, err := b.next()
	if errors.Is(err, io.EOF) {
		return nil, nil
	}
	if err == nil {
		v.members++
	}
	return m, err
}

func (v *verifier) check(name string) *Check {
	c, ok := v.checks[name]
	if !ok {
		c = &Check{Name: name}
		v.checks[name] = c
	}
	return c
}

// fail records a cause. The first one becomes the check's line.
func (v *verifier) fail(name, format string, args ...any) {
	c := v.check(name)
	cause := Escape(fmt.Sprintf(format, args...))
	c.Pass, c.Skipped = false, false
	switch {
	case len(c.Causes) == 0:
		c.Detail = cause
		c.Causes = []string{cause}
	case len(c.Causes) < maxCauses:
		c.Causes = append(c.Causes, cause)
	case len(c.Causes) == maxCauses:
		c.Causes = append(c.Causes, "and more")
	}
}

// pass completes a check unless it has failed, or something of it could not be checked.
func (v *verifier) pass(name, format string, args ...any) {
	if c := v.check(name); len(c.Causes) == 0 && !c.Skipped {
		c.Pass, c.Detail = true, Escape(fmt.Sprintf(format, args...))
	}
}

// skip records that a check could not be made, unless it has failed.
func (v *verifier) skip(name, format string, args ...any) {
	if c := v.check(name); len(c.Causes) == 0 {
		c.Pass, c.Skipped, c.Detail = false, true, "not checked: "+Escape(fmt.Sprintf(format, args...))
	}
}

func (v *verifier) stop(name, why, format string, args ...any) error {
	v.fail(name, format, args...)
	v.why = why
	return errStop
}

func (v *verifier) note(format string, args ...any) {
	if len(v.notes) < 100 {
		v.notes = append(v.notes, Escape(fmt.Sprintf(format, args...)))
	}
}

func (v *verifier) report() *Report {
	r := &Report{Pass: true, Cluster: v.trust.Cluster.Name, Checkpoint: v.rcp, Notes: v.notes, served: v.served, note: v.signed, logged: v.logged, logKeys: v.logKeys, moments: v.moments, uncertified: v.certificates}
	names := []string{CheckTrust, CheckBundle, CheckCheckpoint, CheckWitnesses, CheckConsistency, CheckLog, CheckReplay, CheckMetadata, CheckCharter, CheckPublicLog, CheckForks,
		CheckVerdicts, CheckWithdrawals, CheckOpenings, CheckOrders, CheckHotlines, CheckAdmin, CheckCertificates, CheckLists, CheckVersions, CheckReceipts}
	for _, n := range names {
		if n == CheckConsistency && v.o.Before == nil || n == CheckWitnesses && v.trust.Witnesses == "" || n == CheckCertificates && !v.certifies() {
			continue
		}
		c, ok := v.checks[n]
		if !ok || (!c.Pass && len(c.Causes) == 0 && !c.Skipped) {
			c = &Check{Name: n, Skipped: true, Detail: "not checked: " + v.why}
		}
		r.Checks = append(r.Checks, *c)
		r.Pass = r.Pass && c.Pass
	}
	if c, ok := r.Check(CheckLog); ok && c.Pass {
		r.leaves = v.leaves
		if c, ok := r.Check(CheckConsistency); !ok || c.Pass {
			r.visit = v.remember(r.Pass)
		}
	}
	return r
}

// contextReader ends reading when the context does.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (c *contextReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}

func parseHash(s string) ([32]byte, error) {
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != 32 || hex.EncodeToString(b) != s {
		return [32]byte{}, fmt.Errorf("hash %q: %w", clip(s), ErrFormat)
	}
	return [32]byte(b), nil
}

// listSeq names a list version in messages.
func listSeq(l match.ListID, seq uint64) string { return fmt.Sprintf("%s sequence %d", l, seq) }
