// Package oprf is the keyed function behind private lookups: a verifiable oblivious pseudorandom function (RFC 9497, mode VOPRF, suite
// ristretto255-SHA512). The hotline has the key and computes outputs of what it lists; an auditor blinds what he asks for, the hotline's
// service evaluates it without learning what it is, and proves that it used the key whose public part officers have signed.
//
// In come expressions at the hotline, and blinded elements from anywhere; out come outputs of Size bytes, evaluations with a proof, or
// ErrFormat and ErrProof. Questions and answers have one size each, so they tell nothing of what is asked.
package oprf

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"

	"github.com/cloudflare/circl/group"
	"github.com/cloudflare/circl/oprf"
	"github.com/cloudflare/circl/zk/dleq"

	"github.com/cordon-project/cordon/resolver/canon"
	"github.com/cordon-project/cordon/resolver/match"
)

// Suite is the one suite; KEYS.md and the metadata name it.
const Suite = "ristretto255-SHA512"

const (
	Size     = 16 // of an output as it is kept and compared: the first bytes of the function's 64
	Elements = 16 // in every question, whatever is asked

	element   = 32 // a ristretto255 element or scalar
	proofSize = 2 * element

	// QuestionSize and AnswerSize are what every question and answer has.
	QuestionSize = Elements * element
	AnswerSize   = Elements*element + proofSize

	inputTag = "cordon/private/v1\n"
)

var (
	// ErrFormat: not a key, question or answer.
	ErrFormat = errors.New("malformed")
	// ErrProof: the answer was not made with the key that officers have signed, or not for this question.
	ErrProof = errors.New("proof does not verify")
)

var suite = oprf.SuiteRistretto255

// Output is what is kept of an output.
type Output [Size]byte

// Input is what the function is asked about: the tag, the list (u8 length before it), the kind class and the expression, as gate hashes have them.
func Input(l match.ListID, c canon.Class, expression string) []byte {
	b := append([]byte(nil), inputTag...)
	b = append(b, byte(len(l)))
	b = append(b, l...)
	b = append(b, byte(c))
	return append(b, expression...)
}

// Key is the hotline's. Any number of goroutines may use it.
type Key struct{ server oprf.VerifiableServer }

// NewKey makes a key and gives its 32 bytes for keeping.
func NewKey() ([]byte, error) {
	k, err := oprf.GenerateKey(suite, rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make key: %w", err)
	}
	return k.MarshalBinary()
}

// OpenKey reads what NewKey gave.
func OpenKey(b []byte) (*Key, error) {
	k := new(oprf.PrivateKey)
	if len(b) != element || k.UnmarshalBinary(suite, b) != nil {
		return nil, fmt.Errorf("open key: %w", ErrFormat)
	}
	if again, err := k.MarshalBinary(); err != nil || !bytes.Equal(again, b) {
		return nil, fmt.Errorf("open key: %w", ErrFormat)
	}
	k.Public() // made once here: circl keeps it without a lock
	return &Key{oprf.NewVerifiableServer(suite, k)}, nil
}

// Public is the key's public part.
func (k *Key) Public() [32]byte {
	b, err := k.server.PublicKey().MarshalBinary()
	if err != nil {
		panic("oprf: public key: " + err.Error())
	}
	return [32]byte(b)
}

// Full computes the output for an input itself, as the hotline does when it publishes.
func (k *Key) Full(input []byte) (Output, error) {
	b, err := k.server.FullEvaluate(input)
	if err != nil {
		return Output{}, fmt.Errorf("evaluate: %w", ErrFormat)
	}
	return Output(b[:Size]), nil
}

// Answer evaluates a question and proves it.
func (k *Key) Answer(question []byte) ([]byte, error) {
	elements, err := readElements(question, QuestionSize)
	if err != nil {
		return nil, fmt.Errorf("answer: %w", err)
	}
	e, err := k.server.Evaluate(&oprf.EvaluationRequest{Elements: elements})
	if err != nil {
		return nil, fmt.Errorf("answer: %w", ErrFormat)
	}
	out, err := appendElements(make([]byte, 0, AnswerSize), e.Elements)
	if err != nil {
		return nil, fmt.Errorf("answer: %w", err)
	}
	proof, err := e.Proof.MarshalBinary()
	if err != nil || len(proof) != proofSize {
		return nil, fmt.Errorf("answer: proof of %d bytes: %w", len(proof), ErrFormat)
	}
	return append(out, proof...), nil
}

