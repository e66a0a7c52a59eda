// Package audittest is a cluster's log in memory, for tests of every package that reads one: three control
// nodes, two edges and a hotline (trusttest's), with real signed metadata, list files, verdicts, withdrawals
// and receipts. It does what an honest cluster does, and hands out every key, so that a test can tell a lie
// and sign it as well as the liar could. The same calls make the same bytes.
package audittest

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/audit/order"
	"github.com/cordon-project/cordon/listsync/list"
	"github.com/cordon-project/cordon/listsync/list/listtest"
	"github.com/cordon-project/cordon/listsync/trust"
	"github.com/cordon-project/cordon/listsync/trust/trusttest"
	"github.com/cordon-project/cordon/resolver/match"
)

// Log is the cluster. Its methods panic when the story they are asked to tell makes no sense. It is for
// one goroutine; as an audit.Source it may be read by others while nothing is added.
type Log struct {
	Hotline *trusttest.Hotline
	Now     time.Time // the clock; every step adds a minute

	Desc     audit.Cluster // Cluster returns it
	Members  map[string]ed25519.PrivateKey
	MLDSA    map[string]crypto.Signer // the members' second keys
	Edges    map[string]ed25519.PrivateKey
	Officers map[string]ed25519.PrivateKey // the operator's
	InForce  audit.InForce
	Leaves   [][]byte // encoded; Tree builds a tree of them
	Docs     map[[32]byte][]byte
	Files    map[[32]byte][]byte
	Deltas   map[[32]byte][]byte   // by the edge list they make, from the version before at the hotline
	Indexes  map[[32]byte][32]byte // index hash by edge list hash
	Counters map[string]uint64
	Signers  []string  // who cosigns checkpoints; all members unless changed
	Canon    [32]byte  // canonicalisation rules the hotline's lists say they were made for; zero means ours
	Epoch    uint32    // of the next versions' keys, which are listtest.Keys of its number
	EdgeHead [32]byte  // what the next versions' metadata says of their edge lists' heads; zero means the truth
	Review   time.Time // review_by of one entry of the next versions; zero: as of the others

	seq, number uint64
	burnt       uint64 // numbers that the next version leaves out
	orders      map[order.Kind]uint64
	verified    *trust.Verified
	edge        *list.Edge        // of the last version
	deltas      []trusttest.Delta // that lead to it
}

// Names of the cluster's nodes.
const (
	C1, C2, C3 = "c1", "c2", "c3"
	E1, E2     = "e1", "e2"
	O1, O2     = "o1", "o2" // officers of the operator
)

// Hotline is the hotline's id; its one list is listtest.List.
const Hotline trust.HotlineID = "hotline-one"

// Key derives a test key from words.
func Key(words ...string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte("cordon audittest\n" + strings.Join(words, "/")))
	return ed25519.NewKeyFromSeed(seed[:])
}

// New is a cluster at genesis.
func New(seed string) *Log { return Begin(seed, trusttest.New(seed, Hotline, trusttest.Now)) }

// Begin is New with another hotline behind the name.
func Begin(seed string, h *trusttest.Hotline) *Log {
	l := &Log{
		Hotline: h, Now: trusttest.Now,
		Members: map[string]ed25519.PrivateKey{}, MLDSA: map[string]crypto.Signer{}, Edges: map[string]ed25519.PrivateKey{}, Officers: map[string]ed25519.PrivateKey{}, orders: map[order.Kind]uint64{},
		Docs: map[[32]byte][]byte{}, Files: map[[32]byte][]byte{}, Indexes: map[[32]byte][32]byte{},
		Counters: map[string]uint64{}, Signers: []string{C1, C2, C3}, InForce: audit.Genesis(), Epoch: 1,
	}
	l.Hotline.Charter.Jurisdictions = []string{"AA", "ZZ"}
	l.Desc = audit.Cluster{
		V: 1, Name: "isp.example", Origin: "isp.example/cordon", Created: l.Now.Unix(),
		Hotlines: []audit.HotlineAnchor{{ID: Hotline, Root: l.Hotline.Pinned}},
	}
	for _, name := range []string{C1, C2, C3} {
		l.Members[name], l.MLDSA[name] = Key(seed, name), MLDSAKey(seed, name)
		l.Desc.Members = append(l.Desc.Members, audit.MemberKey{Name: name, Key: public(l.Members[name]), MLDSA: MLDSAPublic(l.MLDSA[name])})
	}
	for _, name := range []string{O1, O2} {
		l.Officers[name] = Key(seed, name)
		l.Desc.Officers = append(l.Desc.Officers, order.Officer{Name: name, Key: public(l.Officers[name])})
	}
	for _, name := range []string{E1, E2} {
		l.Edges[name] = Key(seed, name)
		l.Desc.Edges = append(l.Desc.Edges, audit.EdgeKey{Name: name, Key: public(l.Edges[name])})
	}
	check(l.Desc.Check())
	for _, leaf := range l.Desc.Genesis() {
		b, err := audit.EncodeLeaf(leaf)
		check(err)
		l.Leaves = append(l.Leaves, b)
	}
	return l
}

