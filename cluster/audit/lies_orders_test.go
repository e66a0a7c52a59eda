package audit_test

import (
	"slices"
	"testing"
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

// lastLeaf logs a harmless leaf that says that something else is in force.
func lastLeaf(change func(*audit.InForce)) func(*testing.T, *audittest.Log) []byte {
	return func(t *testing.T, l *audittest.Log) []byte {
		l.Append(audit.Alarm{Node: "c1", What: "test"})
		f := l.InForce
		change(&f)
		relog(t, l, func(leaves []audit.Leaf) []audit.Leaf { leaves[len(leaves)-1].F = f.Hash(); return leaves })
		return l.Bundle()
	}
}

// orderLies are about what an operator decides: one officer's, nobody's, or out of its place.
var orderLies = []lie{
	{name: "a held version comes into force without an approval", fails: []string{audit.CheckOrders}, says: "brake growth: held back by a brake and not approved",
		build: func(t *testing.T, l *audittest.Log) []byte {
			p := l.Offer(50)
			l.Hold(p, "growth")
			p.Verdicts = l.Verdicts(p, audittest.C1, audittest.C2)
			l.Append(p)
			return l.Bundle()
		}},
	{name: "a held version comes into force with the approval of one officer", fails: []string{audit.CheckOrders}, says: "signed by 1, 2 are needed",
		build: func(t *testing.T, l *audittest.Log) []byte {
			p := l.Offer(50)
			l.Hold(p, "growth")
			l.Order(approve(p, "growth"), audittest.O1)
			p.Verdicts = l.Verdicts(p, audittest.C1, audittest.C2)
			l.Append(p)
			return l.Bundle()
		}},
	{name: "an approval is of another version than the one held", fails: []string{audit.CheckOrders}, says: "is not held",
		build: func(t *testing.T, l *audittest.Log) []byte {
			p := l.Offer(50)
			l.Hold(p, "growth")
			p.Seq++
			l.Order(approve(p, "growth"))
			return l.Bundle()
		}},
	{name: "a hold is one member's alone", fails: []string{audit.CheckOrders}, says: "1 of 3 members object",
		build: func(t *testing.T, l *audittest.Log) []byte {
			l.Hold(l.Offer(50), "growth", audittest.C2)
			return l.Bundle()
		}},
	{name: "an order is signed by somebody who is no officer", fails: []string{audit.CheckOrders}, says: "is not a valid one of an officer",
		build: func(t *testing.T, l *audittest.Log) []byte {
			l.Officers[audittest.O2] = audittest.Key("stranger")
			l.Order(order.Policy{NeverBlock: audittest.NeverBlock, Count: 4})
			return l.Bundle()
		}},
	{name: "an order is used twice", fails: []string{audit.CheckOrders}, says: "policy order 1, the last one had number 1",
		build: func(t *testing.T, l *audittest.Log) []byte {
			l.Order(order.Policy{NeverBlock: audittest.NeverBlock, Count: 4})
			l.Append(body[audit.Ordered](t, leavesOf(t, l)[last(t, l, audit.KindPolicy)]))
			return l.Bundle()
		}},
	{name: "a suppression is signed by one officer", fails: []string{audit.CheckOrders}, says: "signed by 1, 2 are needed",
		build: func(t *testing.T, l *audittest.Log) []byte {
			l.Order(suppress(7), audittest.O1)
			l.Receipts(audittest.E1)
			return l.Bundle()
		}},
	{name: "a suppression is on the edges and not in the log", fails: []string{audit.CheckReceipts}, says: "something removed that the log does not say",
		build: receipt(func(l *audittest.Log, r *audit.Receipt) {
			f := l.InForce
			f.Suppressions = []audit.Suppression{{List: listtest.List, Entry: listtest.ID(7, 1), Until: l.Now.Unix() + 3600, Number: 1}}
			r.State = l.State(f)
		})},
	{name: "a suppression is in force that no leaf says", fails: []string{audit.CheckReplay}, says: "something is in force, or taken out of force, that no leaf says",
		build: lastLeaf(func(f *audit.InForce) {
			f.Suppressions = []audit.Suppression{{List: listtest.List, Entry: listtest.ID(7, 1), Until: 1 << 31, Number: 1}}
		})},
	{name: "a suppression that has ended is kept in force", fails: []string{audit.CheckReplay}, says: "a suppression or bypass that has ended is kept in force",
		build: func(t *testing.T, l *audittest.Log) []byte {
			l.Order(suppress(7))
			kept := l.InForce
			l.Now = l.Now.Add(2 * time.Hour)
			l.Append(audit.Alarm{Node: "c1", What: "test"})
			relog(t, l, func(leaves []audit.Leaf) []audit.Leaf { leaves[len(leaves)-1].F = kept.Hash(); return leaves })
			return l.Bundle()
		}},
	{name: "an edge keeps a suppression that has ended", fails: []string{audit.CheckReceipts}, says: "it serves what was in force at size 16, not at size 17",
		build: func(t *testing.T, l *audittest.Log) []byte {
			l.Order(suppress(7))
			kept := l.InForce
			l.Now = l.Now.Add(2 * time.Hour)
			l.Append(audit.Alarm{Node: "c1", What: "test"})
			return receipt(func(l *audittest.Log, r *audit.Receipt) { r.State = l.State(kept) })(t, l)
		}},
	{name: "a suppression is lifted that is not there", fails: []string{audit.CheckReplay}, says: "lifts 1 suppressions, 0 of them are in force",
		build: func(t *testing.T, l *audittest.Log) []byte {
			lift := suppress(7)
			l.Order(lift)
			lift.Lift = true
			leaves := len(l.Leaves)
			l.Order(lift)
			// The log without the suppression itself.
			l.Leaves = append(l.Leaves[:leaves-1:leaves-1], l.Leaves[leaves:]...)
			relog(t, l, func(all []audit.Leaf) []audit.Leaf { all[len(all)-1].N--; return all })
			return l.Bundle()
		}},
	{name: "an edge lets everything pass without a bypass", fails: []string{audit.CheckReceipts}, says: "it lets everything pass, and the log does not say so",
		build: receipt(func(l *audittest.Log, r *audit.Receipt) {
			f := l.InForce
			f.Bypass = l.Now.Unix() + 600
			r.State = l.State(f)
		})},
	{name: "everything passes and no leaf says so", fails: []string{audit.CheckReplay}, says: "something is in force, or taken out of force, that no leaf says",
		build: lastLeaf(func(f *audit.InForce) { f.Bypass = 1 << 31 })},
	{name: "a bypass is signed by one officer", fails: []string{audit.CheckOrders}, says: "EVERYTHING PASSES",
		build: func(t *testing.T, l *audittest.Log) []byte {
			l.Order(order.Bypass{}, audittest.O2)
			return l.Bundle()
		}},
	{name: "a return leaves out some of what later versions left out", fails: []string{audit.CheckOrders}, says: "puts 1 entries back that later versions left out",
		build: func(t *testing.T, l *audittest.Log) []byte {
			l.Publish(20)
			l.Return(2, func(r *order.Return) { r.Entries = r.Entries[1:] })
			return l.Bundle()
		}},
	{name: "a return takes out more than later versions left out", fails: []string{audit.CheckOrders}, says: "names entries that later versions did not leave out",
		build: func(t *testing.T, l *audittest.Log) []byte {
			l.Publish(20)
			l.Return(2, func(r *order.Return) { r.Entries = order.SortEntries(append(r.Entries, listtest.ID(7, 1))) })
			return l.Bundle()
		}},
	{name: "a return's removals are not in force", fails: []string{audit.CheckReplay}, says: "the return puts back what later versions left out",
		build: func(t *testing.T, l *audittest.Log) []byte {
			l.Publish(20)
			l.Return(2, nil)
			f := l.InForce
			f.Removals = slices.DeleteFunc(slices.Clone(f.Removals), func(r audit.Removal) bool { return r.Kind == match.RemovalReturn })
			relog(t, l, func(leaves []audit.Leaf) []audit.Leaf { leaves[len(leaves)-1].F = f.Hash(); return leaves })
			return l.Bundle()
		}},
	{name: "a return drops a withdrawal", fails: []string{audit.CheckReplay}, says: "removals are left out",
		build: func(t *testing.T, l *audittest.Log) []byte {
			l.Return(1, nil)
			f := l.InForce
			f.Removals = nil
			relog(t, l, func(leaves []audit.Leaf) []audit.Leaf { leaves[len(leaves)-1].F = f.Hash(); return leaves })
			return l.Bundle()
		}},
	{name: "a version is checked against another never-block list than the policy's", fails: []string{audit.CheckVerdicts}, says: "signed against the never-block list that the officers decided on by 0 of 3 members",
		build: func(t *testing.T, l *audittest.Log) []byte {
			l.Order(order.Policy{NeverBlock: [32]byte{1}, Count: 4})
			l.Publish(50)
			return l.Bundle()
		}},
}
