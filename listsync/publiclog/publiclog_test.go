package publiclog_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"flag"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/cordon-project/cordon/listsync/publiclog"
	"github.com/cordon-project/cordon/listsync/publiclog/publiclogtest"
	"github.com/cordon-project/cordon/listsync/trust"
	"github.com/cordon-project/cordon/listsync/witness"
)

const origin = "canary.hotline-one.test/hotline-one/log"

func key(b byte) ed25519.PrivateKey { return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{b}, 32)) }

func fill(b byte) (h [32]byte) {
	for i := range h {
		h[i] = b
	}
	return h
}

func leaf(seq uint64) publiclog.Leaf {
	l := publiclog.Leaf{List: "hotline-one/main", Seq: seq, Prev: seq - 1, Epoch: 1, Edge: fill(1), Audit: fill(2), EntriesRoot: fill(3), Role: fill(4)}
	if seq > 1 {
		l.Edge = fill(byte(3 + seq))
	}
	return l
}

// filled is a log with the versions 1 to n.
func filled(n uint64) *publiclogtest.Log {
	l := publiclogtest.New(origin, key(0x0b))
	for seq := uint64(1); seq <= n; seq++ {
		l.Append(leaf(seq).Encode())
	}
	return l
}

var update = flag.Bool("update", false, "write the vectors of PUBLICLOG.md anew")

