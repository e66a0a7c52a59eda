package oprf

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/cloudflare/circl/group"
	"github.com/cloudflare/circl/oprf"
)

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The vectors of RFC 9497, appendix A.1.2: our key gives the same public key and outputs, and our reader takes the same elements.
func TestTheVectorsOfTheRFC(t *testing.T) {
	raw, err := os.ReadFile("testdata/rfc9497.json")
	if err != nil {
		t.Fatal(err)
	}
	var v struct {
		SkSm, PkSm, Identifier string
		Vectors                []struct {
			Batch                                                   int
			Blind, BlindedElement, EvaluationElement, Input, Output string
		}
	}
	if err := json.Unmarshal(raw, &v); err != nil {
		t.Fatal(err)
	}
	if v.Identifier != Suite || len(v.Vectors) == 0 {
		t.Fatalf("vectors of %q: %d", v.Identifier, len(v.Vectors))
	}
	key, err := OpenKey(unhex(t, v.SkSm))
	if err != nil {
		t.Fatal(err)
	}
	if pub := key.Public(); hex.EncodeToString(pub[:]) != v.PkSm {
		t.Errorf("public key: got %x, want %s", pub, v.PkSm)
	}
	for i, x := range v.Vectors {
		inputs, outputs := strings.Split(x.Input, ","), strings.Split(x.Output, ",")
		blinded, evaluated := strings.Split(x.BlindedElement, ","), strings.Split(x.EvaluationElement, ",")
		for j := range inputs {
			got, err := key.Full(unhex(t, inputs[j]))
			if err != nil || !bytes.Equal(got[:], unhex(t, outputs[j])[:Size]) {
				t.Errorf("vector %d.%d: output %x, %v; want the start of %s", i, j, got, err, outputs[j])
			}
			question := bytes.Repeat(unhex(t, blinded[j]), Elements)
			answer, err := key.Answer(question)
			if err != nil || hex.EncodeToString(answer[:element]) != evaluated[j] {
				t.Errorf("vector %d.%d: evaluation %x, %v; want %s", i, j, answer[:element], err, evaluated[j])
			}
			// The client's side with the RFC's blind: the element that is sent.
			client := oprf.NewVerifiableClient(suite, key.server.PublicKey())
			blind := group.Ristretto255.NewScalar()
			if err := blind.UnmarshalBinary(unhex(t, strings.Split(x.Blind, ",")[j])); err != nil {
				t.Fatal(err)
			}
			_, req, err := client.DeterministicBlind([][]byte{unhex(t, inputs[j])}, []oprf.Blind{blind})
			if err != nil {
				t.Fatal(err)
			}
			if b, err := appendElements(nil, req.Elements); err != nil || hex.EncodeToString(b) != blinded[j] {
				t.Errorf("vector %d.%d: blinded %x, want %s", i, j, b, blinded[j])
			}
		}
	}
}

