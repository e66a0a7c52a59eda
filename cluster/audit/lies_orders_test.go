package audit_test

import (
	"testing"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/audit/audittest"
	"github.com/cordon-project/cordon/cluster/audit/order"
)

// approve is the approval of a held version.
func approve(p audit.Publish, brakes ...string) order.Approve {
	return order.Approve{List: p.List, Seq: p.Seq, Edge: p.Edge, Brakes: brakes, NeverBlock: audittest.NeverBlock}
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
	{name: "a version is checked against another never-block list than the policy's", fails: []string{audit.CheckVerdicts}, says: "signed against the never-block list that the officers decided on by 0 of 3 members",
		build: func(t *testing.T, l *audittest.Log) []byte {
			l.Order(order.Policy{NeverBlock: [32]byte{1}, Count: 4})
			l.Publish(50)
			return l.Bundle()
		}},
}