func TestVectors(t *testing.T) {
	log := filled(2)
	proof := log.Proof(1, 2, log.Head(1))
	encoded, err := proof.Encode()
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	text := func(name, s string) {
		for line := range strings.Lines(s) {
			want = append(want, name+" | "+strings.TrimSuffix(line, "\n"))
		}
	}
	want = append(want, "key = "+log.VKey())
	text("leaf 0", string(leaf(1).Encode()))
	text("tlog-proof", proof.Proof)
	want = append(want, "proof = "+hex.EncodeToString(encoded))
	doc, err := os.ReadFile("PUBLICLOG.md")
	if err != nil {
		t.Fatal(err)
	}
	head, _, _ := strings.Cut(string(doc), "```vectors\n")
	full := head + "```vectors\n" + strings.Join(want, "\n") + "\n```\n"
	if *update {
		if err := os.WriteFile("PUBLICLOG.md", []byte(full), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if string(doc) != full && !*update {
		t.Errorf("PUBLICLOG.md does not have these vectors:\n%s", strings.Join(want, "\n"))
	}
}

func TestLeafHasOneForm(t *testing.T) {
	good := string(leaf(2).Encode())
	if l, err := publiclog.ParseLeaf([]byte(good)); err != nil || l != leaf(2) {
		t.Fatalf("got %+v, %v", l, err)
	}
	for name, s := range map[string]string{
		"nothing":         "",
		"no last line":    strings.TrimSuffix(good, "\n"),
		"a line more":     good + "\n",
		"another header":  strings.Replace(good, "v1", "v2", 1),
		"a leading zero":  strings.Replace(good, "\n2\n", "\n02\n", 1),
		"a sign":          strings.Replace(good, "\n2\n", "\n+2\n", 1),
		"prev not below":  strings.Replace(good, "\n2\n1\n", "\n1\n1\n", 1),
		"seq 0":           strings.Replace(good, "\n2\n1\n", "\n0\n0\n", 1),
		"a long epoch":    strings.Replace(good, "\n1\n1\n", "\n1\n4294967296\n", 1),
		"capitals":        strings.Replace(good, "05", "0A", 1),
		"a short hash":    strings.Replace(good, "0505", "05", 1),
		"another list id": strings.Replace(good, "hotline-one/main", "hotline-one", 1),
		"too long":        good + strings.Repeat("0", publiclog.MaxLeaf),
	} {
		t.Run(name, func(t *testing.T) {
			if l, err := publiclog.ParseLeaf([]byte(s)); err == nil {
				t.Errorf("taken as %+v", l)
			}
		})
	}
}

func TestProofShowsTheVersionAndThatTheLogOnlyGrew(t *testing.T) {
	log := filled(300)
	for _, test := range []struct{ n, size, from uint64 }{{0, 1, 0}, {1, 2, 1}, {1, 2, 0}, {1, 2, 2}, {299, 300, 255}, {255, 256, 255}, {3, 300, 256}, {299, 300, 300}} {
		p := log.Proof(test.n, test.size, log.Head(test.from))
		b, err := p.Encode()
		if err != nil {
			t.Fatal(err)
		}
		again, err := publiclog.DecodeProof(b)
		if err != nil {
			t.Fatal(err)
		}
		v, err := again.Verify(publiclog.Expect{Leaf: leaf(test.n + 1), Log: log.VKey(), Before: log.Head(test.from)})
		if err != nil || v.Head != log.Head(test.size) || v.Index != test.n {
			t.Errorf("%+v: got %+v, %v", test, v, err)
		}
		if h, err := publiclog.HeadOf(b); err != nil || h.Head != v.Head || h.Index != v.Index {
			t.Errorf("%+v: its head: got %+v, %v", test, h, err)
		}
	}
}

func TestFalseProofsAreRefused(t *testing.T) {
	log := filled(5)
	before := log.Head(3)
	expect := publiclog.Expect{Leaf: leaf(5), Log: log.VKey(), Before: before}
	other := publiclogtest.New("canary.other.test/other/log", key(0x0c))
	other.Leaves = log.Leaves
	thief := publiclogtest.New(origin, key(0x0c)) // the log's name under another key
	thief.Leaves = log.Leaves
	rewritten := log.Fork(2)
	for _, seq := range []uint64{9, 4, 5} {
		rewritten.Append(leaf(seq).Encode())
	}
	shorter := log.Fork(2)
	shorter.Append(leaf(5).Encode())
	edit := func(p publiclog.Proof, from, to string) publiclog.Proof {
		p.Proof = strings.Replace(p.Proof, from, to, 1)
		return p
	}
	good := log.Proof(4, 5, before)
	extended := good
	tp, err := witness.ParseProof([]byte(good.Proof))
	if err != nil {
		t.Fatal(err)
	}
	text, _, _ := strings.Cut(string(tp.Checkpoint), "\n\n")
	tp.Checkpoint = log.Sign(text + "\nwords of a stranger\n")
	extended.Proof = string(tp.Encode())
	cosigned := log.Fork(5)
	cosigned.Cosigners = []publiclogtest.Cosigner{{Name: "stranger.test/w", Key: key(0x33), At: time.Unix(1780000000, 0)}}
	for name, test := range map[string]struct {
		p    publiclog.Proof
		x    publiclog.Expect
		is   error
		pass bool
	}{
		"none at all is the good one":      {p: good, x: expect, pass: true},
		"of another leaf":                  {p: log.Proof(3, 5, before), x: expect, is: witness.ErrProof},
		"of another log":                   {p: other.Proof(4, 5, publiclog.Head{}), x: expect, is: witness.ErrOtherLog},
		"of another log under this key":    {p: func() publiclog.Proof { p := other.Proof(4, 5, publiclog.Head{}); p.Log = log.VKey(); return p }(), x: expect},
		"signed by a thief":                {p: func() publiclog.Proof { p := thief.Proof(4, 5, publiclog.Head{}); p.Log = log.VKey(); return p }(), x: expect, is: witness.ErrSignature},
		"of a rewritten log":               {p: rewritten.Proof(4, 5, rewritten.Head(3)), x: expect, is: witness.ErrProof},
		"of a log that lost a leaf":        {p: shorter.Proof(2, 3, publiclog.Head{}), x: expect, is: publiclog.ErrStale},
		"a size 3 that is another 3":       {p: shorter.Proof(2, 3, shorter.Head(3)), x: expect, is: witness.ErrProof},
		"replayed":                         {p: log.Proof(2, 3, log.Head(2)), x: publiclog.Expect{Leaf: leaf(3), Log: log.VKey(), Before: before}, is: publiclog.ErrStale},
		"that says nothing of before":      {p: log.Proof(4, 5, publiclog.Head{}), x: expect, is: publiclog.ErrStale},
		"with extra data":                  {p: edit(good, "\nindex", "\nextra AAAA\nindex"), x: expect, is: witness.ErrFormat},
		"with another index":               {p: edit(good, "index 4", "index 3"), x: expect, is: witness.ErrProof},
		"with a changed root":              {p: edit(good, "\n5\n", "\n6\n"), x: expect, is: witness.ErrSignature},
		"with an extension line":           {p: extended, x: expect, is: witness.ErrFormat},
		"with a stranger's cosignature":    {p: cosigned.Proof(4, 5, before), x: expect, is: witness.ErrFormat},
		"under a charter with another log": {p: good, x: publiclog.Expect{Leaf: leaf(5), Log: thief.VKey()}, is: witness.ErrOtherLog},
		"of a key that is new: from 0":     {p: thief.Proof(4, 5, before), x: publiclog.Expect{Leaf: leaf(5), Log: thief.VKey(), Before: before}, pass: true},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := test.p.Verify(test.x)
			if test.pass != (err == nil) || !test.pass && (!errors.Is(err, publiclog.ErrProof) || trust.Reason(err) != "public_log") {
				t.Fatalf("got %v", err)
			}
			if test.is != nil && !errors.Is(err, test.is) {
				t.Errorf("got %v, want %v", err, test.is)
			}
		})
	}
}

