// Package trusttest is a hotline in memory, for tests of every package: an accreditation authority (five root keys, three
// accreditation keys), a hotline with three officers and two online keys, and the repository it publishes. Keys come from a seed
// and time is always given, so the same calls make the same bytes. Faults break one thing each, signed as well as the thief or
// fool in the story could sign it.
package trusttest

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cordon-project/cordon/listsync/list"
	"github.com/cordon-project/cordon/listsync/publiclog/publiclogtest"
	"github.com/cordon-project/cordon/listsync/trust"
	"github.com/cordon-project/cordon/resolver/canon"
	"github.com/cordon-project/cordon/resolver/match"
)

// Now is a time for tests that do not care which.
var Now = time.Date(2026, time.June, 1, 12, 0, 0, 0, time.UTC)

// Lifetimes of what a Hotline publishes.
const (
	RootLife      = 365 * 24 * time.Hour
	TargetsLife   = 180 * 24 * time.Hour
	ListLife      = 30 * 24 * time.Hour
	SnapshotLife  = 7 * 24 * time.Hour
	TimestampLife = 24 * time.Hour
)

// Hotline is an authority, the hotline it accredited, and the repository. Fields may be changed before Publish. Methods may be
// called concurrently; they panic when the story they are asked to tell makes no sense. It serves its repository as an
// http.Handler.
type Hotline struct {
	ID            trust.HotlineID
	Charter       trust.Charter
	Root          []ed25519.PrivateKey // 5, threshold 3
	Accreditation []ed25519.PrivateKey // 3, threshold 2
	Officers      []ed25519.PrivateKey // 3, threshold 2
	Snapshot      ed25519.PrivateKey
	Timestamp     ed25519.PrivateKey
	Pinned        []byte             // root.json version 1
	Log           *publiclogtest.Log // KeepLog makes one; nil without

	seed   string
	faults faults

	mu      sync.Mutex // guards what follows
	root    int64      // versions published so far
	targets int64
	version int64 // of list role, snapshot and timestamp
	roots   [][]byte
	lists   []List
	files   map[string][]byte // the repository: name to content
	charter []byte
}

// List is one list version to publish. Paths, lengths and hashes of Target are filled in by Publish; a zero CanonID means ours.
type List struct {
	Target      trust.ListTarget
	Edge, Audit []byte
	Deltas      []Delta           // as in Target.Deltas, whose files they are
	Keys        map[string][]byte // wrapped keys by cluster
}

// Delta is one delta of a list.
type Delta struct {
	From, To uint64
	File     []byte
}

// Key derives a test key from words.
func Key(words ...string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte("cordon trusttest\n" + strings.Join(words, "/")))
	return ed25519.NewKeyFromSeed(seed[:])
}

func keys(n int, words ...string) []ed25519.PrivateKey {
	out := make([]ed25519.PrivateKey, n)
	for i := range out {
		out[i] = Key(append(slices.Clone(words), fmt.Sprint(i))...)
	}
	return out
}

// New makes an authority and a hotline from seed, accredited from a day before now for a year, with root version 1 signed. Nothing
// is published yet.
func New(seed string, id trust.HotlineID, now time.Time, broken ...Fault) *Hotline {
	h := &Hotline{
		ID: id, seed: seed, files: map[string][]byte{},
		Root: keys(5, seed, "root"), Accreditation: keys(3, seed, "accreditation"), Officers: keys(3, seed, string(id), "officer"),
		Snapshot: Key(seed, string(id), "snapshot"), Timestamp: Key(seed, string(id), "timestamp"),
		Charter: trust.Charter{
			Hotline: id, Name: "Hotline " + string(id), Jurisdictions: []string{"XA", "XB"},
			Bases:     []match.Basis{match.BasisLaw, match.BasisOrder, match.BasisVoluntary},
			Kinds:     []canon.Kind{canon.KindURL, canon.KindPrefix, canon.KindHost, canon.KindDomain},
			ValidFrom: now.Add(-24 * time.Hour).Truncate(time.Second), ValidTo: now.Add(365 * 24 * time.Hour).Truncate(time.Second),
		},
	}
	h.Break(broken...)
	h.Pinned = h.nextRoot(now, nil)
	return h
}

// Files is a small list version with made-up content: enough for everything that does not open the files.
func Files(id match.ListID, seq uint64) List {
	body := func(kind string) []byte { return fmt.Appendf(nil, "%s of %s %d\n", kind, id, seq) }
	return List{
		Target: trust.ListTarget{
			List: id, Seq: seq, Prev: seq - 1, Epoch: 1, EntriesRoot: sha256.Sum256(body("root")),
			Counts: []trust.Count{{Kind: "domain", N: 2}, {Kind: "host", N: 1}}, Added: 3, NeverBlock: "2026-05-01",
			Bases:    []trust.BasisCount{{Basis: "law", N: 1}, {Basis: "voluntary", N: 2}},
			Canaries: []string{"canary." + id.Hotline() + ".test"},
		},
		Edge: body("edge list"), Audit: body("auditor list"),
	}
}

