package control

import (
	"bytes"
	"errors"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/cordon-project/cordon/appliance/api"
	"github.com/cordon-project/cordon/cluster"
	"github.com/cordon-project/cordon/cluster/clustertest"
	"github.com/cordon-project/cordon/listsync/trust"
	"github.com/cordon-project/cordon/resolver/match"
)

// A posted statement is agreed at once; without a quorum it is kept for edges, when the threshold has signed it.
func TestPostedWithdrawals(t *testing.T) {
	c := clustertest.New(t, clustertest.Options{Members: 3})
	m := c.Leader()
	if err := m.Node().Publish(t.Context(), c.Publication(m, 1, 10, nil), clustertest.List); err != nil {
		t.Fatal(err)
	}
	var looked []trust.HotlineID
	s := newStatements(m.Node(), func(h trust.HotlineID) { looked = append(looked, h) }, c.Now, slog.New(slog.DiscardHandler))
	statement := func(number uint64, officers ...int) []byte {
		return c.Hotline.Withdraw(trust.Withdrawal{
			List: clustertest.List, Entries: []match.EntryID{{byte(number)}}, SeqFrom: 1, SeqTo: 9, Number: number,
			Issued: c.Now().Unix(), Expires: c.Now().Add(time.Hour).Unix(), Reason: "error",
		}, officers...)
	}
	one, two := statement(1, 0), statement(2, 0, 1)
	other := c.Hotline.Withdraw(trust.Withdrawal{
		List: clustertest.List, Entries: []match.EntryID{{9}}, SeqFrom: 1, SeqTo: 9, Number: 1,
		Issued: c.Now().Unix(), Expires: c.Now().Add(time.Hour).Unix(), Reason: "error",
	}, 0, 1)
	both, err := trust.CosignWithdrawal(one, c.Hotline.Officers[1])
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		name string
		raw  []byte
		want string
	}{
		{"the next number, one officer", one, api.TakenAgreed},
		{"it again", one, api.TakenKnown},
		{"a later number", statement(4, 0, 1), api.TakenLater},
		{"the next number, two officers", two, api.TakenAgreed},
		{"the second signature on the older one", both, api.TakenAgreed},
		{"that again", both, api.TakenKnown},
		{"a number that was used, other words", other, api.TakenAgreed},
		{"those again", other, api.TakenKnown},
	} {
		if got, err := s.Take(t.Context(), step.raw); err != nil || got.State != step.want {
			t.Errorf("%s: %+v, %v; want %s", step.name, got, err, step.want)
		}
	}
	if !slices.Equal(looked, []trust.HotlineID{c.Hotline.ID}) {
		t.Errorf("asked the repositories of %v once for what lies between", looked)
	}
	for name, raw := range map[string][]byte{"nothing": nil, "nonsense": {0xa0}, "cut short": two[:len(two)-1]} {
		if _, err := s.Take(t.Context(), raw); !errors.Is(err, api.ErrStatement) {
			t.Errorf("%s: %v, want ErrStatement", name, err)
		}
	}
	all := s.All()
	if !slices.ContainsFunc(all, func(b []byte) bool { return bytes.Equal(b, two) }) || slices.ContainsFunc(all, func(b []byte) bool { return bytes.Equal(b, one) }) {
		t.Errorf("%d statements for edges; want number 2 among them and not what one officer alone has signed", len(all))
	}

	for _, f := range c.Followers() {
		f.Stop()
	}
	m.Wait("no leader", func(n *cluster.Node) bool { return n.Status().Leader == "" })
	three := statement(3, 1, 2)
	if got, err := s.Take(t.Context(), three); err != nil || got.State != api.TakenKept {
		t.Errorf("without a quorum: %+v, %v; want it kept", got, err)
	}
	if !slices.ContainsFunc(s.All(), func(b []byte) bool { return bytes.Equal(b, three) }) {
		t.Error("edges do not get it")
	}
	c.Advance(2 * time.Hour)
	if n := len(s.All()); n != 0 {
		t.Errorf("%d statements after they have expired, want none", n)
	}
}