func TestWitnessesOfThePolicyMustHaveCosigned(t *testing.T) {
	at := time.Unix(1780000000, 0)
	one, two := publiclogtest.Cosigner{Name: "one.test/w", Key: key(0x31), At: at}, publiclogtest.Cosigner{Name: "two.test/w", Key: key(0x32), At: at}
	log := filled(3)
	expect := publiclog.Expect{Leaf: leaf(3), Log: log.VKey(), Policy: publiclogtest.Policy(one, two)}
	for name, test := range map[string]struct {
		by   []publiclogtest.Cosigner
		want error
	}{
		"both": {[]publiclogtest.Cosigner{one, two}, nil}, "one": {[]publiclogtest.Cosigner{one}, witness.ErrPolicy}, "nobody": {nil, witness.ErrPolicy},
		"the same one twice":     {[]publiclogtest.Cosigner{one, one}, witness.ErrPolicy},
		"one and a thief of two": {[]publiclogtest.Cosigner{one, {Name: two.Name, Key: key(0x33), At: at}}, witness.ErrPolicy},
	} {
		t.Run(name, func(t *testing.T) {
			log := log.Fork(3)
			log.Cosigners = test.by
			if _, err := log.Proof(2, 3, publiclog.Head{}).Verify(expect); !errors.Is(err, test.want) {
				t.Errorf("got %v, want %v", err, test.want)
			}
		})
	}
}

func TestProofHasOneFormAndABound(t *testing.T) {
	log := filled(2)
	b, err := log.Proof(1, 2, log.Head(1)).Encode()
	if err != nil {
		t.Fatal(err)
	}
	for name, bad := range map[string][]byte{
		"nothing": nil, "cut off": b[:len(b)-1], "more behind it": append(bytes.Clone(b), 0), "too long": make([]byte, publiclog.MaxProof+1),
		"another version": bytes.Replace(b, []byte("\x61v\x01"), []byte("\x61v\x02"), 1),
		"a long number":   bytes.Replace(b, []byte("\x61v\x01"), []byte("\x61v\x18\x01"), 1),
	} {
		if p, err := publiclog.DecodeProof(bad); err == nil {
			t.Errorf("%s: taken as %+v", name, p)
		}
	}
	if _, err := (publiclog.Proof{Proof: strings.Repeat("x", publiclog.MaxProof)}).Encode(); trust.Reason(err) != "too_large" {
		t.Errorf("an oversized proof: got %v", err)
	}
}

func FuzzLeaf(f *testing.F) {
	f.Add(leaf(2).Encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		if l, err := publiclog.ParseLeaf(b); err == nil && !bytes.Equal(l.Encode(), b) {
			t.Fatalf("%q reads as %+v", b, l)
		}
	})
}

func FuzzProof(f *testing.F) {
	log := filled(3)
	b, _ := log.Proof(2, 3, log.Head(1)).Encode()
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := publiclog.DecodeProof(b)
		if err != nil {
			return
		}
		if again, err := p.Encode(); err != nil || !bytes.Equal(again, b) {
			t.Fatalf("another form: %v", err)
		}
		if v, err := p.Verify(publiclog.Expect{Leaf: leaf(3), Log: log.VKey(), Before: log.Head(1)}); err == nil && (v.Size < 3 || v.Index != 2) {
			t.Fatalf("got %+v", v)
		}
		_, _ = publiclog.HeadOf(b)
	})
}