// Built is the list version of the real files edge and audit, as list.Build made them.
func Built(edge, audit []byte, prev uint64, canaries ...string) List {
	e, err := list.OpenEdge(edge)
	check(err)
	a, err := list.OpenAudit(audit)
	check(err)
	v := e.Version()
	t := trust.ListTarget{
		List: v.List, Seq: v.Seq, Prev: prev, Epoch: v.Epoch, CanonID: v.CanonID, EntriesRoot: a.Root(), EdgeHead: e.Hash(),
		NeverBlock: "2026-05-01", Canaries: canaries,
	}
	for kind, n := range e.Kinds() {
		t.Counts = append(t.Counts, trust.Count{Kind: kind, N: n})
	}
	t.Bases = trust.BasesOf(list.Bases(e))
	return List{Target: t, Edge: edge, Audit: audit}
}

// Publish publishes lists, each in place of the version that was there of it, with new versions of the list role, snapshot and
// timestamp, and gives all metadata, with the last MaxRootSteps roots since the pinned one.
func (h *Hotline) Publish(now time.Time, lists ...List) trust.Metadata {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, l := range lists {
		h.lists = slices.DeleteFunc(h.lists, func(have List) bool { return have.Target.List == l.Target.List })
		h.lists = append(h.lists, l)
	}
	h.version++
	if h.targets == 0 {
		h.accredit(now)
	}
	m := trust.Metadata{Roots: slices.Clone(h.roots[max(0, len(h.roots)-trust.MaxRootSteps):]), Targets: h.files[trust.TargetsName(h.targets)], Charter: h.charter}
	m.List = h.role("list", h.listRole(now), h.listSigners()...)
	h.logged(m.List)
	snapshot, err := trust.NewSnapshot(h.version, now.Add(SnapshotLife), h.ID, m.Targets, m.List)
	if err != nil { // a fault made a role that the honest author cannot read: pin the bytes all the same
		snapshot = pin("snapshot", h.version, now.Add(SnapshotLife), map[string]pinned{
			"targets.json": {h.targets, m.Targets}, trust.RoleName(h.ID) + ".json": {h.version, m.List},
		})
	}
	m.Snapshot = h.role("snapshot", snapshot, h.Snapshot)
	expires := now.Add(TimestampLife)
	if h.faults.timestampLife != 0 {
		expires = now.Add(h.faults.timestampLife)
	}
	timestamp := pin("timestamp", h.version, expires, map[string]pinned{"snapshot.json": {h.version, m.Snapshot}})
	m.Timestamp = h.role("timestamp", timestamp, h.Timestamp)

	h.files[trust.ListName(h.ID, h.version)] = m.List
	h.files[trust.SnapshotName(h.version)] = m.Snapshot
	h.files[trust.TimestampName] = m.Timestamp
	return m
}

// Accredit publishes nothing, but makes the next Publish carry a new version of targets.json with the present Charter and
// Officers.
func (h *Hotline) Accredit(now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.accredit(now)
}

func (h *Hotline) accredit(now time.Time) {
	charter, err := trust.EncodeCharter(h.Charter)
	check(err)
	if h.faults.charter != nil {
		charter = h.faults.charter(charter)
	}
	h.targets++
	good, err := trust.EncodeCharter(h.Charter)
	check(err)
	b, err := trust.NewTargets(trust.TargetsSpec{
		Version: h.targets, Expires: now.Add(TargetsLife), Charter: good, Officers: trust.Role{Threshold: 2, Keys: publics(h.Officers)},
	})
	check(err)
	b = edit(b, func(signed map[string]any) {
		target := signed["targets"].(map[string]any)[trust.CharterPath].(map[string]any)
		target["length"] = len(charter)
		target["hashes"] = map[string]any{"sha256": hexSum(charter)}
	})
	signers := h.Accreditation[:2]
	if h.faults.charterByOfficers {
		signers = h.Officers[:2]
	}
	h.charter = charter
	b = h.role("targets", b, signers...)
	h.files[trust.TargetsName(h.targets)] = b
	h.files[trust.TargetName(trust.File{Path: trust.CharterPath, SHA256: sha256.Sum256(charter)})] = charter
}

// listRole builds the unsigned list role and puts the files of all lists into the repository.
func (h *Hotline) listRole(now time.Time) []byte {
	spec := trust.ListSpec{Hotline: h.ID, Version: h.version, Expires: now.Add(ListLife)}
	for _, l := range h.lists {
		t := l.Target
		if t.CanonID == [32]byte{} {
			t.CanonID = canon.ID()
		}
		t.Edge, t.Audit = h.file(trust.EdgePath(t.List, t.Seq), l.Edge), h.file(trust.AuditPath(t.List, t.Seq), l.Audit)
		t.Keys, t.Deltas = nil, nil
		for _, d := range l.Deltas {
			t.Deltas = append(t.Deltas, trust.DeltaFile{From: d.From, To: d.To, File: h.file(trust.DeltaPath(t.List, d.From, d.To), d.File)})
		}
		for _, cluster := range slices.Sorted(maps.Keys(l.Keys)) {
			t.Keys = append(t.Keys, trust.KeyFile{Cluster: cluster, File: h.file(trust.KeysPath(t.List, t.Epoch, cluster), l.Keys[cluster])})
		}
		spec.Lists = append(spec.Lists, t)
	}
	b, err := trust.NewList(spec)
	check(err)
	return b
}

