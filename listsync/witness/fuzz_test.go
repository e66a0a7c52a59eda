package witness

import (
	"bytes"
	"testing"
)

// FuzzParsePolicy: what parses is one policy, and its text parses again to as many parts.
func FuzzParsePolicy(f *testing.F) {
	w := witnessParty(f, "w.example/1", 2).vkey
	f.Add("log " + logParty(f, "log.example/one", 1).vkey + "\nwitness a " + w + " https://w.example\ngroup g any a\nquorum g\n")
	f.Add("# comment\nquorum none\n")
	f.Fuzz(func(t *testing.T, text string) {
		p, err := ParsePolicy(text)
		if err != nil {
			return
		}
		again, err := ParsePolicy(p.String())
		if err != nil || len(again.Witnesses) != len(p.Witnesses) || len(again.Asked()) != len(p.Asked()) {
			t.Fatalf("parsed once, then: %v", err)
		}
		if len(p.Asked()) > len(p.Witnesses) || p.NeedsWitness() && len(p.Asked()) == 0 {
			t.Fatalf("asks %d of %d witnesses", len(p.Asked()), len(p.Witnesses))
		}
		cp := sign(t, newTree(3).text("log.example/one", 3), logParty(t, "log.example/one", 1))
		if _, err := p.Check(cp); (err == nil) == p.NeedsWitness() {
			t.Fatalf("a checkpoint without cosignatures: %v", err)
		}
	})
}

// FuzzParseProof: what parses has one spelling, and is no proof of a leaf that nobody logged.
func FuzzParseProof(f *testing.F) {
	log := logParty(f, "log.example/one", 1)
	cp := sign(f, newTree(2).text("log.example/one", 2), log)
	f.Add(Proof{Index: 1, Hashes: [][32]byte{{1}}, Checkpoint: cp}.Encode())
	f.Add(Proof{Extra: []byte{}, Index: 0, Checkpoint: cp}.Encode())
	l := mustLog(f, log.vkey)
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := ParseProof(b)
		if err != nil {
			return
		}
		if !bytes.Equal(p.Encode(), b) {
			t.Fatalf("read %q, written %q", b, p.Encode())
		}
		if _, _, err := p.Check([]byte("never logged"), l, Policy{}); err == nil {
			t.Fatal("proves a leaf that was never logged")
		}
	})
}

// FuzzParseRequest: what parses has one spelling.
func FuzzParseRequest(f *testing.F) {
	log := logParty(f, "log.example/one", 1)
	f.Add(Request{Old: 1, Proof: [][32]byte{{1}}, Note: sign(f, newTree(2).text("log.example/one", 2), log)}.Encode())
	f.Add([]byte("old 0\n\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, err := ParseRequest(b); err == nil && !bytes.Equal(r.Encode(), b) {
			t.Fatalf("read %q, written %q", b, r.Encode())
		}
	})
}