// Honest is a cluster with a history: two versions of a list, a renewal, a withdrawal, an edge that came
// later, receipts of every edge after every change.
func Honest(seed string) *Log {
	l := New(seed)
	l.Publish(30)
	l.Receipts(E1, E2)
	l.Publish(40)
	l.Receipts(E1, E2)
	l.Renew()
	l.Withdraw(listtest.ID(3, 1), listtest.ID(4, 1))
	l.Receipts(E1, E2)
	l.Enrol("e3")
	l.Receipts("e3")
	return l
}

// Tick moves the clock a minute on.
func (l *Log) Tick() time.Time {
	l.Now = l.Now.Add(time.Minute)
	return l.Now
}

// Append adds a leaf with the right in-force hash, at the present time.
func (l *Log) Append(body audit.Body) uint64 {
	leaf, err := audit.NewLeaf(uint64(len(l.Leaves)), l.Now.Unix(), body)
	check(err)
	next, err := l.InForce.Apply(leaf)
	check(err)
	leaf.F = next.Hash()
	l.AppendLeaf(leaf)
	l.InForce = next
	return leaf.N
}

// AppendLeaf adds a leaf as it is, whatever it claims.
func (l *Log) AppendLeaf(leaf audit.Leaf) {
	b, err := audit.EncodeLeaf(leaf)
	check(err)
	l.Leaves = append(l.Leaves, b)
}

// Publish brings the next version of listtest.List into force, with n entries.
func (l *Log) Publish(n int) audit.Publish {
	return l.PublishWith(n, func(p audit.Publish) audit.Publish { return p })
}

// PublishWith publishes with a publish leaf that change has had its way with. It goes through the
// hotline's present faults; nothing verifies the metadata.
func (l *Log) PublishWith(n int, change func(audit.Publish) audit.Publish) audit.Publish {
	p := l.Offer(n)
	p.Verdicts = l.Verdicts(p, C1, C2, C3)
	p = change(p)
	l.SayThatKeysAreNew(p)
	l.Append(p)
	return p
}

// SayThatKeysAreNew logs what goes before a publication whose keys are of another epoch than those of the version in force.
func (l *Log) SayThatKeysAreNew(p audit.Publish) {
	if cur, ok := l.InForce.List(p.List); ok && cur.Epoch < p.Epoch {
		l.Append(audit.Rekey{Hotline: p.Hotline, List: p.List, Seq: p.Seq, From: cur.Epoch, To: p.Epoch})
	}
}

// Burn leaves out the number of the next version: the hotline dropped one under it that stood in its public log already.
func (l *Log) Burn() {
	l.seq++
	l.burnt++
}

// Offer makes the next version's files and metadata and the publish body for it, without verdicts and
// without adding it to the log.
func (l *Log) Offer(n int) audit.Publish {
	l.seq++
	now := l.Tick()
	version := listtest.Version(l.seq)
	if l.Canon != [32]byte{} {
		version.CanonID = l.Canon
	}
	version.Epoch = l.Epoch
	edge, aud, _, err := list.Build(version, l.entries(n), []string{"decoy.example-1.test"}, listtest.Keys(int64(l.Epoch)), listtest.OpenKey(1))
	check(err)
	for _, b := range [][]byte{edge, aud} {
		l.Files[sha256.Sum256(b)] = b
	}
	l.index(edge)
	built := trusttest.Built(edge, aud, l.seq-1-l.burnt, listtest.Canary)
	l.burnt = 0
	built.Deltas = l.delta(edge, aud)
	if l.EdgeHead != [32]byte{} {
		built.Target.EdgeHead = l.EdgeHead
	}
	md := l.Hotline.Publish(now, built)
	hash := l.doc(md)
	if v, err := trust.Verify(l.start(md), trust.HighWater{}, md, now); err == nil {
		l.verified = v
		for _, t := range v.Lists {
			if t.List == listtest.List {
				p := audit.NewPublish(v, t, hash, nil)
				p.Index = l.Indexes[t.Edge.SHA256]
				p.PublicProof = l.Hotline.PublicProof(md, t.List, l.PublicLog())
				return p
			}
		}
	}
	// A lie is being told: say what an honest leaf would have said of these files.
	charter, err := trust.EncodeCharter(l.Hotline.Charter)
	check(err)
	t := built.Target
	t.CanonID = version.CanonID
	t.Edge = trust.File{Length: int64(len(edge)), SHA256: sha256.Sum256(edge)}
	t.Audit = trust.File{Length: int64(len(aud)), SHA256: sha256.Sum256(aud)}
	p := audit.NewPublish(&trust.Verified{Hotline: Hotline, Charter: l.Hotline.Charter, CharterHash: sha256.Sum256(charter)}, t, hash, nil)
	p.Index = l.Indexes[t.Edge.SHA256]
	return p
}

