package audit

import (
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/fxamacker/cbor/v2"
)

// Admin records what the operator's people and machines state about their own work: a complaint that came in, what became of it, which
// program a node runs. Nothing in force depends on it, and there is no act that changes a list.
type Admin struct {
	Act  string          `cbor:"act"`
	By   string          `cbor:"by"`   // the operator who handed it in, by the certificate's name; empty for what nodes say of themselves
	Node string          `cbor:"node"` // control node that took it
	D    cbor.RawMessage `cbor:"d"`    // the act's own fields

	Said Act `cbor:"-"` // what D says
}

// Act is what an Admin leaf records; the set of types is closed: Appeal, Decision, Builds, by value.
type Act interface {
	act() string
	check() error
}

// The acts.
const (
	ActAppeal   = "appeal"   // a complaint came in
	ActDecision = "decision" // what became of one
	ActBuild    = "build"    // nodes say which program they run
)

const (
	// MaxAppealTime is the longest time from the receipt of an appeal to the day when it is due, and how late it may be registered.
	MaxAppealTime = 366 * 24 * time.Hour
	// MaxBuilds is how many nodes' builds one leaf holds, each of about 350 bytes.
	MaxBuilds = 100

	decisionTag = "cordon/decision/v1\n"
	buildTag    = "cordon/build/v1\n"

	// adminSkew is how far a clock that an act names may be ahead of the cluster's.
	adminSkew = 10 * 60
)

// ErrAdmin: an act does not fit what the log says of appeals and builds so far.
var ErrAdmin = errors.New("does not fit the register")

// NewAdmin fills the body of an act.
func NewAdmin(by, node string, said Act) Admin {
	return Admin{Act: said.act(), By: by, Node: node, D: encode(said), Said: said}
}

func (Admin) kind() Kind { return KindAdmin }

func (a Admin) check() error {
	said, err := decodeAct(a.Act, a.D)
	if err != nil {
		return err
	}
	if err := checkName("node", a.Node); err != nil {
		return err
	}
	if _, own := said.(Builds); own {
		if a.By != "" {
			return fmt.Errorf("build of a person: %w", ErrFormat)
		}
		return nil
	}
	return checkName("operator", a.By)
}

// fill reads the act after decoding.
func (a Admin) fill() Admin {
	if said, err := decodeAct(a.Act, a.D); err == nil {
		a.Said = said
	}
	return a
}

func decodeAct(act string, d []byte) (Act, error) {
	switch act {
	case ActAppeal:
		return readAct[Appeal](act, d)
	case ActDecision:
		return readAct[Decision](act, d)
	case ActBuild:
		return readAct[Builds](act, d)
	}
	return nil, fmt.Errorf("act %q: %w", clip(act), ErrFormat)
}

func readAct[A Act](act string, d []byte) (Act, error) {
	var a A
	if err := decode(d, MaxLeaf, act, &a); err != nil {
		return nil, err
	}
	if err := a.check(); err != nil {
		return nil, fmt.Errorf("%s: %w", act, err)
	}
	return a, nil
}

// DecodeAdmin reads the fields of an act as NewAdmin wrote them, and holds all of it to its form. It verifies no signature.
func DecodeAdmin(act, by, node string, d []byte) (Admin, error) {
	a := Admin{Act: act, By: by, Node: node, D: slices.Clone(d)}.fill()
	if err := a.check(); err != nil {
		return Admin{}, fmt.Errorf("decode admin: %w", err)
	}
	return a, nil
}

// describe says in words what the act records.
func (a Admin) describe() string {
	switch said := a.Said.(type) {
	case Appeal:
		s := fmt.Sprintf("appeal %s received %s, due %s, registered by %s", said.Ref, stamp(said.Received), stamp(said.Due), a.By)
		if said.List != "" {
			s += ", about list " + string(said.List)
		}
		if len(said.Entry) > 0 {
			s += ", entry " + hex.EncodeToString(said.Entry)
		}
		return s
	case Decision:
		r, err := said.Ruling()
		if err != nil {
			return err.Error()
		}
		return fmt.Sprintf("appeal %s %s at %s, decided by %s", r.Ref, r.Outcome, stamp(r.At), strings.Join(said.Officers(), " and "))
	case Builds:
		parts := make([]string, 0, len(said.Items))
		for _, item := range said.Items {
			if b, err := item.Build(); err == nil {
				parts = append(parts, b.String())
			}
		}
		return strings.Join(parts, "; ")
	}
	return ""
}
