package cluster_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cordon-project/cordon/cluster"
	"github.com/cordon-project/cordon/cluster/audit/order"
	"github.com/cordon-project/cordon/cluster/clustertest"
	"github.com/cordon-project/cordon/cluster/state"
	"github.com/cordon-project/cordon/listsync/brake"
	"github.com/cordon-project/cordon/listsync/list"
	"github.com/cordon-project/cordon/listsync/list/listtest"
	"github.com/cordon-project/cordon/listsync/trust"
	"github.com/cordon-project/cordon/listsync/trust/trusttest"
	"github.com/cordon-project/cordon/resolver/canon"
	"github.com/cordon-project/cordon/resolver/match"
)

// popularity is a signed file of these names.
func popularity(t *testing.T, names ...string) *brake.Popularity {
	t.Helper()
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{9}, ed25519.SeedSize))
	vkey, err := brake.VerifierKey("popularity.test", key.Public().(ed25519.PublicKey))
	if err != nil {
		t.Fatal(err)
	}
	b, err := brake.SignPopularity(names, nil, time.Now(), "popularity.test", key)
	if err != nil {
		t.Fatal(err)
	}
	p, err := brake.ReadPopularity(b, []string{vkey}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestPopularNamesWaitForOfficersWhoNameEachEntry(t *testing.T) {
	names := popularity(t, listtest.Name(1), "fine.test", listtest.Name(2))
	c := clustertest.New(t, clustertest.Options{Configure: func(c *cluster.Config) { c.Popularity = names }})
	leader := c.Leader()
	n := leader.Node()
	if err := n.Publish(c.Context(), c.Publication(leader, 1, 1, nil), clustertest.List); !errors.Is(err, cluster.ErrRefused) {
		t.Fatalf("nothing but a canary: %v", err)
	}
	m := c.Publication(leader, 1, 20, nil)
	if err := n.Publish(c.Context(), m, clustertest.List); !errors.Is(err, cluster.ErrHeld) {
		t.Fatalf("publish: %v, want held", err)
	}
	held := n.View().Orders.Held[0]
	j, ok := n.Judged(held.List, held.Seq, held.Edge)
	if !ok || j.Result != "popular" || !j.Overrule || len(j.Held) != 1 || j.Held[0].Count != 2 || j.Held[0].Kinds["domain"] != 2 {
		t.Fatalf("judged %+v", j)
	}
	want := []match.EntryID{listtest.ID(1, 1), listtest.ID(2, 1)}
	slices.SortFunc(want, func(a, b match.EntryID) int { return bytes.Compare(a[:], b[:]) })
	for i, e := range j.Held[0].Entries {
		if e.ID != want[i] {
			t.Errorf("entry %d is %v, want %v", i, e.ID, want[i])
		}
	}
	if said, err := json.Marshal(j); err != nil || strings.Contains(string(said), "test") {
		t.Errorf("a name is in what an operator reads: %s, %v", said, err)
	}
	hash, err := held.Verdicts[0].Verdict()
	if err != nil {
		t.Fatal(err)
	}
	approve := func(number uint64, entries ...match.EntryID) {
		t.Helper()
		a := order.Approve{List: held.List, Seq: held.Seq, Edge: held.Edge, Entries: entries, Brakes: []string{"popular"}, NeverBlock: hash.NeverBlock}
		if _, _, err := n.Order(c.Context(), c.Order(number, a)); err != nil {
			t.Fatal(err)
		}
	}
	approve(1, want[0])
	if err := n.Publish(c.Context(), m, clustertest.List); !errors.Is(err, cluster.ErrHeld) {
		t.Fatalf("one entry of two approved: %v, want held", err)
	}
	if j, _ := n.Judged(held.List, held.Seq, held.Edge); j.Approved != 1 || j.Held[0].Count != 1 || j.Held[0].Entries[0].ID != want[1] {
		t.Errorf("judged again %+v", j)
	}
	approve(2, want...)
	if err := n.Publish(c.Context(), m, clustertest.List); err != nil {
		t.Fatalf("both approved: %v", err)
	}
	c.WaitAll("version 1 in force and cosigned", inForce(1))

	// What is in force stops those names already: the next versions need nobody, with new keys neither.
	for seq := uint64(2); seq <= 3; seq++ {
		c.Epoch = uint32(seq - 1)
		if err := n.Publish(c.Context(), c.Publication(leader, seq, 20+int(seq), nil), clustertest.List); err != nil {
			t.Fatalf("version %d: %v", seq, err)
		}
	}
	if j := n.LastJudgement(clustertest.List); len(j.Held) != 0 || len(j.Notes) != 1 || !strings.HasPrefix(j.Notes[0], "2 of the names that the brake popular protects") {
		t.Errorf("judged %+v", j)
	}
	// An id that was approved is no way in for another name, with new keys neither.
	c.Epoch = 3
	all := listtest.EntriesAt(23, 1, c.Now())
	all[1].Expression = "fine.test"
	if err := n.Publish(c.Context(), c.PublishEntries(leader, 4, all, nil), clustertest.List); !errors.Is(err, cluster.ErrHeld) {
		t.Errorf("an approved id with another popular name: %v, want held", err)
	}
	// A name that was withdrawn is not stopped any more: listing it again is held like the first time.
	if err := n.Withdraw(c.Context(), c.Withdrawal(1, 0, listtest.ID(2, 1))); err != nil {
		t.Fatal(err)
	}
	if err := n.Publish(c.Context(), c.Publication(leader, 5, 25, nil), clustertest.List); !errors.Is(err, cluster.ErrHeld) {
		t.Errorf("a withdrawn popular name again: %v, want held", err)
	}
	equal(c)
}

func TestAPublicSuffixIsRefusedForGood(t *testing.T) {
	c := clustertest.New(t, clustertest.Options{})
	leader := c.Leader()
	all := listtest.EntriesAt(10, 1, c.Now())
	all[1].Kind, all[1].Expression = canon.KindDomain, "co.uk"
	var r *state.Refusal
	if err := leader.Node().Publish(c.Context(), c.PublishEntries(leader, 1, all, nil), clustertest.List); !errors.As(err, &r) || r.Reason != "public_suffix" {
		t.Errorf("got %v, want refused: public_suffix", err)
	}
}

// Steps that are each below the limit are held once they add up, whatever the hotline says that it added.
func TestManySmallStepsAreHeld(t *testing.T) {
	c := clustertest.New(t, clustertest.Options{Members: 1, Configure: func(c *cluster.Config) { c.Limits = brake.Limits{MinChange: 10, MaxWindowPercent: 60} }})
	leader := c.Leader()
	now := c.Now() // once: an approval is for one file, and what is published again must be that file
	names := func(from int) []list.Entry {
		all := listtest.EntriesAt(from+100, 1, now)
		return append(all[:1:1], all[from:]...) // the canary, and 100 others
	}
	for step := range 4 {
		m := c.PublishEntries(leader, uint64(step+1), names(1+25*step), nil) // 25 go, 25 come: the size stays
		err := leader.Node().Publish(c.Context(), m, clustertest.List)
		if step < 3 && err != nil {
			t.Fatalf("step %d: %v", step, err)
		}
		if step == 3 && !errors.Is(err, cluster.ErrHeld) {
			t.Fatalf("step %d: %v, want held", step, err)
		}
	}
	h := leader.Node().View().Orders.Held
	if len(h) != 1 || h[0].Brake != "window" {
		t.Fatalf("held: %+v", h)
	}
	// Once people have looked at the sum, a new one begins.
	said, err := h[0].Verdicts[0].Verdict()
	if err != nil {
		t.Fatal(err)
	}
	a := order.Approve{List: h[0].List, Seq: h[0].Seq, Edge: h[0].Edge, Brakes: []string{"window"}, NeverBlock: said.NeverBlock}
	if _, _, err := leader.Node().Order(c.Context(), c.Order(1, a)); err != nil {
		t.Fatal(err)
	}
	for step := 3; step < 5; step++ {
		if err := leader.Node().Publish(c.Context(), c.PublishEntries(leader, uint64(step+1), names(1+25*step), nil), clustertest.List); err != nil {
			t.Errorf("step %d: %v", step, err)
		}
	}
}

func TestSimulateSaysWhatAVersionWouldChange(t *testing.T) {
	c := clustertest.New(t, clustertest.Options{Members: 1})
	leader := c.Leader()
	n := leader.Node()
	if err := n.Publish(c.Context(), c.Publication(leader, 1, 50, nil), clustertest.List); err != nil {
		t.Fatal(err)
	}
	m := c.PublishEntries(leader, 2, append(listtest.EntriesAt(60, 1, c.Now())[:1], listtest.EntriesAt(60, 1, c.Now())[6:]...), nil)
	size := n.View().Size
	j, err := n.Simulate(c.Context(), m, clustertest.List)
	if err != nil {
		t.Fatal(err)
	}
	if j.Result != "ok" || j.Before != 1 || j.Difference.Stops.Entries != 10 || j.Difference.Frees.Entries != 5 || j.Difference.Stops.Broad != 8 {
		t.Errorf("got %+v", j)
	}
	if l, _ := n.View().InForce.List(clustertest.List); l.Seq != 1 || n.View().Size < size {
		t.Errorf("version %d is in force", l.Seq)
	}
}

// Whoever holds a hotline's keys could put in a new list what the brakes keep out of the old one.
func TestANewListIsHeldAgainstTheOthersOfItsHotline(t *testing.T) {
	c := clustertest.New(t, clustertest.Options{Members: 1, Configure: func(c *cluster.Config) { c.Limits = brake.Limits{MinChange: 10} }})
	leader := c.Leader()
	n := leader.Node()
	if err := n.Publish(c.Context(), c.Publication(leader, 1, 100, nil), clustertest.List); err != nil {
		t.Fatal(err)
	}
	const other match.ListID = "hotline-one/other"
	publish := func(seq uint64, count int) error {
		t.Helper()
		v := listtest.Version(seq)
		v.List = other
		edge, commitments, _, err := list.Build(v, listtest.EntriesAt(count, 1, c.Now()), nil, listtest.Keys(1), listtest.OpenKey(1))
		if err != nil {
			t.Fatal(err)
		}
		l := trusttest.Built(edge, commitments, seq-1, listtest.Canary)
		keys, err := trust.WrapKeys(trust.EpochKeys{List: other, Epoch: 1, Keys: listtest.Keys(1)}, c.Desc.Recipient)
		if err != nil {
			t.Fatal(err)
		}
		l.Keys = map[string][]byte{c.ID: keys}
		m := c.Hotline.Publish(c.Now(), l)
		for _, b := range append([][]byte{l.Edge, l.Audit}, keys) {
			if _, err := leader.Files.Add(c.Context(), b); err != nil {
				t.Fatal(err)
			}
		}
		return n.Publish(c.Context(), m, other)
	}
	if err := publish(1, 40); !errors.Is(err, cluster.ErrHeld) || n.LastJudgement(other).Held[0].Brake != brake.Change {
		t.Errorf("a new list of 40 beside one of 100: %v, want held: change", err)
	}
	if err := publish(2, 20); err != nil {
		t.Errorf("a new list of 20 beside one of 100: %v", err)
	}
	// Together with what the new list brought, a week's steps are summed up over all lists of the hotline.
	all := listtest.EntriesAt(150, 1, c.Now())
	if err := n.Publish(c.Context(), c.PublishEntries(leader, 2, append(all[:1:1], all[21:120]...), nil), clustertest.List); err != nil {
		t.Fatalf("20 of them: %v", err)
	}
	if err := n.Publish(c.Context(), c.PublishEntries(leader, 3, append(all[:1:1], all[41:140]...), nil), clustertest.List); !errors.Is(err, cluster.ErrHeld) || n.LastJudgement(clustertest.List).Held[0].Brake != brake.Window {
		t.Errorf("20 + 20 + 20 beside 100: %v, %+v, want held: window", err, n.LastJudgement(clustertest.List).Held)
	}
}
