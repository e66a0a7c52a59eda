package liestest

import (
	"slices"
	"time"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/audit/audittest"
	"github.com/cordon-project/cordon/cluster/audit/order"
	"github.com/cordon-project/cordon/listsync/list/listtest"
	"github.com/cordon-project/cordon/resolver/match"
)

// approve is the approval of a held version.
func approve(p audit.Publish, brakes ...string) order.Approve {
	return order.Approve{List: p.List, Seq: p.Seq, Edge: p.Edge, Brakes: brakes, NeverBlock: audittest.NeverBlock}
}

// suppress takes entry i of the list out.
func suppress(i int) order.Suppress {
	return order.Suppress{List: listtest.List, Epoch: 1, Entries: []match.EntryID{listtest.ID(i, 1)}}
}

// exempt lets analysts' prefixes pass, those of a made-up file.
func exempt(file byte) order.Exempt { return order.Exempt{Hash: [32]byte{file}, Count: 2} }

// lastLeaf logs a harmless leaf that says that something else is in force.
func lastLeaf(change func(*audit.InForce)) func(*audittest.Log) []byte {
	return func(l *audittest.Log) []byte {
		l.Append(audit.Alarm{Node: "c1", What: "test"})
		f := l.InForce
		change(&f)
		relog(l, func(leaves []audit.Leaf) []audit.Leaf { leaves[len(leaves)-1].F = f.Hash(); return leaves })
		return l.Bundle()
	}
}

