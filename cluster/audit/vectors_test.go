package audit_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/audit/audittest"
	"github.com/cordon-project/cordon/cluster/audit/order"
	"github.com/cordon-project/cordon/listsync/trust"
	"github.com/cordon-project/cordon/resolver/canon"
	"github.com/cordon-project/cordon/resolver/match"
)

// seeded is the Ed25519 key whose seed is 32 times one byte.
func seeded(b byte) ed25519.PrivateKey { return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{b}, 32)) }

// vectors computes what LEAF.md says under "Test vectors", from the inputs it names there.
func vectors(t *testing.T) [][2]string {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	pub := func(b byte) ed25519.PublicKey { return seeded(b).Public().(ed25519.PublicKey) }
	var out [][2]string
	text := func(name, value string) { out = append(out, [2]string{name, value}) }
	add := func(name string, b []byte) { text(name, hex.EncodeToString(b)) }
	hash := func(name string, h [32]byte) { add(name, h[:]) }

	seed, err := hkdf.Key(sha256.New, seeded(3).Seed(), nil, "cordon/node-key/ml-dsa-44/v1", 32)
	must(err)
	second := audittest.MLDSAOf(seed)
	add("ML-DSA seed of c3", seed)
	c := audit.Cluster{
		V: 1, Name: "isp.example", Origin: "isp.example/cordon", Created: 1780000000,
		Members:  []audit.MemberKey{{Name: "c1", Key: pub(1)}, {Name: "c2", Key: pub(2)}, {Name: "c3", Key: pub(3), MLDSA: audittest.MLDSAPublic(second)}},
		Officers: []order.Officer{{Name: "o1", Key: pub(5)}, {Name: "o2", Key: pub(6)}},
		Edges:    []audit.EdgeKey{{Name: "e1", Key: pub(4)}},
		Hotlines: []audit.HotlineAnchor{{ID: "hotline-one", Root: []byte("root.json")}},
	}
	must(c.Check())
	text("cluster id", c.ID())
	add("in force at genesis", audit.Genesis().Encode())
	hash("in force at genesis, hash", audit.Genesis().Hash())

	tree := new(audit.Tree)
	for i, l := range c.Genesis() {
		b, err := audit.EncodeLeaf(l)
		must(err)
		add(fmt.Sprintf("genesis leaf %d", i), b)
		tree.Append(b)
	}
	hash("genesis root", tree.Root())

	f := match.Filter{
		Kinds: []canon.Kind{canon.KindHost, canon.KindDomain}, Bases: []match.Basis{match.BasisLaw}, Jurisdictions: []string{"ZZ"},
	}
	p := audit.Publish{
		Hotline: "hotline-one", List: "hotline-one/main", Seq: 2, Prev: 1, Epoch: 1, Canon: sha256.Sum256([]byte("canon")),
		Edge: sha256.Sum256([]byte("edge")), EdgeSize: 4, Audit: sha256.Sum256([]byte("audit")), AuditSize: 5,
		EntriesRoot: sha256.Sum256([]byte("entries")), Charter: sha256.Sum256([]byte("charter")), Filter: audit.FilterOf(f), FilterHash: f.Hash(),
		Metadata: sha256.Sum256([]byte("metadata")), Counts: []audit.KindCount{{Kind: "domain", N: 7}, {Kind: "host", N: 3}}, Added: 2, Removed: 1,
		Index: sha256.Sum256([]byte("index")), Bases: []audit.BasisCount{{Basis: "law", N: 10}},
	}
	v := audit.SignVerdict(audit.Verdict{
		Cluster: c.ID(), Node: "c1", List: p.List, Seq: p.Seq, Edge: p.Edge, Audit: p.Audit, EntriesRoot: p.EntriesRoot,
		Index: p.Index, NeverBlock: sha256.Sum256([]byte("never-block")), Result: audit.ResultOK,
	}, seeded(1))
	add("verdict body", v.Body)
	add("verdict signature", v.Sig)
	p.Verdicts = []audit.SignedVerdict{v}
	leaf, err := audit.NewLeaf(5, 1780000060, p)
	must(err)
	next, err := audit.Genesis().Apply(leaf)
	must(err)
	leaf.F = next.Hash()
	b, err := audit.EncodeLeaf(leaf)
	must(err)
	add("publish leaf", b)
	add("in force after the publish leaf", next.Encode())
	hash("in force after the publish leaf, hash", next.Hash())
	tree.Append(b)
	size, root := tree.Head()
	hash("root of size 6", root)

	for _, b := range orderVectors(p) {
		raw, err := order.Sign(order.Order{Cluster: c.ID(), Number: 3, Issued: 1780000060, Expires: 1780003660, Reason: "appeal", Body: b}, "o1", seeded(5))
		must(err)
		raw, err = order.Countersign(raw, "o2", seeded(6))
		must(err)
		add(string(b.Kind())+" order", raw)
		said, signers, err := order.Verify(c.Officers, c.ID(), raw, time.Unix(1780000061, 0))
		must(err)
		leaf, err := audit.NewLeaf(6, 1780000061, audit.NewOrdered(raw, said, signers))
		must(err)
		after, err := next.Apply(leaf)
		must(err)
		leaf.F = after.Hash()
		lb, err := audit.EncodeLeaf(leaf)
		must(err)
		add(string(b.Kind())+" leaf", lb)
	}
	{
		raw, err := order.Sign(order.Order{Cluster: c.ID(), Number: 3, Issued: 1780000060, Expires: 1780003660, Reason: "appeal", Body: pinVector(t)}, "o1", seeded(5))
		must(err)
		raw, err = order.Countersign(raw, "o2", seeded(6))
		must(err)
		said, signers, err := order.Verify(c.Officers, c.ID(), raw, time.Unix(1780000061, 0))
		must(err)
		leaf, err := audit.NewLeaf(6, 1780000061, audit.NewOrdered(raw, said, signers))
		must(err)
		leaf.F = next.Hash()
		lb, err := audit.EncodeLeaf(leaf)
		must(err)
		hash("pin order, SHA-256", sha256.Sum256(raw))
		hash("pin leaf, SHA-256", sha256.Sum256(lb))
	}
	back := order.Return{List: p.List, Seq: 2, Edge: p.Edge, High: 3, HighEdge: sha256.Sum256([]byte("edge 3")), Entries: []match.EntryID{{1}, {2}}}
	raw, err := order.Sign(order.Order{Cluster: c.ID(), Number: 3, Issued: 1780000060, Expires: 1780003660, Reason: "appeal", Body: back}, "o1", seeded(5))
	must(err)
	raw, err = order.Countersign(raw, "o2", seeded(6))
	must(err)
	add("return order", raw)
	said, signers, err := order.Verify(c.Officers, c.ID(), raw, time.Unix(1780000062, 0))
	must(err)
	word := audit.SignReturnVerdict(audit.ReturnVerdict{
		Cluster: c.ID(), Node: "c1", List: p.List, Edge: back.Edge, HighEdge: back.HighEdge, Entries: audit.EntriesHash(back.Entries),
	}, seeded(1))
	add("return verdict body", word.Body)
	add("return verdict signature", word.Sig)
	three := p
	three.Seq, three.Prev, three.Edge = 3, 2, back.HighEdge
	leaf, err = audit.NewLeaf(6, 1780000061, three)
	must(err)
	newest, err := next.Apply(leaf)
	must(err)
	leaf, err = audit.NewLeaf(7, 1780000062, audit.NewReturned(raw, said, signers, audit.InForceListOf(p, 5), []audit.SignedReturnVerdict{word}))
	must(err)
	after, err := newest.Apply(leaf)
	must(err)
	leaf.F = after.Hash()
	b, err = audit.EncodeLeaf(leaf)
	must(err)
	add("return leaf", b)
	add("in force after the return leaf", after.Encode())

	held := audit.SignVerdict(audit.Verdict{
		Cluster: c.ID(), Node: "c1", List: p.List, Seq: 3, Edge: p.Edge, Audit: p.Audit, EntriesRoot: p.EntriesRoot,
		Index: p.Index, NeverBlock: sha256.Sum256([]byte("never-block")), Result: "never_block",
	}, seeded(1))
	leaf, err = audit.NewLeaf(6, 1780000061, audit.Hold{
		Hotline: p.Hotline, List: p.List, Seq: 3, Edge: p.Edge, Metadata: p.Metadata, Brake: "never_block", Node: "c1", Verdicts: []audit.SignedVerdict{held},
	})
	must(err)
	leaf.F = next.Hash()
	b, err = audit.EncodeLeaf(leaf)
	must(err)
	add("hold leaf", b)

	for _, a := range adminVectors(c.ID()) {
		leaf, err = audit.NewLeaf(6, 1780000061, a)
		must(err)
		leaf.F = next.Hash()
		b, err = audit.EncodeLeaf(leaf)
		must(err)
		add(a.Act+" leaf", b)
	}
	opened := trust.Opening{
		Cluster: c.ID(), List: p.List, Seq: 2, Request: sha256.Sum256([]byte("request")), Count: 60, File: sha256.Sum256([]byte("file")),
		Recipient: audit.RecipientHash("age1reviewer"), Issued: 1780000060, Expires: 1780086460,
	}
	raw, err = trust.SignOpening(opened, seeded(7))
	must(err)
	raw, err = trust.CosignOpening(raw, seeded(8))
	must(err)
	shown, signers, err := trust.OpeningSigners(trust.Officers{Threshold: 2, Keys: []trust.OfficerKey{
		{ID: trust.KeyID(pub(7)), Public: pub(7)}, {ID: trust.KeyID(pub(8)), Public: pub(8)},
	}}, raw)
	must(err)
	leaf, err = audit.NewLeaf(6, 1780000061, audit.NewOpen(raw, shown, signers))
	must(err)
	leaf.F = next.Hash()
	b, err = audit.EncodeLeaf(leaf)
	must(err)
	add("open leaf", b)

	leaf, err = audit.NewLeaf(6, 1780000061, forkVector(t))
	must(err)
	leaf.F = next.Hash()
	b, err = audit.EncodeLeaf(leaf)
	must(err)
	add("fork leaf", b)

	r := audit.SignReceipt(audit.Receipt{
		Cluster: c.ID(), Edge: "e1", Counter: 7, State: match.StateID(sha256.Sum256([]byte("state"))), Size: size, Root: root, Time: 1780000070,
	}, seeded(4))
	add("receipt body", r.Body)
	add("receipt signature", r.Sig)

	var note []byte
	var lines [][]byte
	for i, name := range []string{"c1", "c2", "c3"} {
		s, err := audit.NewSigner(c.Origin, name, seeded(byte(i+1)))
		must(err)
		if name == "c3" {
			s, err = s.WithMLDSA(second)
			must(err)
		}
		cp := audit.Checkpoint{Origin: c.Origin, Size: size, Root: root}
		if i == 0 {
			note, err = s.Sign(cp, time.Unix(1780000080, 0))
		} else {
			var line []byte
			line, err = s.Cosign(cp, time.Unix(1780000080+int64(i), 0))
			lines = append(lines, line)
		}
		must(err)
	}
	note, err = c.Quorum().Assemble(note, lines...)
	must(err)
	add("checkpoint, SHA-256 of the note", func() []byte { h := sha256.Sum256(note); return h[:] }())
	for i, line := range strings.Split(strings.TrimSuffix(string(note), "\n"), "\n") {
		text(fmt.Sprintf("checkpoint line %d", i+1), line)
	}
	key, err := audit.VerifierKey(c.Origin, pub(1))
	must(err)
	text("verifier key of c1", key)
	key, err = audit.CosignatureKey(c.Origin, "c1", pub(1))
	must(err)
	text("cosignature key of c1", key)
	key, err = audit.MLDSAKey(c.Origin, "c3", audittest.MLDSAPublic(second))
	must(err)
	text("ML-DSA cosignature key of c3", key)
	return out
}