func newKey(t testing.TB) *Key {
	t.Helper()
	b, err := NewKey()
	if err != nil {
		t.Fatal(err)
	}
	k, err := OpenKey(b)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestWhatIsAskedBlindlyIsWhatTheHotlineComputes(t *testing.T) {
	k := newKey(t)
	inputs := [][]byte{Input("hotline-one/main", 0, "bad.test"), Input("hotline-one/main", 1, "bad.test/page")}
	q, err := Ask(k.Public(), inputs)
	if err != nil || len(q.Bytes) != QuestionSize {
		t.Fatalf("question of %d bytes, %v", len(q.Bytes), err)
	}
	answer, err := k.Answer(q.Bytes)
	if err != nil || len(answer) != AnswerSize {
		t.Fatalf("answer of %d bytes, %v", len(answer), err)
	}
	got, err := q.Read(answer)
	if err != nil || len(got) != 2 {
		t.Fatalf("got %x, %v", got, err)
	}
	for i, in := range inputs {
		if want, err := k.Full(in); err != nil || got[i] != want {
			t.Errorf("input %d: got %x, want %x (%v)", i, got[i], want, err)
		}
	}
	again, err := Ask(k.Public(), inputs)
	if err != nil || bytes.Equal(again.Bytes[:element], q.Bytes[:element]) {
		t.Errorf("the same question twice can be told (%v)", err)
	}
}

func TestAServiceThatCheatsIsCaught(t *testing.T) {
	k, other := newKey(t), newKey(t)
	ask := func() *Question {
		q, err := Ask(k.Public(), [][]byte{Input("hotline-one/main", 0, "bad.test")})
		if err != nil {
			t.Fatal(err)
		}
		return q
	}
	q := ask()
	good, err := k.Answer(q.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	wrongKey, err := other.Answer(q.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	replayed, err := k.Answer(ask().Bytes)
	if err != nil {
		t.Fatal(err)
	}
	change := func(f func(b []byte)) []byte { b := bytes.Clone(good); f(b); return b }
	for _, c := range []struct {
		name   string
		answer []byte
		want   error
	}{
		{"with another key", wrongKey, ErrProof},
		{"the answer to another question", replayed, ErrProof},
		{"two evaluations changed places", change(func(b []byte) { copy(b[:element], good[element:2*element]); copy(b[element:], good[:element]) }), ErrProof},
		{"a wrong proof", change(func(b []byte) { b[AnswerSize-1-element] ^= 1; b[AnswerSize-element] ^= 1 }), ErrProof},
		{"evaluations of one key and the proof of another", append(bytes.Clone(wrongKey[:QuestionSize]), good[QuestionSize:]...), ErrProof},
		{"an identity", change(func(b []byte) { clear(b[:element]) }), ErrFormat},
		{"no element", change(func(b []byte) { copy(b, bytes.Repeat([]byte{0xff}, element)) }), ErrFormat},
		{"cut off", good[:AnswerSize-1], ErrFormat},
		{"nothing", nil, ErrFormat},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got, err := q.Read(c.answer); !errors.Is(err, c.want) {
				t.Errorf("got %x, %v; want %v", got, err, c.want)
			}
		})
	}
	if _, err := q.Read(good); err != nil {
		t.Errorf("the honest answer: %v", err)
	}
}

func TestQuestionsAndKeysOutOfFormAreRefused(t *testing.T) {
	k := newKey(t)
	for name, b := range map[string][]byte{"empty": nil, "zeros": make([]byte, QuestionSize), "short": make([]byte, QuestionSize-1), "long": make([]byte, QuestionSize+element)} {
		if _, err := k.Answer(b); !errors.Is(err, ErrFormat) {
			t.Errorf("question %s: %v", name, err)
		}
	}
	for name, b := range map[string][]byte{"empty": nil, "zero": make([]byte, 32), "beyond the order": bytes.Repeat([]byte{0xff}, 32)} {
		if _, err := OpenKey(b); !errors.Is(err, ErrFormat) {
			t.Errorf("key %s: %v", name, err)
		}
	}
	if _, err := Ask([32]byte{}, [][]byte{{1}}); !errors.Is(err, ErrFormat) {
		t.Errorf("the identity as a public key: %v", err)
	}
	for _, n := range []int{0, Elements + 1} {
		if _, err := Ask(k.Public(), make([][]byte, n)); !errors.Is(err, ErrFormat) {
			t.Errorf("%d inputs: %v", n, err)
		}
	}
}

func FuzzAnswer(f *testing.F) {
	k := newKey(f)
	q, err := Ask(k.Public(), [][]byte{{1}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(q.Bytes)
	f.Fuzz(func(t *testing.T, b []byte) {
		if a, err := k.Answer(b); err == nil && len(a) != AnswerSize || err != nil && !errors.Is(err, ErrFormat) {
			t.Fatalf("%d bytes, %v", len(a), err)
		}
	})
}

func FuzzRead(f *testing.F) {
	k := newKey(f)
	q, err := Ask(k.Public(), [][]byte{{1}})
	if err != nil {
		f.Fatal(err)
	}
	good, err := k.Answer(q.Bytes)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, err := q.Read(b); err == nil && !bytes.Equal(b, good) {
			t.Fatal("believed another answer") // a second proof of the same would need the key
		}
	})
}

func BenchmarkFull(b *testing.B) {
	k := newKey(b)
	in := Input("hotline-one/main", 0, "some-name.example.test")
	for b.Loop() {
		if _, err := k.Full(in); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkFullP256(b *testing.B) {
	k, err := oprf.GenerateKey(oprf.SuiteP256, strings.NewReader(strings.Repeat("x", 1000)))
	if err != nil {
		b.Fatal(err)
	}
	s := oprf.NewVerifiableServer(oprf.SuiteP256, k)
	for b.Loop() {
		if _, err := s.FullEvaluate([]byte("some-name.example.test")); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAnswer(b *testing.B) {
	k := newKey(b)
	q, err := Ask(k.Public(), [][]byte{{1}})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := k.Answer(q.Bytes); err != nil {
			b.Fatal(err)
		}
	}
}