// orderLies are about what an operator decides: one officer's, nobody's, or out of its place.
var orderLies = []Lie{
	{Who: Operator, Name: "a held version comes into force without an approval", Fails: []string{audit.CheckOrders}, Says: "brake growth: held back by a brake and not approved",
		Build: func(l *audittest.Log) []byte {
			p := l.Offer(50)
			l.Hold(p, "growth")
			p.Verdicts = l.Verdicts(p, audittest.C1, audittest.C2)
			l.Append(p)
			return l.Bundle()
		}},
	{Who: Officer, Name: "a held version comes into force with the approval of one officer", Fails: []string{audit.CheckOrders}, Says: "signed by 1, 2 are needed",
		Build: func(l *audittest.Log) []byte {
			p := l.Offer(50)
			l.Hold(p, "growth")
			l.Order(approve(p, "growth"), audittest.O1)
			p.Verdicts = l.Verdicts(p, audittest.C1, audittest.C2)
			l.Append(p)
			return l.Bundle()
		}},
	{Who: Operator, Name: "an approval is of another version than the one held", Fails: []string{audit.CheckOrders}, Says: "is not held",
		Build: func(l *audittest.Log) []byte {
			p := l.Offer(50)
			l.Hold(p, "growth")
			p.Seq++
			l.Order(approve(p, "growth"))
			return l.Bundle()
		}},
	{Who: Node, Name: "a hold is one member's alone", Fails: []string{audit.CheckOrders}, Says: "1 of 3 members object",
		Build: func(l *audittest.Log) []byte {
			l.Hold(l.Offer(50), "growth", audittest.C2)
			return l.Bundle()
		}},
	{Who: Officer, Name: "an order is signed by somebody who is no officer", Fails: []string{audit.CheckOrders}, Says: "is not a valid one of an officer",
		Build: func(l *audittest.Log) []byte {
			l.Officers[audittest.O2] = audittest.Key("stranger")
			l.Order(order.Policy{NeverBlock: audittest.NeverBlock, Count: 4})
			return l.Bundle()
		}},
	{Who: Operator, Name: "an order is used twice", Fails: []string{audit.CheckOrders}, Says: "policy order 1, the last one had number 1",
		Build: func(l *audittest.Log) []byte {
			l.Order(order.Policy{NeverBlock: audittest.NeverBlock, Count: 4})
			l.Append(Last[audit.Ordered](l, audit.KindPolicy))
			return l.Bundle()
		}},
	{Who: Officer, Name: "a suppression is signed by one officer", Fails: []string{audit.CheckOrders}, Says: "signed by 1, 2 are needed",
		Build: func(l *audittest.Log) []byte {
			l.Order(suppress(7), audittest.O1)
			l.Receipts(audittest.E1)
			return l.Bundle()
		}},
	{Who: Operator, Name: "a suppression is on the edges and not in the log", Fails: []string{audit.CheckReceipts}, Says: "something removed that the log does not say",
		Build: receipt(func(l *audittest.Log, r *audit.Receipt) {
			f := l.InForce
			f.Suppressions = []audit.Suppression{{List: listtest.List, Entry: listtest.ID(7, 1), Until: l.Now.Unix() + 3600, Number: 1}}
			r.State = l.State(f)
		})},
	{Who: Operator, Name: "a suppression is in force that no leaf says", Fails: []string{audit.CheckReplay}, Says: "something is in force, or taken out of force, that no leaf says",
		Build: lastLeaf(func(f *audit.InForce) {
			f.Suppressions = []audit.Suppression{{List: listtest.List, Entry: listtest.ID(7, 1), Until: 1 << 31, Number: 1}}
		})},
	{Who: Operator, Name: "a suppression that has ended is kept in force", Fails: []string{audit.CheckReplay}, Says: "a suppression, bypass or exemption that has ended is kept in force",
		Build: func(l *audittest.Log) []byte {
			l.Order(suppress(7))
			kept := l.InForce
			l.Now = l.Now.Add(2 * time.Hour)
			l.Append(audit.Alarm{Node: "c1", What: "test"})
			relog(l, func(leaves []audit.Leaf) []audit.Leaf { leaves[len(leaves)-1].F = kept.Hash(); return leaves })
			return l.Bundle()
		}},
	{Who: Operator, Name: "an edge keeps a suppression that has ended", Fails: []string{audit.CheckReceipts}, Says: "it serves what was in force at size 16, not at size 17",
		Build: func(l *audittest.Log) []byte {
			l.Order(suppress(7))
			kept := l.InForce
			l.Now = l.Now.Add(2 * time.Hour)
			l.Append(audit.Alarm{Node: "c1", What: "test"})
			return receipt(func(l *audittest.Log, r *audit.Receipt) { r.State = l.State(kept) })(l)
		}},
	{Who: Operator, Name: "a suppression is lifted that is not there", Fails: []string{audit.CheckReplay}, Says: "lifts 1 suppressions, 0 of them are in force",
		Build: func(l *audittest.Log) []byte {
			lift := suppress(7)
			l.Order(lift)
			lift.Lift = true
			leaves := len(l.Leaves)
			l.Order(lift)
			// The log without the suppression itself.
			l.Leaves = append(l.Leaves[:leaves-1:leaves-1], l.Leaves[leaves:]...)
			relog(l, func(all []audit.Leaf) []audit.Leaf { all[len(all)-1].N--; return all })
			return l.Bundle()
		}},
	{Who: Operator, Name: "an edge lets everything pass without a bypass", Fails: []string{audit.CheckReceipts}, Says: "it lets everything pass, and the log does not say so",
		Build: receipt(func(l *audittest.Log, r *audit.Receipt) {
			f := l.InForce
			f.Bypass = l.Now.Unix() + 600
			r.State = l.State(f)
		})},
	{Who: Operator, Name: "everything passes and no leaf says so", Fails: []string{audit.CheckReplay}, Says: "something is in force, or taken out of force, that no leaf says",
		Build: lastLeaf(func(f *audit.InForce) { f.Bypass = 1 << 31 })},
	{Who: Officer, Name: "a bypass is signed by one officer", Fails: []string{audit.CheckOrders}, Says: "EVERYTHING PASSES",
		Build: func(l *audittest.Log) []byte {
			l.Order(order.Bypass{}, audittest.O2)
			return l.Bundle()
		}},
	{Who: Officer, Name: "an exemption of analysts is signed by one officer", Fails: []string{audit.CheckOrders}, Says: "exemption 1",
		Build: func(l *audittest.Log) []byte {
			l.Order(exempt(1), audittest.O2)
			return l.Bundle()
		}},
	{Who: Operator, Name: "an exemption of analysts is in force that no leaf says", Fails: []string{audit.CheckReplay}, Says: "something is in force, or taken out of force, that no leaf says",
		Build: lastLeaf(func(f *audit.InForce) {
			f.Exempt = &audit.Exemption{Hash: [32]byte{1}, Count: 1, Until: 1 << 31, Number: 1}
		})},
	{Who: Operator, Name: "an exemption of analysts says that of another file is in force", Fails: []string{audit.CheckReplay}, Says: "something is in force, or taken out of force, that no leaf says",
		Build: func(l *audittest.Log) []byte {
			l.Order(exempt(1))
			return lastLeaf(func(f *audit.InForce) {
				other := *f.Exempt
				other.Hash[0]++
				f.Exempt = &other
			})(l)
		}},
	{Who: Operator, Name: "an exemption of analysts that has ended is kept in force", Fails: []string{audit.CheckReplay}, Says: "a suppression, bypass or exemption that has ended is kept in force",
		Build: func(l *audittest.Log) []byte {
			l.Order(exempt(1))
			kept := l.InForce
			l.Now = l.Now.Add(2 * time.Hour)
			l.Append(audit.Alarm{Node: "c1", What: "test"})
			relog(l, func(leaves []audit.Leaf) []audit.Leaf { leaves[len(leaves)-1].F = kept.Hash(); return leaves })
			return l.Bundle()
		}},
	{Who: Operator, Name: "an exemption of analysts is kept out of what is in force", Fails: []string{audit.CheckReplay}, Says: "an exemption is left out",
		Build: func(l *audittest.Log) []byte {
			l.Order(exempt(1))
			return lastLeaf(func(f *audit.InForce) { f.Exempt = nil })(l)
		}},
	{Who: Operator, Name: "an exemption is lifted that is not there", Fails: []string{audit.CheckOrders}, Says: "ends an exemption, and there is none",
		Build: func(l *audittest.Log) []byte {
			l.Order(exempt(1))
			leaves := len(l.Leaves)
			l.Order(order.Exempt{Lift: true})
			// The log without the exemption itself.
			l.Leaves = append(l.Leaves[:leaves-1:leaves-1], l.Leaves[leaves:]...)
			relog(l, func(all []audit.Leaf) []audit.Leaf { all[len(all)-1].N--; return all })
			return l.Bundle()
		}},
	{Who: Operator, Name: "a return leaves out some of what later versions left out", Fails: []string{audit.CheckOrders}, Says: "puts 1 entries back that later versions left out",
		Build: func(l *audittest.Log) []byte {
			l.Publish(20)
			l.Return(2, func(r *order.Return) { r.Entries = r.Entries[1:] })
			return l.Bundle()
		}},
	{Who: Operator, Name: "a return takes out more than later versions left out", Fails: []string{audit.CheckOrders}, Says: "names entries that later versions did not leave out",
		Build: func(l *audittest.Log) []byte {
			l.Publish(20)
			l.Return(2, func(r *order.Return) { r.Entries = order.SortEntries(append(r.Entries, listtest.ID(7, 1))) })
			return l.Bundle()
		}},
	{Who: Operator, Name: "a return's removals are not in force", Fails: []string{audit.CheckReplay}, Says: "the return puts back what later versions left out",
		Build: func(l *audittest.Log) []byte {
			l.Publish(20)
			l.Return(2, nil)
			f := l.InForce
			f.Removals = slices.DeleteFunc(slices.Clone(f.Removals), func(r audit.Removal) bool { return r.Kind == match.RemovalReturn })
			relog(l, func(leaves []audit.Leaf) []audit.Leaf { leaves[len(leaves)-1].F = f.Hash(); return leaves })
			return l.Bundle()
		}},
	{Who: Operator, Name: "a return drops a withdrawal", Fails: []string{audit.CheckReplay}, Says: "removals are left out",
		Build: func(l *audittest.Log) []byte {
			l.Return(1, nil)
			f := l.InForce
			f.Removals = nil
			relog(l, func(leaves []audit.Leaf) []audit.Leaf { leaves[len(leaves)-1].F = f.Hash(); return leaves })
			return l.Bundle()
		}},
	{Who: Operator, Name: "a version is checked against another never-block list than the policy's", Fails: []string{audit.CheckVerdicts}, Says: "signed against the never-block list that the officers decided on by 0 of 3 members",
		Build: func(l *audittest.Log) []byte {
			l.Order(order.Policy{NeverBlock: [32]byte{1}, Count: 4})
			l.Publish(50)
			return l.Bundle()
		}},
}