// adminVectors is one of each act.
func adminVectors(cluster string) []audit.Admin {
	ref := audit.AppealRef("0123456789abcdef")
	return []audit.Admin{
		audit.NewAdmin("ops", "c1", audit.Appeal{Ref: ref, List: "hotline-one/main", Entry: append([]byte{1}, make([]byte, 15)...), Received: 1780000000, Due: 1781209600}),
		audit.NewAdmin("ops", "c1", audit.SignRuling(audit.Ruling{Cluster: cluster, Ref: ref, Outcome: audit.OutcomeUpheld, At: 1780000061}, "o1", seeded(5))),
		audit.NewAdmin("", "c1", audit.Builds{Items: []audit.SignedBuild{audit.SignBuild(audit.Build{
			Cluster: cluster, Role: audit.RoleEdge, Name: "e1", Program: "cordon", Version: "v1.2.3", Digest: sha256.Sum256([]byte("program")), Time: 1780000060,
		}, seeded(4))}}),
	}
}

// pinVector pins the root of trust's golden file.
func pinVector(t *testing.T) order.Pin {
	t.Helper()
	b, err := os.ReadFile("../../listsync/trust/testdata/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	var golden struct {
		Root string `json:"pinned_root"`
	}
	if err := json.Unmarshal(b, &golden); err != nil || golden.Root == "" {
		t.Fatalf("golden file: %v", err)
	}
	return order.Pin{Hotline: "north", Root: sha256.Sum256([]byte(golden.Root)), Document: []byte(golden.Root)}
}

