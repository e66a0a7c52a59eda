package witness

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"strings"
	"testing"

	fnote "github.com/transparency-dev/formats/note"
	"github.com/transparency-dev/formats/proof"
	fwitness "github.com/transparency-dev/formats/witness"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
	"pgregory.net/rapid"
)

// party is a key pair of a log or a witness, made from one byte.
type party struct {
	vkey   string
	signer note.Signer
}

func seed(n byte) ed25519.PrivateKey {
	s := make([]byte, ed25519.SeedSize)
	s[0] = n
	return ed25519.NewKeyFromSeed(s)
}

// skey is a private key in the form that x/mod's and formats' signers read.
func skey(name string, typ, n byte) string {
	v := vkeyOf(name, typ, seed(n).Public().(ed25519.PublicKey))
	parts := strings.SplitN(v, "+", 3)
	return "PRIVATE+KEY+" + parts[0] + "+" + parts[1] + "+" + encode64(append([]byte{typ}, seed(n).Seed()...))
}

func logParty(t testing.TB, name string, n byte) party {
	t.Helper()
	s, err := note.NewSigner(skey(name, typeLog, n))
	if err != nil {
		t.Fatal(err)
	}
	return party{vkeyOf(name, typeLog, seed(n).Public().(ed25519.PublicKey)), s}
}

// witnessParty signs with the reference implementation, at the machine's time.
func witnessParty(t testing.TB, name string, n byte) party {
	t.Helper()
	s, err := fnote.NewSignerForCosignatureV1(skey(name, typeCosigner, n))
	if err != nil {
		t.Fatal(err)
	}
	return party{vkeyOf(name, typeCosigner, seed(n).Public().(ed25519.PublicKey)), s}
}

// tree is a log's leaves, with the reference implementation's hashes.
type tree struct {
	leaves [][]byte
	hashes []tlog.Hash
}

func (tr *tree) add(leaf string) {
	h, err := tlog.StoredHashes(int64(len(tr.leaves)), []byte(leaf), tr)
	if err != nil {
		panic(err)
	}
	tr.leaves, tr.hashes = append(tr.leaves, []byte(leaf)), append(tr.hashes, h...)
}

func (tr *tree) ReadHashes(at []int64) ([]tlog.Hash, error) {
	var out []tlog.Hash
	for _, i := range at {
		out = append(out, tr.hashes[i])
	}
	return out, nil
}

func (tr *tree) text(origin string, size int) string {
	root, err := tlog.TreeHash(int64(size), tr)
	if err != nil {
		panic(err)
	}
	return fmt.Sprintf("%s\n%d\n%s\n", origin, size, encode64(root[:]))
}

func (tr *tree) consistency(old, size int) [][32]byte {
	if old == 0 || old == size {
		return nil
	}
	p, err := tlog.ProveTree(int64(size), int64(old), tr)
	if err != nil {
		panic(err)
	}
	out := make([][32]byte, len(p))
	for i, h := range p {
		out[i] = h
	}
	return out
}

func newTree(n int) *tree {
	tr := new(tree)
	for i := range n {
		tr.add(fmt.Sprintf("leaf %d", i))
	}
	return tr
}

