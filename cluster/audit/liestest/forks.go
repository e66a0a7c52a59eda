package liestest

import (
	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/audit/audittest"
	"github.com/cordon-project/cordon/listsync/publiclog/publiclogtest"
)

// told is the evidence that a log has signed two histories of its present size.
func told(l *audittest.Log, log *publiclogtest.Log) audit.Fork {
	lie := log.Fork(0)
	for n := range log.Size() {
		lie.Append([]byte{byte(n), 'x'})
	}
	return audit.Fork{Hotline: l.Hotline.ID, Log: log.VKey(), First: log.Checkpoint(log.Size()), Second: lie.Checkpoint(log.Size()), Node: audittest.C1}
}

// forkLies are about public logs that told two stories.
var forkLies = []Lie{
	{Who: Operator, Name: "a version from a public log that had told two stories", Fails: []string{audit.CheckForks}, Says: "although the hotline's log had told two stories (leaf 16)",
		Build: func(l *audittest.Log) []byte {
			log := keepsLog(l)
			l.Append(told(l, log))
			l.Publish(46)
			return l.Bundle()
		}},
	{Who: Operator, Name: "evidence against a log that is not the hotline's, to keep its versions out", Fails: []string{audit.CheckForks}, Says: "does not name",
		Build: func(l *audittest.Log) []byte {
			keepsLog(l)
			own := publiclogtest.New("isp.example/own", l.Members[audittest.C1])
			own.Append([]byte("leaf"))
			l.Append(told(l, own))
			return l.Bundle()
		}},
	{Who: Operator, Name: "a fork is logged twice", Fails: []string{audit.CheckForks}, Says: "is a leaf already",
		Build: func(l *audittest.Log) []byte {
			f := told(l, keepsLog(l))
			l.Append(f)
			l.Append(f)
			return l.Bundle()
		}},
}