func (h *Hotline) listSigners() []ed25519.PrivateKey {
	if h.faults.signers != nil {
		return h.faults.signers(h)
	}
	return h.Officers[:2]
}

func (h *Hotline) file(path string, b []byte) trust.File {
	f := trust.File{Path: path, Length: int64(len(b)), SHA256: sha256.Sum256(b)}
	h.files[trust.TargetName(f)] = b
	return f
}

// RotateRoot publishes the next root: one root key and both online keys are new. The next Publish signs with them.
func (h *Hotline) RotateRoot(now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	before := slices.Clone(h.Root)
	n := fmt.Sprint(h.root + 1)
	h.Root[int(h.root)%len(h.Root)] = Key(h.seed, "root", "rotated", n)
	h.Snapshot, h.Timestamp = Key(h.seed, string(h.ID), "snapshot", n), Key(h.seed, string(h.ID), "timestamp", n)
	h.roots = append(h.roots, h.nextRoot(now, before))
}

// Roots is the chain of all roots so far.
func (h *Hotline) Roots() trust.Roots {
	h.mu.Lock()
	defer h.mu.Unlock()
	r, err := trust.PinRoot(h.Pinned)
	check(err)
	r, err = r.Follow(h.roots)
	check(err)
	return r
}

// nextRoot makes and signs the next root, by the keys of the root before it too.
func (h *Hotline) nextRoot(now time.Time, before []ed25519.PrivateKey) []byte {
	h.root++
	b, err := trust.NewRoot(trust.RootSpec{
		Version: h.root, Expires: now.Add(RootLife), Development: h.faults.development,
		Root: trust.Role{Threshold: 3, Keys: publics(h.Root)}, Targets: trust.Role{Threshold: 2, Keys: publics(h.Accreditation)},
		Snapshot: trust.Role{Threshold: 1, Keys: publics([]ed25519.PrivateKey{h.Snapshot})}, Timestamp: trust.Role{Threshold: 1, Keys: publics([]ed25519.PrivateKey{h.Timestamp})},
	})
	check(err)
	signers := slices.Clone(h.Root)
	for _, k := range before {
		if !slices.ContainsFunc(signers, func(have ed25519.PrivateKey) bool { return have.Equal(k) }) {
			signers = append(signers, k)
		}
	}
	b = h.role("root", b, signers...)
	h.files[trust.RootName(h.root)] = b
	return b
}

// Withdraw publishes a statement of the officers with these indexes and gives it.
func (h *Hotline) Withdraw(w trust.Withdrawal, officers ...int) []byte {
	h.mu.Lock()
	defer h.mu.Unlock()
	var raw []byte
	var err error
	for i, o := range officers {
		if i == 0 {
			raw, err = trust.SignWithdrawal(w, h.Officers[o])
		} else {
			raw, err = trust.CosignWithdrawal(raw, h.Officers[o])
		}
		check(err)
	}
	h.files[trust.WithdrawalName(w.List, w.Number)] = raw
	return raw
}

// OfficerKeys are the hotline's officers as the accreditation names them.
func (h *Hotline) OfficerKeys() trust.Officers {
	o := trust.Officers{Threshold: 2}
	for _, pub := range publics(h.Officers) {
		o.Keys = append(o.Keys, trust.OfficerKey{ID: trust.KeyID(pub), Public: pub})
	}
	slices.SortFunc(o.Keys, func(a, b trust.OfficerKey) int { return strings.Compare(a.ID, b.ID) })
	return o
}

// Repository is a copy of the repository: file names and contents. The contents must not be changed.
func (h *Hotline) Repository() map[string][]byte {
	h.mu.Lock()
	defer h.mu.Unlock()
	return maps.Clone(h.files)
}

// WriteRepository writes the repository below dir.
func (h *Hotline) WriteRepository(dir string) error {
	for name, b := range h.Repository() {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, b, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// ServeHTTP serves the repository as a static server with ETags would.
func (h *Hotline) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	b, ok := h.files[strings.TrimPrefix(r.URL.Path, "/")]
	h.mu.Unlock()
	if !ok {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("ETag", `"`+hexSum(b)+`"`)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(b))
}

func publics(keys []ed25519.PrivateKey) []ed25519.PublicKey {
	out := make([]ed25519.PublicKey, len(keys))
	for i, k := range keys {
		out[i] = k.Public().(ed25519.PublicKey)
	}
	return out
}

func hexSum(b []byte) string { return fmt.Sprintf("%x", sha256.Sum256(b)) }

func check(err error) {
	if err != nil {
		panic("trusttest: " + err.Error())
	}
}