func sign(t testing.TB, text string, by ...party) []byte {
	t.Helper()
	var signers []note.Signer
	for _, p := range by {
		signers = append(signers, p.signer)
	}
	b, err := note.Sign(&note.Note{Text: text}, signers...)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func mustLog(t testing.TB, vkeys ...string) Log {
	t.Helper()
	l, err := ParseLog(vkeys...)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func mustPolicy(t testing.TB, text string) Policy {
	t.Helper()
	p, err := ParsePolicy(text)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestPolicyOfTheSpecification is the example of c2sp.org/tlog-policy, with keys.
func TestPolicyOfTheSpecification(t *testing.T) {
	log := logParty(t, "log.example/one", 1)
	var names = []string{"X1", "X2", "X3", "Y1", "Y2", "Y3"}
	w := map[string]party{}
	text := "log " + log.vkey + "\n\n"
	for i, name := range names {
		w[name] = witnessParty(t, "witness.example/"+strings.ToLower(name), byte(10+i))
		text += "witness " + name + " " + w[name].vkey + "\n"
	}
	text += "group X-witnesses 2 X1 X2 X3\n\ngroup Y-witnesses any Y1 Y2 Y3\n\ngroup X-and-Y all X-witnesses Y-witnesses\nquorum X-and-Y\n"
	p := mustPolicy(t, text)
	l := mustLog(t, log.vkey)
	cp := newTree(7).text("log.example/one", 7)
	for _, c := range []struct {
		by   string
		want string // of the error; empty for none
	}{
		{"X1 X2 Y3", ""},
		{"X1 X2 X3 Y1 Y2 Y3", ""},
		{"X1 X2", "1 of 2 members of group X-and-Y cosigned, 2 are needed, missing: group Y-witnesses"},
		{"X1 Y1 Y2 Y3", "missing: group X-witnesses"},
		{"", "0 of 2 members"},
	} {
		by := []party{log}
		for _, name := range strings.Fields(c.by) {
			by = append(by, w[name])
		}
		b := sign(t, cp, by...)
		_, co, err := p.Open(b, l)
		if c.want == "" {
			if err != nil || strings.Join(co.By, " ") != c.by || co.Fresh.IsZero() {
				t.Errorf("cosigned by %s: got %v %v %v", c.by, co.By, co.Fresh, err)
			}
			trimmed, err := p.Trim(b, l)
			if err != nil || len(trimmed) > len(b) || strings.Count(string(trimmed), "\n— ") != 4 {
				t.Errorf("trimmed to %d lines, want the log's and three: %v", strings.Count(string(trimmed), "\n— "), err)
			}
			if _, _, err := p.Open(trimmed, l); err != nil {
				t.Errorf("the trimmed note does not open: %v", err)
			}
		} else if !errors.Is(err, ErrPolicy) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("cosigned by %q: got %v, want %s", c.by, err, c.want)
		}
	}
	other := logParty(t, "log.example/one", 2)
	if _, _, err := p.Open(sign(t, cp, other, w["X1"], w["X2"], w["Y1"]), mustLog(t, other.vkey)); !errors.Is(err, ErrPolicy) {
		t.Errorf("a log that the policy does not name: %v", err)
	}
}

func TestWhatAPolicyMustNotSay(t *testing.T) {
	l, w1, w2 := logParty(t, "log.example/one", 1), witnessParty(t, "w.example/1", 2), witnessParty(t, "w.example/2", 3)
	sameKey := witnessParty(t, "w.example/other", 2)
	for _, c := range []struct{ name, text, want string }{
		{"nothing", "", "no quorum line"},
		{"no quorum", "witness a " + w1.vkey + "\n", "no quorum line"},
		{"cut off", "quorum none", "line 1: no newline"},
		{"two quorums", "quorum none\nquorum none\n", "line 2: a second quorum"},
		{"unknown word", "# text\n\nwitnes a b\n", `line 3: "witnes" is none of`},
		{"control character", "quorum none\r\n", "line 1: control character 0x0d"},
		{"comment behind a line", "quorum none # nobody\n", "line 1: want: quorum NAME"},
		{"plain key as witness", "witness a " + l.vkey + "\nquorum none\n", "line 1: key of a witness"},
		{"witness key as log", "log " + w1.vkey + "\nquorum none\n", "line 1: key of a log"},
		{"wrong hash", "log " + strings.Replace(l.vkey, "+", "+0", 1) + "\nquorum none\n", "the hash of this name and key is"},
		{"log twice", "log " + l.vkey + "\nlog " + l.vkey + "\nquorum none\n", "line 2: the key of log"},
		{"key twice under two names", "witness a " + w1.vkey + "\nwitness b " + sameKey.vkey + "\nquorum none\n", "line 2: witness b has the key of witness a"},
		{"name twice", "witness a " + w1.vkey + "\nwitness a " + w2.vkey + "\nquorum none\n", "line 2: a is defined twice"},
		{"name none", "witness none " + w1.vkey + "\nquorum none\n", `"none" is taken`},
		{"none in a group", "group g any none\nquorum g\n", "no line above defines"},
		{"quorum above its definition", "quorum a\nwitness a " + w1.vkey + "\n", "line 1: quorum \"a\""},
		{"group of itself", "group g any g\nquorum g\n", "no line above defines"},
		{"member in two groups", "witness a " + w1.vkey + "\ngroup g any a\ngroup h any a\nquorum h\n", "line 3: a is a member of group g already"},
		{"member twice", "witness a " + w1.vkey + "\ngroup g 2 a a\nquorum g\n", "already"},
		{"more than there are", "witness a " + w1.vkey + "\ngroup g 2 a\nquorum g\n", "want all, any or 1 to 1"},
		{"zero", "witness a " + w1.vkey + "\ngroup g 0 a\nquorum g\n", "want all, any or 1 to 1"},
		{"number with a zero", "witness a " + w1.vkey + "\ngroup g 01 a\nquorum g\n", "want all, any or 1 to 1"},
		{"empty group", "group g all\nquorum g\n", "line 1: want: group"},
		{"too long", strings.Repeat("#\n", MaxPolicy), "at most"},
		{"too many", strings.Repeat("witness a b\n", 1) + "quorum none\n", "line 1: key of a witness"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := ParsePolicy(c.text)
			if err == nil || !strings.Contains(err.Error(), c.want) || !errors.Is(err, ErrFormat) && !errors.Is(err, ErrTooLarge) {
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
}

func TestPolicyMaySay(t *testing.T) {
	w := witnessParty(t, "w.example/1", 2)
	for _, text := range []string{
		"quorum none\n",
		"\t #comment\n \n quorum\t none \n",
		"witness any " + w.vkey + " https://w.example\nquorum any\n", // only "none" is taken
		"witness \xe2\x84\xaa " + w.vkey + "\nwitness K " + witnessParty(t, "w.example/1", 4).vkey + "\nquorum \xe2\x84\xaa\n",
	} {
		if _, err := ParsePolicy(text); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// TestQuorumIsTheReferencesQuorum draws policies and signers, and asks transparency-dev/formats.
func TestQuorumIsTheReferencesQuorum(t *testing.T) {
	log := logParty(t, "log.example/one", 1)
	var pool []party
	for i := range 6 {
		pool = append(pool, witnessParty(t, fmt.Sprintf("w.example/%d", i), byte(20+i)))
	}
	cp := newTree(3).text("log.example/one", 3)
	rapid.Check(t, func(rt *rapid.T) {
		var text strings.Builder
		free := []string{}
		for i, w := range pool {
			fmt.Fprintf(&text, "witness w%d %s https://w%d.example/\n", i, w.vkey, i)
			free = append(free, fmt.Sprintf("w%d", i))
		}
		for g := range rapid.IntRange(0, 4).Draw(rt, "groups") {
			n := rapid.IntRange(1, len(free)).Draw(rt, "members")
			free = rapid.Permutation(free).Draw(rt, "order")
			k := rapid.IntRange(1, n).Draw(rt, "need")
			name := fmt.Sprintf("g%d", g)
			fmt.Fprintf(&text, "group %s %d %s\n", name, k, strings.Join(free[:n], " "))
			free = append(free[n:], name)
		}
		fmt.Fprintf(&text, "quorum %s\n", rapid.SampledFrom(free).Draw(rt, "quorum"))
		by := []party{log}
		for _, w := range pool {
			if rapid.Bool().Draw(rt, "signs") {
				by = append(by, w)
			}
		}
		note := sign(t, cp, by...)
		ref, err := fwitness.ParsePolicy([]byte(text.String()))
		if err != nil {
			rt.Fatal(err)
		}
		p, err := ParsePolicy(text.String())
		if err != nil {
			rt.Fatal(err)
		}
		_, err = p.Check(note)
		if want := ref.Satisfied(note); (err == nil) != want {
			rt.Fatalf("policy\n%s\nwith %d signers: got %v, the reference says %v", text.String(), len(by)-1, err, want)
		}
	})
}

func TestMLDSAWitnessCounts(t *testing.T) {
	log := logParty(t, "log.example/one", 1)
	sk, vkey, err := fnote.GenerateMLDSAKey("w.example/pq")
	if err != nil {
		t.Fatal(err)
	}
	s, err := fnote.NewSignerForCosignatureV1(sk)
	if err != nil {
		t.Fatal(err)
	}
	pq := party{vkey, s}
	p := mustPolicy(t, "witness pq "+vkey+"\nquorum pq\n")
	cp := newTree(3).text("log.example/one", 3)
	if _, _, err := p.Open(sign(t, cp, log, pq), mustLog(t, log.vkey)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := p.Open(sign(t, cp, log), mustLog(t, log.vkey)); !errors.Is(err, ErrPolicy) {
		t.Fatalf("without its cosignature: %v", err)
	}
	moved := strings.Replace(string(sign(t, cp, log, pq)), "\n3\n", "\n2\n", 1)
	if _, err := p.Check([]byte(moved)); !errors.Is(err, ErrSignature) {
		t.Fatalf("over another size: %v", err)
	}
}

func TestLogOpensOnlyItsOwnCheckpoints(t *testing.T) {
	a, b, w := logParty(t, "log.example/one", 1), logParty(t, "log.example/two", 1), witnessParty(t, "w.example/1", 2)
	l := mustLog(t, a.vkey)
	tr := newTree(3)
	for _, c := range []struct {
		name string
		note []byte
		want error
	}{
		{"its own", sign(t, tr.text("log.example/one", 3), a, w), nil},
		{"with an extension line", sign(t, tr.text("log.example/one", 3)+"more\n", a), nil},
		{"another origin", sign(t, tr.text("log.example/two", 3), b), ErrOtherLog},
		{"another origin under its own name", sign(t, tr.text("log.example/two", 3), a), ErrOtherLog},
		{"only a witness", sign(t, tr.text("log.example/one", 3), w), ErrSignature},
		{"another text", []byte(strings.Replace(string(sign(t, tr.text("log.example/one", 3), a)), "\n3\n", "\n4\n", 1)), ErrSignature},
		{"a number with a zero", sign(t, strings.Replace(tr.text("log.example/one", 3), "\n3\n", "\n03\n", 1), a), ErrFormat},
		{"an empty line behind", sign(t, tr.text("log.example/one", 3)+"\nmore\n", a), ErrFormat},
		{"beyond all sizes", sign(t, strings.Replace(tr.text("log.example/one", 3), "\n3\n", "\n1099511627777\n", 1), a), ErrTooLarge},
		{"no note", []byte("log.example/one\n"), ErrFormat},
		{"too long", make([]byte, MaxNote+1), ErrTooLarge},
	} {
		t.Run(c.name, func(t *testing.T) {
			if cp, err := l.Open(c.note); !errors.Is(err, c.want) || err == nil && (cp.Size != 3 || cp.Origin != "log.example/one") {
				t.Errorf("got %v %v, want %v", cp, err, c.want)
			}
		})
	}
}

// TestProofIsTheReferencesProof compares with transparency-dev/formats and golang.org/x/mod/sumdb/tlog.
func TestProofIsTheReferencesProof(t *testing.T) {
	log, w := logParty(t, "log.example/one", 1), witnessParty(t, "w.example/1", 2)
	policy := mustPolicy(t, "witness w "+w.vkey+"\nquorum w\n")
	l := mustLog(t, log.vkey)
	for size := 1; size <= 9; size++ {
		tr := newTree(size)
		cp := sign(t, tr.text("log.example/one", size), log, w)
		for i := range size {
			hashes, err := tlog.ProveRecord(int64(size), int64(i), tr)
			if err != nil {
				t.Fatal(err)
			}
			ref := proof.TLogProof{Index: uint64(i), Checkpoint: cp, ExtraData: []byte("extra")}
			for _, h := range hashes {
				ref.Hashes = append(ref.Hashes, h)
			}
			p, err := ParseProof(ref.Marshal())
			if err != nil {
				t.Fatal(err)
			}
			if string(p.Encode()) != string(ref.Marshal()) {
				t.Fatalf("leaf %d of %d: encoded otherwise than the reference", i, size)
			}
			if c, co, err := p.Check(tr.leaves[i], l, policy); err != nil || c.Size != uint64(size) || len(co.By) != 1 {
				t.Fatalf("leaf %d of %d: %v %v %v", i, size, c, co, err)
			}
			if _, _, err := p.Check([]byte("another leaf"), l, policy); !errors.Is(err, ErrProof) {
				t.Fatalf("another leaf: %v", err)
			}
			p.Index++
			if _, _, err := p.Check(tr.leaves[i], l, policy); !errors.Is(err, ErrProof) {
				t.Fatalf("leaf %d of %d under the next number: %v", i, size, err)
			}
		}
		for old := 0; old <= size; old++ {
			now, then := mustOpen(t, l, cp), mustOpen(t, l, sign(t, newTree(old).text("log.example/one", old), log))
			if err := now.Continues(then, tr.consistency(old, size)); err != nil {
				t.Fatalf("%d to %d: %v", old, size, err)
			}
			then.Root[0] ^= 1
			if err := now.Continues(then, tr.consistency(old, size)); old > 0 && !errors.Is(err, ErrProof) {
				t.Fatalf("%d to %d from another root: %v", old, size, err)
			}
			if err := now.Continues(then, append(tr.consistency(old, size), [32]byte{})); !errors.Is(err, ErrProof) {
				t.Fatalf("%d to %d with a hash too many: %v", old, size, err)
			}
		}
	}
}

func mustOpen(t testing.TB, l Log, b []byte) Checkpoint {
	t.Helper()
	c, err := l.Open(b)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestFreshIsTheTimeOfTheQuorum(t *testing.T) {
	text := ""
	var names []string
	for i := range 3 {
		w := witnessParty(t, fmt.Sprintf("w.example/%d", i), byte(40+i))
		names = append(names, fmt.Sprintf("w%d", i))
		text += "witness " + names[i] + " " + w.vkey + "\n"
	}
	p := mustPolicy(t, text+"group g 2 "+strings.Join(names, " ")+"\nquorum g\n")
	at, by, ok := p.weigh(*p.quorum, map[int]int64{0: 100, 1: 300, 2: 200})
	if !ok || at != 200 || fmt.Sprint(by) != "[1 2]" {
		t.Errorf("got %d by %v", at, by)
	}
}
