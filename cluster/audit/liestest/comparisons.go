package liestest

import (
	"time"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/audit/audittest"
	"github.com/cordon-project/cordon/listsync/publiclog"
	"github.com/cordon-project/cordon/listsync/publiclog/publiclogtest"
)

// Comparison is an operator's log beside the public log of its hotline, as an auditor reads that one from elsewhere (cordon-audit publiclog).
type Comparison struct {
	Who  Liar // empty: nobody lies, and both say the same
	Name string
	Tell func(l *audittest.Log, log *publiclogtest.Log) (seen *publiclogtest.Log) // goes on; seen is what everybody else is shown
	Says string                                                                   // in a finding
}

// Read makes it: what the auditor is handed, and the files of the repository that he reads.
func (x Comparison) Read() (Case, map[string][]byte) {
	l := audittest.Honest("comparisons")
	seen := x.Tell(l, keepsLog(l))
	return Case{Bundle: l.Bundle(), Trust: l.TrustFile(), Now: l.Now.Add(time.Minute)}, seen.Files()
}

// stranger is a version that this operator was never shown, so many numbers behind the last one in the log.
func stranger(log *publiclogtest.Log, seq, prev uint64) []byte {
	last, err := publiclog.ParseLeaf(log.Leaves[len(log.Leaves)-1])
	check(err)
	last.Seq, last.Prev = last.Seq+seq, last.Prev+prev
	last.Edge, last.Audit, last.EntriesRoot = [32]byte{9}, [32]byte{9}, [32]byte{9}
	return last.Encode()
}

// Comparisons are all of them.
func Comparisons() []Comparison {
	return []Comparison{
		{Who: Hotline, Name: "a list shown to one operator only, its proof of the public log left out", Says: "no valid proof of the public log: there is none",
			Tell: func(l *audittest.Log, log *publiclogtest.Log) *publiclogtest.Log {
				seen := log.Fork(1)
				l.PublishWith(46, func(p audit.Publish) audit.Publish {
					p.PublicProof = nil
					return p
				})
				return seen
			}},
		{Who: Hotline, Name: "a list shown to one operator only, in a public log of its own", Says: "another history of this log",
			Tell: func(l *audittest.Log, log *publiclogtest.Log) *publiclogtest.Log {
				seen := log.Fork(1)
				seen.Append(stranger(seen, 1, 1))
				l.Publish(46)
				return seen
			}},
		{Who: Hotline, Name: "a list shown to everybody but one operator, under a number that it has", Says: "two lists were signed under one number",
			Tell: func(l *audittest.Log, log *publiclogtest.Log) *publiclogtest.Log {
				log.Append(stranger(log, 0, 0))
				return log
			}},
		{Who: Hotline, Name: "a list shown to everybody but one operator, which is told that it was dropped", Says: "which was dropped before it was published: two histories",
			Tell: func(l *audittest.Log, log *publiclogtest.Log) *publiclogtest.Log {
				log.Append(stranger(log, 1, 1))
				l.Burn()
				l.Publish(46)
				log.Append(stranger(log, 1, 1)) // follows the one that was "dropped"
				return log
			}},
		{Who: Hotline, Name: "the public log says that a list in force was never published", Says: "had never been published",
			Tell: func(l *audittest.Log, log *publiclogtest.Log) *publiclogtest.Log {
				log.Append(stranger(log, 1, 0))
				return log
			}},
		{Who: Mirror, Name: "a copy of the public log from before the last version", Says: "this copy is behind",
			Tell: func(l *audittest.Log, log *publiclogtest.Log) *publiclogtest.Log {
				l.Publish(46)
				return log.Fork(1)
			}},
		{Name: "the public log, read from elsewhere, has what is in force, and a newer version",
			Tell: func(l *audittest.Log, log *publiclogtest.Log) *publiclogtest.Log {
				l.Publish(46)
				log.Append(stranger(log, 1, 1))
				return log
			}},
		{Name: "the public log, read from elsewhere, has a version that was dropped, and whose number nothing else has",
			Tell: func(l *audittest.Log, log *publiclogtest.Log) *publiclogtest.Log {
				log.Append(stranger(log, 1, 1))
				l.Burn()
				l.Publish(46)
				return log
			}},
	}
}