// Question is what is asked, and what it takes to read the answer. It is for one goroutine.
type Question struct {
	Bytes []byte // what is sent: QuestionSize

	client oprf.VerifiableClient
	data   *oprf.FinalizeData
	n      int
}

// Ask blinds 1 to Elements inputs for the service whose public key officers have signed; random ones fill the question up.
func Ask(public [32]byte, inputs [][]byte) (*Question, error) {
	if len(inputs) < 1 || len(inputs) > Elements {
		return nil, fmt.Errorf("ask about %d inputs, 1 to %d: %w", len(inputs), Elements, ErrFormat)
	}
	pub := new(oprf.PublicKey)
	if pub.UnmarshalBinary(suite, public[:]) != nil {
		return nil, fmt.Errorf("ask: the public key: %w", ErrFormat)
	}
	all := append([][]byte(nil), inputs...)
	for len(all) < Elements {
		fill := make([]byte, 32)
		if _, err := rand.Read(fill); err != nil {
			return nil, fmt.Errorf("ask: %w", err)
		}
		all = append(all, fill)
	}
	q := &Question{client: oprf.NewVerifiableClient(suite, pub), n: len(inputs)}
	data, request, err := q.client.Blind(all)
	if err != nil {
		return nil, fmt.Errorf("ask: %w", ErrFormat)
	}
	q.data = data
	q.Bytes, err = appendElements(make([]byte, 0, QuestionSize), request.Elements)
	return q, err
}

// Read verifies an answer and gives the outputs of the inputs, in their order.
func (q *Question) Read(answer []byte) ([]Output, error) {
	if len(answer) != AnswerSize {
		return nil, fmt.Errorf("read answer of %d bytes: %w", len(answer), ErrFormat)
	}
	elements, err := readElements(answer[:AnswerSize-proofSize], AnswerSize-proofSize)
	if err != nil {
		return nil, fmt.Errorf("read answer: %w", err)
	}
	proof := new(dleq.Proof)
	if proof.UnmarshalBinary(group.Ristretto255, answer[AnswerSize-proofSize:]) != nil {
		return nil, fmt.Errorf("read answer: %w", ErrProof)
	}
	outputs, err := q.client.Finalize(q.data, &oprf.Evaluation{Elements: elements, Proof: proof})
	if err != nil {
		return nil, fmt.Errorf("read answer: %w", ErrProof)
	}
	out := make([]Output, q.n)
	for i := range out {
		out[i] = Output(outputs[i][:Size])
	}
	return out, nil
}

// readElements reads elements in their one encoding; the identity is none.
func readElements(b []byte, size int) ([]group.Element, error) {
	if len(b) != size {
		return nil, fmt.Errorf("%d bytes, want %d: %w", len(b), size, ErrFormat)
	}
	out := make([]group.Element, 0, size/element)
	for at := 0; at < size; at += element {
		e := group.Ristretto255.NewElement()
		if e.UnmarshalBinary(b[at:at+element]) != nil || e.IsIdentity() {
			return nil, fmt.Errorf("element %d: %w", at/element, ErrFormat)
		}
		if again, err := e.MarshalBinaryCompress(); err != nil || !bytes.Equal(again, b[at:at+element]) {
			return nil, fmt.Errorf("element %d: %w", at/element, ErrFormat)
		}
		out = append(out, e)
	}
	return out, nil
}

func appendElements(b []byte, elements []group.Element) ([]byte, error) {
	for _, e := range elements {
		one, err := e.MarshalBinaryCompress()
		if err != nil || len(one) != element {
			return nil, fmt.Errorf("element of %d bytes: %w", len(one), ErrFormat)
		}
		b = append(b, one...)
	}
	return b, nil
}