// entries are those of a version: assessed when the story begins, to be assessed again 90 days later.
func (l *Log) entries(n int) []list.Entry {
	all := listtest.EntriesAt(n, 1, trusttest.Now)
	if !l.Review.IsZero() {
		all[5].ReviewBy = l.Review
	}
	return all
}

// delta makes the delta from the version before, where one leads here, and gives all that the version names.
func (l *Log) delta(edge, aud []byte) []trusttest.Delta {
	to, err := list.OpenEdge(edge)
	check(err)
	a, err := list.OpenAudit(aud)
	check(err)
	before := l.edge
	l.edge = to
	if before == nil || before.Version().Epoch != to.Version().Epoch || before.Version().Seq+1 != to.Version().Seq {
		l.deltas = nil
		return nil
	}
	d, err := list.Diff(before, to, a)
	check(err)
	b, err := d.Encode()
	check(err)
	l.Files[sha256.Sum256(b)] = b
	l.deltas = append(l.deltas, trusttest.Delta{From: d.FromSeq, To: d.Version.Seq, File: b})
	l.deltas = l.deltas[max(0, len(l.deltas)-trust.MaxDeltas):]
	return slices.Clone(l.deltas)
}

// Renew renews the hotline's metadata without a new list.
func (l *Log) Renew() {
	now := l.Tick()
	md := l.Hotline.Publish(now)
	v, err := trust.Verify(l.start(md), trust.HighWater{}, md, now)
	check(err)
	l.Append(audit.Trust{Hotline: Hotline, Root: sha256.Sum256(v.Root), Versions: audit.VersionsOf(v.High), Metadata: l.doc(md)})
}

// start is the root that metadata goes on from.
func (l *Log) start(md trust.Metadata) []byte {
	root, err := l.Hotline.Roots().Start(md)
	check(err)
	return root
}

// Withdraw takes entries out of force for the versions so far and the next hundred, signed by two officers.

// Return logs that the list goes back to an earlier version, by order of both officers and with every member's word. change may alter
// what the officers sign.
func (l *Log) Return(seq uint64, change func(*order.Return)) {
	now := l.Tick()
	l.orders[order.KindReturn]++
	cur, _ := l.InForce.List(listtest.List)
	to, _ := cur.Version(seq)
	high, _ := cur.Version(cur.High())
	b := order.Return{List: listtest.List, Seq: seq, Edge: to.Edge, High: high.Seq, HighEdge: high.Edge, Entries: l.leftOut(to.Edge, high.Edge)}
	if change != nil {
		change(&b)
	}
	o := order.Order{Cluster: l.Desc.ID(), Number: l.orders[order.KindReturn], Issued: now.Unix(), Expires: now.Add(time.Hour).Unix(), Reason: "error", Body: b}
	raw, err := order.Sign(o, O1, l.Officers[O1])
	check(err)
	raw, err = order.Countersign(raw, O2, l.Officers[O2])
	check(err)
	var verdicts []audit.SignedReturnVerdict
	for _, m := range []string{C1, C2, C3} {
		verdicts = append(verdicts, audit.SignReturnVerdict(audit.ReturnVerdict{
			Cluster: l.Desc.ID(), Node: m, List: b.List, Edge: b.Edge, HighEdge: b.HighEdge, Entries: audit.EntriesHash(b.Entries),
		}, l.Members[m]))
	}
	leaf, err := audit.DecodeLeaf(l.Leaves[to.Leaf])
	check(err)
	body, err := leaf.Body()
	check(err)
	version := audit.InForceListOf(body.(audit.Publish), to.Leaf)
	l.Append(audit.NewReturned(raw, o, []string{O1, O2}, version, verdicts))
}

// leftOut are the entries of one edge list that another does not have.
func (l *Log) leftOut(of, not [32]byte) []match.EntryID {
	var ids [2][]match.EntryID
	for i, hash := range [][32]byte{of, not} {
		e, err := list.OpenEdge(l.Files[hash])
		check(err)
		ids[i] = list.EntryIDs(e)
	}
	return list.LeftOut(ids[0], ids[1])
}