// orderVectors is one order of each kind that has a leaf.
func orderVectors(p audit.Publish) []order.Body {
	entries := []match.EntryID{{1}, {2}}
	return []order.Body{
		order.Approve{List: p.List, Seq: 3, Edge: p.Edge, Entries: entries, Brakes: []string{"growth", "never_block"}, NeverBlock: sha256.Sum256([]byte("never-block"))},
		order.Policy{NeverBlock: sha256.Sum256([]byte("never-block")), Count: 11},
		order.Suppress{List: p.List, Epoch: 1, Entries: entries},
		order.Bypass{},
		order.Exempt{Hash: sha256.Sum256([]byte("cordon/analysts/v1\n")), Count: 2},
		order.Certificate{From: 1780000000, To: 1780000060, Size: 6, Hash: sha256.Sum256([]byte("certificate"))},
	}
}

var update = flag.Bool("update", false, "write the vectors of LEAF.md anew")

func TestTheDocumentsVectorsAreWhatWeCompute(t *testing.T) {
	doc, err := os.ReadFile("LEAF.md")
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(doc), "```vectors\n")
	block, after, closed := strings.Cut(rest, "```")
	if !ok || !closed {
		t.Fatal("LEAF.md has no vectors")
	}
	if *update {
		block = ""
		for _, v := range vectors(t) {
			block += v[0] + " = " + v[1] + "\n"
		}
		if err := os.WriteFile("LEAF.md", []byte(before+"```vectors\n"+block+"```"+after), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	said := map[string]string{}
	for _, line := range strings.Split(strings.TrimSpace(block), "\n") {
		name, value, _ := strings.Cut(line, " = ")
		if _, twice := said[name]; twice {
			t.Errorf("%s is there twice", name)
		}
		said[name] = value
	}
	for _, v := range vectors(t) {
		if got, ok := said[v[0]]; !ok || got != v[1] {
			t.Errorf("LEAF.md has\n%s = %s\nwant\n%s = %s", v[0], got, v[0], v[1])
		}
		delete(said, v[0])
	}
	for name := range said {
		t.Errorf("LEAF.md has a vector that nothing computes: %s", name)
	}
}
