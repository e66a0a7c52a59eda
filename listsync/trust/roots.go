package trust

import (
	"bytes"
	"fmt"
	"time"
)

// MaxRoots bounds a chain of roots, the pinned one included: with a rotation a month it lasts twenty years.
const MaxRoots = 256

// Roots is a hotline's chain of roots from a pinned one on, each signed by the threshold of the root before it and by its own. It
// only grows, so whoever keeps it never needs a new pin; one Metadata brings at most MaxRootSteps new ones. It is a value: Follow
// gives another one and alters nothing. The zero value holds no root.
type Roots struct {
	first int64    // version of the pinned root
	docs  [][]byte // versions first, first+1, ...
}

// PinRoot begins a chain. The errors are those of Verify for the pinned root.
func PinRoot(pinned []byte) (Roots, error) {
	p, err := Pin(pinned)
	if err != nil {
		return Roots{}, err
	}
	return Roots{first: p.doc.version, docs: [][]byte{pinned}}, nil
}

// Follow adds the roots that r lacks, verified. Of a version that r has there may be no other bytes (ErrSignature); none may be left
// out (ErrRollback, ErrThreshold). When a root was in force is not its question: it knows no time.
func (r Roots) Follow(roots [][]byte) (Roots, error) {
	newer := 0
	for i, b := range roots {
		doc, err := readRoot(b)
		switch {
		case err != nil:
			return Roots{}, fmt.Errorf("follow roots: %w", err)
		case doc.version > r.Version():
			newer = len(roots) - i
		case doc.version >= r.first && !bytes.Equal(b, r.docs[doc.version-r.first]):
			return Roots{}, fmt.Errorf("follow roots: %w: another root %d than the one trusted before", ErrSignature, doc.version)
		}
		if newer > 0 {
			break
		}
	}
	if newer == 0 {
		return r, nil
	}
	if len(r.docs)+newer > MaxRoots {
		return Roots{}, fmt.Errorf("follow roots: %w: %d roots, at most %d", ErrTooLarge, len(r.docs)+newer, MaxRoots)
	}
	p, err := pin(r.Newest())
	if err != nil {
		return Roots{}, fmt.Errorf("follow roots: %w", err)
	}
	c := p.chain(time.Time{})
	if err := c.follow(roots[len(roots)-newer:]); err != nil {
		return Roots{}, fmt.Errorf("follow roots: %w", err)
	}
	next := Roots{first: r.first, docs: append(r.docs[:len(r.docs):len(r.docs)], roots[len(roots)-newer:]...)}
	if c.root.version != next.Version() { // a root that came twice was passed over
		return Roots{}, fmt.Errorf("follow roots: %w: a root is there twice", ErrRollback)
	}
	return next, nil
}

// Newest is the last root of the chain: the one to verify from.
func (r Roots) Newest() []byte { return r.docs[len(r.docs)-1] }

// Version is the version of Newest.
func (r Roots) Version() int64 { return r.first + int64(len(r.docs)) - 1 }

// Complete puts what the chain has in front of the new roots of m, the last MaxRootSteps of all that fit: the same publication then has
// the same bytes and hash whichever root it was fetched from, and a reader can tell which root it continues.
func (r Roots) Complete(m Metadata) Metadata {
	all := r.docs[1:len(r.docs):len(r.docs)]
	for i, b := range m.Roots {
		if d, err := Describe(b); err != nil || d.Version > r.Version() { // what is no root at all is Verify's to refuse
			all = append(all, m.Roots[i:]...)
			break
		}
	}
	for m.Roots = tail(all, MaxRootSteps); len(m.Roots) > 1; m.Roots = m.Roots[1:] {
		if _, err := m.marshal(); err == nil {
			break
		}
	}
	return m
}

// tail is the last n of all, in memory of its own and never nil.
func tail(all [][]byte, n int) [][]byte {
	return append([][]byte{}, all[max(0, len(all)-n):]...)
}

// Before are the roots of the chain that lie between the pinned one and those that m brings itself: what a reader who has only the pin
// needs beside m.
func (r Roots) Before(m Metadata) [][]byte {
	if len(m.Roots) == 0 || len(r.docs) == 0 {
		return nil
	}
	d, err := Describe(m.Roots[0])
	if err != nil || d.Version <= r.first {
		return nil
	}
	return r.docs[1:max(1, min(int(d.Version-r.first), len(r.docs)))]
}

// Start is the root that m is to be verified from: the one that the first of its own roots is, or follows. It is ErrRollback when the
// chain lacks the roots between.
func (r Roots) Start(m Metadata) ([]byte, error) {
	if len(m.Roots) == 0 {
		return r.docs[0], nil
	}
	d, err := Describe(m.Roots[0])
	if err != nil {
		return nil, fmt.Errorf("read first root: %w", err)
	}
	switch at := d.Version - r.first; {
	case at < 0:
		return r.docs[0], nil
	case at > int64(len(r.docs)):
		return nil, fmt.Errorf("read first root: %w: version %d after %d", ErrRollback, d.Version, r.Version())
	default:
		return r.docs[min(int(at), len(r.docs)-1)], nil
	}
}