// Tree is a tree of the leaves so far.
func (l *Log) Tree() *audit.Tree { return audit.NewTree(append([][]byte(nil), l.Leaves...)) }

// Cluster is the cluster's description.
func (l *Log) Cluster() audit.Cluster { return l.Desc }

// Checkpoint is the present checkpoint, cosigned by Signers.
func (l *Log) Checkpoint() []byte { return l.Sign(l.Desc.Origin, l.Signers...) }

// Sign is a checkpoint of the present log under an origin, begun by the first signer and cosigned by all.
func (l *Log) Sign(origin string, signers ...string) []byte {
	size, root := l.Tree().Head()
	cp := audit.Checkpoint{Origin: origin, Size: size, Root: root}
	var lines [][]byte
	var note []byte
	for i, name := range signers {
		s := l.Signer(origin, name)
		var err error
		if i == 0 {
			note, err = s.Sign(cp, l.Now)
		} else {
			var line []byte
			line, err = s.Cosign(cp, l.Now)
			lines = append(lines, line)
		}
		check(err)
	}
	q := l.Desc.Quorum()
	q.Origin = origin
	note, err := q.Assemble(note, lines...)
	check(err)
	return note
}

// Metadata is encoded metadata by its hash.
func (l *Log) Metadata(hash [32]byte) ([]byte, error) {
	if b, ok := l.Docs[hash]; ok {
		return b, nil
	}
	return nil, fs.ErrNotExist
}

// File is a list file by its hash.
func (l *Log) File(hash [32]byte) (io.ReadCloser, int64, error) {
	if b, ok := l.Files[hash]; ok {
		return io.NopCloser(bytes.NewReader(b)), int64(len(b)), nil
	}
	return nil, 0, fs.ErrNotExist
}

// Delta is the delta that makes the files of the version with this edge list out of those of the version before it in the log, as a node
// makes it.
func (l *Log) Delta(edge [32]byte) (io.ReadCloser, int64, error) {
	var before, p audit.Publish
	for _, b := range l.Leaves {
		leaf, err := audit.DecodeLeaf(b)
		check(err)
		body, err := leaf.Body()
		check(err)
		if next, ok := body.(audit.Publish); ok && p.Edge != edge {
			before, p = p, next
		}
	}
	if p.Edge != edge || before.Epoch != p.Epoch || l.Files[before.Edge] == nil || l.Files[p.Edge] == nil || l.Files[p.Audit] == nil {
		return nil, 0, fs.ErrNotExist
	}
	from, err := list.OpenEdge(l.Files[before.Edge])
	check(err)
	to, err := list.OpenEdge(l.Files[p.Edge])
	check(err)
	aud, err := list.OpenAudit(l.Files[p.Audit])
	check(err)
	d, err := list.Diff(from, to, aud)
	check(err)
	b, err := d.Encode()
	check(err)
	return io.NopCloser(bytes.NewReader(b)), int64(len(b)), nil
}

// Bundle is what cordon bundle writes: the whole log, and the files of what is in force.
func (l *Log) Bundle() []byte { return l.Part(audit.Part{}) }

// Part is a bundle of part of the log, or with the files of every version.
func (l *Log) Part(p audit.Part) []byte {
	var b bytes.Buffer
	check(audit.WriteBundle(context.Background(), &b, l, p, l.Now))
	return b.Bytes()
}

// TrustFile is the auditor's trust file: two of three must have signed.
func (l *Log) TrustFile() []byte { return audit.NewTrustFile(l.Desc, "").Encode() }

// Manifest is what an edge that has seen size since would be handed.
func (l *Log) Manifest(since uint64) audit.Manifest {
	t := l.Tree()
	m, err := audit.NewManifest(t, l.Checkpoint(), t.Size(), l.InForce, l.Metadata, func(trust.HotlineID) trust.Roots { return l.Hotline.Roots() }, since)
	check(err)
	return m
}

func (l *Log) doc(md trust.Metadata) [32]byte {
	b, err := md.Encode()
	check(err)
	l.Docs[md.Hash()] = b
	return md.Hash()
}

// index compiles an edge list as an honest edge would.
func (l *Log) index(edge []byte) {
	e, err := list.OpenEdge(edge)
	check(err)
	b, err := match.Compile(e)
	check(err)
	ix, err := match.Open(b)
	check(err)
	l.Indexes[sha256.Sum256(edge)] = ix.Hash()
}

func public(k ed25519.PrivateKey) ed25519.PublicKey { return k.Public().(ed25519.PublicKey) }

func check(err error) {
	if err != nil {
		panic(fmt.Sprintf("audittest: %v", err))
	}
}
