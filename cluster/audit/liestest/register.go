package liestest

import (
	"time"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/audit/audittest"
	"github.com/cordon-project/cordon/listsync/list/listtest"
)

const aRef audit.AppealRef = "0123456789abcdef"

// appeal registers one that came in this long ago and is due in two weeks.
func appeal(l *audittest.Log, ago time.Duration) {
	id := listtest.ID(9, 1)
	l.Tick()
	at := l.Now.Add(-ago)
	l.Append(audit.NewAdmin("operator-1", audittest.C1, audit.Appeal{Ref: aRef, List: listtest.List, Entry: id[:], Received: at.Unix(), Due: at.AddDate(0, 0, 14).Unix()}))
}

// decide logs what became of it, by an officer's key.
func decide(l *audittest.Log, officer string, at time.Time) {
	l.Tick()
	r := audit.Ruling{Cluster: l.Desc.ID(), Ref: aRef, Outcome: audit.OutcomeRejected, At: at.Unix()}
	l.Append(audit.NewAdmin("operator-1", audittest.C1, audit.SignRuling(r, officer, l.Officers[officer])))
}

// says logs that an edge runs a program, by the key of another when by is one.
func says(l *audittest.Log, edge, by string, digest byte) {
	l.Tick()
	b := audit.Build{Cluster: l.Desc.ID(), Role: audit.RoleEdge, Name: edge, Program: "cordon", Version: "v1", Digest: [32]byte{digest}, Time: l.Now.Unix()}
	l.Append(audit.NewAdmin("", audittest.C1, audit.Builds{Items: []audit.SignedBuild{audit.SignBuild(b, l.Edges[by])}}))
}

func tell(say func(l *audittest.Log)) func(*audittest.Log) []byte {
	return func(l *audittest.Log) []byte { say(l); return l.Bundle() }
}

// registerLies are about complaints and programs: nothing in force depends on them, people's rights do.
var registerLies = []Lie{
	{Who: Officer, Name: "a decision on an appeal that nobody registered", Fails: []string{audit.CheckAdmin}, Says: "does not fit the register",
		Build: tell(func(l *audittest.Log) { decide(l, audittest.O1, l.Now) })},
	{Who: Officer, Name: "an appeal is decided by somebody who is no officer", Fails: []string{audit.CheckAdmin}, Says: "signature does not verify",
		Build: tell(func(l *audittest.Log) {
			appeal(l, time.Hour)
			l.Officers[audittest.O1] = audittest.Key("stranger")
			decide(l, audittest.O1, l.Now)
		})},
	{Who: Operator, Name: "an appeal is registered twice, the second time with a later day", Fails: []string{audit.CheckAdmin}, Says: "is registered already",
		Build: tell(func(l *audittest.Log) { appeal(l, 24*time.Hour); appeal(l, time.Hour) })},
	{Who: Operator, Name: "an appeal is said to come in tomorrow", Fails: []string{audit.CheckAdmin}, Says: "does not fit the register",
		Build: tell(func(l *audittest.Log) { appeal(l, -24*time.Hour) })},
	{Who: Operator, Name: "an appeal is decided before it came in", Fails: []string{audit.CheckAdmin}, Says: "does not fit the register",
		Build: tell(func(l *audittest.Log) { appeal(l, time.Hour); decide(l, audittest.O1, l.Now.AddDate(0, 0, -2)) })},
	{Who: Operator, Name: "an appeal is decided a second time, otherwise", Fails: []string{audit.CheckAdmin}, Says: "does not fit the register",
		Build: tell(func(l *audittest.Log) {
			appeal(l, time.Hour)
			decide(l, audittest.O1, l.Now)
			decide(l, audittest.O2, l.Now)
		})},
	{Who: Edge, Name: "an edge says which program another one runs", Fails: []string{audit.CheckAdmin}, Says: "build of edge e1: signature does not verify",
		Build: tell(func(l *audittest.Log) { says(l, audittest.E1, audittest.E2, 1) })},
	{Who: Edge, Name: "a dismissed edge says which program it runs", Fails: []string{audit.CheckAdmin}, Says: "e1",
		Build: tell(func(l *audittest.Log) {
			l.Append(audit.Member{Action: audit.ActionDrop, Role: audit.RoleEdge, Name: audittest.E1, By: "operator-1"})
			says(l, audittest.E1, audittest.E1, 1)
		})},
}

var registerHistories = []History{
	{Name: "an appeal is registered and decided, and edges say what they run", GoOn: func(l *audittest.Log) {
		appeal(l, time.Hour)
		says(l, audittest.E1, audittest.E1, 1)
		decide(l, audittest.O2, l.Now)
		says(l, audittest.E1, audittest.E1, 2)
		l.Publish(45)
		l.Receipts(audittest.E1)
	}},
	{Name: "an appeal that nobody decides in time is a note", GoOn: func(l *audittest.Log) {
		appeal(l, time.Hour)
		l.Now = l.Now.AddDate(0, 0, 15)
		l.Publish(45)
	}},
}
