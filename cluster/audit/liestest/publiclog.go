package liestest

import (
	"time"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/audit/audittest"
	"github.com/cordon-project/cordon/listsync/publiclog"
	"github.com/cordon-project/cordon/listsync/publiclog/publiclogtest"
)

// keepsLog goes on with a hotline that has a public log: a version in it, and the bundle's next one is for the liar.
func keepsLog(l *audittest.Log) *publiclogtest.Log {
	log := l.Hotline.KeepLog()
	l.Hotline.Accredit(l.Now)
	l.Publish(45)
	return log
}

func proven(p publiclog.Proof) []byte {
	b, err := p.Encode()
	check(err)
	return b
}

// prove publishes the next version with another proof.
func prove(change func(l *audittest.Log, log *publiclogtest.Log, n uint64) []byte) func(*audittest.Log) []byte {
	return func(l *audittest.Log) []byte {
		log := keepsLog(l)
		l.PublishWith(46, func(p audit.Publish) audit.Publish {
			p.PublicProof = change(l, log, log.Size()-1)
			return p
		})
		return l.Bundle()
	}
}

// outsiders are witnesses that nobody asked, until an auditor does.
func outsiders() []publiclogtest.Cosigner {
	at := time.Unix(1780000000, 0)
	return []publiclogtest.Cosigner{{Name: "one.test/witness", Key: audittest.Key("witness", "one"), At: at}, {Name: "two.test/witness", Key: audittest.Key("witness", "two"), At: at}}
}

var publicLies = []Lie{
	{Who: Operator, Name: "a version without a proof of the hotline's public log", Fails: []string{audit.CheckPublicLog}, Says: "no valid proof of the public log: there is none",
		Build: prove(func(*audittest.Log, *publiclogtest.Log, uint64) []byte { return nil })},
	{Who: Operator, Name: "a proof of another version in the public log", Fails: []string{audit.CheckPublicLog}, Says: "proof does not verify",
		Build: prove(func(l *audittest.Log, log *publiclogtest.Log, n uint64) []byte {
			return proven(log.Proof(n-1, n+1, l.PublicLog()))
		})},
	{Who: Operator, Name: "a proof of a public log that the operator keeps itself", Fails: []string{audit.CheckPublicLog}, Says: "signature does not verify",
		Build: prove(func(l *audittest.Log, log *publiclogtest.Log, n uint64) []byte {
			own := publiclogtest.New(log.Origin, l.Members[audittest.C1])
			own.Leaves = log.Leaves
			p := own.Proof(n, n+1, publiclog.Head{})
			honest := log.Proof(n, n+1, l.PublicLog())
			p.Log, p.From, p.Consistency = honest.Log, honest.From, honest.Consistency
			return proven(p)
		})},
	{Who: Hotline, Name: "a public log that was rewritten between two versions, for one operator", Fails: []string{audit.CheckPublicLog}, Says: "size 3 does not continue size 1",
		Build: prove(func(l *audittest.Log, log *publiclogtest.Log, n uint64) []byte {
			lie := log.Fork(0)
			lie.Append([]byte("something else"))
			lie.Append([]byte("and more"))
			lie.Append(log.Leaves[n])
			p := lie.Proof(2, 3, lie.Head(1))
			return proven(p)
		})},
	{Who: Operator, Name: "a proof that says nothing of the version before", Fails: []string{audit.CheckPublicLog}, Says: "it goes on from size 0, accepted is size 1",
		Build: prove(func(_ *audittest.Log, log *publiclogtest.Log, n uint64) []byte {
			return proven(log.Proof(n, n+1, publiclog.Head{}))
		})},
	{Who: Minority, Name: "a public log that fewer witnesses have seen than the auditor asks for", Fails: []string{audit.CheckPublicLog}, Says: "not seen by the witnesses that your trust file asks for",
		Build: prove(func(l *audittest.Log, log *publiclogtest.Log, n uint64) []byte {
			return proven(log.Proof(n, n+1, l.PublicLog()))
		}),
		Look: func(c *Case, l *audittest.Log) {
			f := audit.NewTrustFile(l.Desc, "")
			f.LogWitnesses = publiclogtest.Policy(outsiders()...).String()
			c.Trust = f.Encode()
		}},
}

var publicHistories = []History{
	{Name: "a hotline drops a version that stands in its public log already, and its number with it", GoOn: func(l *audittest.Log) {
		log := keepsLog(l)
		log.Append([]byte("a leaf of a version that nobody was to have\n"))
		l.Burn()
		l.Publish(33)
		l.Publish(34)
	}},
	{Name: "a hotline begins a public log under a new charter, and changes its key under another", GoOn: func(l *audittest.Log) {
		log := keepsLog(l)
		l.Publish(46)
		l.Renew()
		l.Publish(47)
		l.Hotline.Log = publiclogtest.New(log.Origin, audittest.Key("the log's next key"))
		l.Hotline.Log.Leaves = log.Leaves
		l.Hotline.Charter.Log = l.Hotline.Log.VKey()
		l.Hotline.Accredit(l.Tick())
		l.Publish(48)
		l.Publish(49)
	}},
}
