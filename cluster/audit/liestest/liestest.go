// Package liestest is the table of lies that an auditor must catch, and of honest histories that must pass: each a whole bundle, made and
// signed anew with every key that the liar has. The verifier's own tests and the suite that runs the real program (make lies) go through
// the same table. To add a lie: one row, in the group of what it is about. Comparisons are what publiclog must catch in a bundle that may be in
// order by itself.
package liestest

import (
	"fmt"
	"slices"
	"time"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/audit/audittest"
	"github.com/cordon-project/cordon/cluster/audit/certificate"
)

// Liar is who lies: it says which keys a lie may use.
type Liar string

const (
	Mirror    Liar = "mirror"    // hands on what others signed, and has no key
	Node      Liar = "leader"    // one control node, or its administrator: one member's key
	Minority  Liar = "minority"  // members or witnesses that are too few
	Operator  Liar = "operator"  // every key of the cluster: members, edges, officers
	Officer   Liar = "admin"     // one of the operator's officers, or an administrator without any officer's key
	Edge      Liar = "edge"      // one edge's key
	Hotline   Liar = "hotline"   // some keys of the hotline, too few, or against its charter
	Authority Liar = "authority" // accredits against the one scope
)

// Lie is one manipulation. One check must name it, and no check that has nothing to do with it may fail.
type Lie struct {
	Who   Liar
	Name  string
	Build func(l *audittest.Log) []byte // tells it in an honest cluster's log, and gives the bundle
	Look  func(*Case, *audittest.Log)   // what the auditor has besides; may be nil
	Fails []string                      // exactly these checks; the first one names the lie
	Says  string                        // in the first one's causes
}

// Case is what an auditor is handed, and how he looks at it.
type Case struct {
	Bundle     []byte
	Trust      []byte
	Now        time.Time     // the verifier's clock; a program's is later
	MaxAge     time.Duration // of the checkpoint; 0 for any
	Before     *audit.Visit  // the last visit
	Statements [][]byte      // withdrawals that came beside the bundle
}

// Options are those of the library for one verification of the case. Its logs are short: no certificate is made from a file.
func (c Case) Options() audit.Options {
	return audit.Options{Now: c.Now, MaxAge: c.MaxAge, Before: c.Before, Statements: c.Statements, Certificates: certificate.NewAgain()}
}

// Lies are all of them.
func Lies() []Lie {
	return slices.Concat(archiveLies, logLies, hotlineLies, listLies, receiptLies, orderLies, indexLies, publicLies, openingLies, bundleLies, pinLies, keyLies, witnessLies, forkLies, chainLies, removalLies, visitLies, registerLies, certificateLies)
}

// Tell tells a lie: the same bytes every time.
func (x Lie) Tell() Case {
	l := audittest.Honest("lies")
	bundle := x.Build(l)
	c := Case{Bundle: bundle, Trust: l.TrustFile(), Now: l.Now.Add(time.Minute)}
	if x.Look != nil {
		x.Look(&c, l)
	}
	return c
}

// History is an honest one: every check passes.
type History struct {
	Name string
	GoOn func(l *audittest.Log) // goes on from an honest cluster's log; nil for a cluster at genesis
	Look func(*Case, *audittest.Log)
}

// Tell gives what an auditor is handed.
func (h History) Tell() Case { return h.tell((*audittest.Log).Bundle) }

// TellAll is Tell with a bundle of every version.
func (h History) TellAll() Case {
	return h.tell(func(l *audittest.Log) []byte { return l.Part(audit.Part{All: true}) })
}

func (h History) tell(bundle func(*audittest.Log) []byte) Case {
	l := audittest.New("histories")
	if h.GoOn != nil {
		l = audittest.Honest("histories")
		h.GoOn(l)
	}
	c := Case{Bundle: bundle(l), Trust: l.TrustFile(), Now: l.Now.Add(time.Minute)}
	if h.Look != nil {
		h.Look(&c, l)
	}
	return c
}

func check(err error) {
	if err != nil {
		panic(fmt.Sprintf("liestest: %v", err))
	}
}
