package cluster_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"io/fs"
	"slices"
	"testing"
	"time"

	"github.com/cordon-project/cordon/cluster"
	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/audit/order"
	"github.com/cordon-project/cordon/cluster/clustertest"
	"github.com/cordon-project/cordon/cluster/state"
	"github.com/cordon-project/cordon/listsync/list"
	"github.com/cordon-project/cordon/listsync/list/listtest"
	"github.com/cordon-project/cordon/listsync/trust"
	"github.com/cordon-project/cordon/listsync/trust/trusttest"
	"github.com/cordon-project/cordon/resolver/match"
)

const listTwo = match.ListID("hotline-two/main")

// second is a hotline that the cluster file does not name.
func second(c *clustertest.Cluster) *trusttest.Hotline {
	h := trusttest.New("second", "hotline-two", c.Now())
	h.Charter.Jurisdictions = []string{"AA", "ZZ"}
	return h
}

func pinOf(h *trusttest.Hotline) order.Pin {
	return order.Pin{Hotline: h.ID, Root: sha256.Sum256(h.Pinned), Document: h.Pinned}
}

// publishTwo is version 1 of the second hotline's list, its files put where member at keeps them.
func publishTwo(t *testing.T, c *clustertest.Cluster, h *trusttest.Hotline, at *clustertest.Member) trust.Metadata {
	t.Helper()
	version, secret := listtest.Version(1), listtest.Keys(9)
	version.List = listTwo
	edge, aud, _, err := list.Build(version, listtest.EntriesAt(30, 2, c.Now()), nil, secret, listtest.OpenKey(2))
	if err != nil {
		t.Fatal(err)
	}
	l := trusttest.Built(edge, aud, 0, listtest.Canary)
	keys, err := trust.WrapKeys(trust.EpochKeys{List: listTwo, Epoch: version.Epoch, Keys: secret}, c.Desc.Recipient)
	if err != nil {
		t.Fatal(err)
	}
	l.Keys = map[string][]byte{c.ID: keys}
	for _, b := range [][]byte{edge, aud, keys} {
		if _, err := at.Files.Add(context.Background(), b); err != nil {
			t.Fatal(err)
		}
	}
	return h.Publish(c.Now(), l)
}

func TestAHotlineIsAddedToARunningCluster(t *testing.T) {
	c := clustertest.New(t, clustertest.Options{})
	leader, follower := c.Leader(), c.Followers()[0]
	two := second(c)
	if err := leader.Node().Publish(c.Context(), c.Publication(leader, 1, 40, nil), clustertest.List); err != nil {
		t.Fatal(err)
	}
	m := publishTwo(t, c, two, follower)
	var r *state.Refusal
	if err := follower.Node().Publish(c.Context(), m, listTwo); !errors.As(err, &r) || r.Reason != state.ReasonUnknownHotline {
		t.Fatalf("before the pin: %v, want refused with %q", err, state.ReasonUnknownHotline)
	}
	pin := c.Order(1, pinOf(two))
	if _, again, err := follower.Node().Order(c.Context(), pin); err != nil || again {
		t.Fatalf("pin: %t, %v", again, err)
	}
	c.WaitAll("the pin", func(n *cluster.Node) bool { _, ok := n.View().Hotline("hotline-two"); return ok })
	if err := follower.Node().Publish(c.Context(), m, listTwo); err != nil {
		t.Fatalf("after the pin: %v", err)
	}
	c.WaitAll("both lists in force and cosigned", bothServed)
	if s := leader.Node().Status(); len(s.Known) != 2 || s.Known[1].ID != "hotline-two" || s.Known[1].Order != 1 {
		t.Errorf("status knows %+v, want hotline-two by order 1", s.Known)
	}

	// A replica that comes back knows it from its log, and a reader from the manifest alone.
	follower.Stop()
	follower.Start()
	follower.Wait("both lists again", bothServed)
	manifestProvesPins(t, c, follower.Node())
	auditorsWantTheirOwnWord(t, c, leader, follower, two)
}

func bothServed(n *cluster.Node) bool {
	m, err := n.Manifest(0)
	return err == nil && len(m.Lists) == 2 && len(m.Pins) == 1
}

func manifestProvesPins(t *testing.T, c *clustertest.Cluster, n *cluster.Node) {
	t.Helper()
	m, err := n.Manifest(0)
	if err != nil {
		t.Fatal(err)
	}
	if m, err = audit.DecodeManifest(m.Encode()); err != nil {
		t.Fatal(err)
	}
	q := c.Desc.Quorum()
	if o, err := q.OpenManifest(m, c.Desc.Anchors()); err != nil || len(o.Lists) != 2 {
		t.Fatalf("open manifest: %v", err)
	}
	other := q
	other.Officers = q.Officers[:1]
	for name, change := range map[string]func(m *audit.Manifest) audit.Quorum{
		"without the pin":   func(m *audit.Manifest) audit.Quorum { m.Pins = nil; return q },
		"with it twice":     func(m *audit.Manifest) audit.Quorum { m.Pins = append(m.Pins, m.Pins[0]); return q },
		"another leaf":      func(m *audit.Manifest) audit.Quorum { m.Pins[0].Leaf, m.Pins[0].Proof = m.Last, m.LastProof; return q },
		"a changed leaf":    func(m *audit.Manifest) audit.Quorum { m.Pins[0].Leaf[100] ^= 1; return q },
		"another proof":     func(m *audit.Manifest) audit.Quorum { m.Pins[0].Proof[0][0] ^= 1; return q },
		"of other officers": func(m *audit.Manifest) audit.Quorum { return other },
	} {
		bad := m
		bad.Pins = nil
		for _, p := range m.Pins {
			bad.Pins = append(bad.Pins, audit.ManifestPin{Leaf: bytes.Clone(p.Leaf), Proof: slices.Clone(p.Proof)})
		}
		if _, err := change(&bad).OpenManifest(bad, c.Desc.Anchors()); err == nil {
			t.Errorf("a manifest %s is opened", name)
		}
	}
}

// auditorsWantTheirOwnWord: what the operator's officers add, somebody else must have accredited.
func auditorsWantTheirOwnWord(t *testing.T, c *clustertest.Cluster, leader, follower *clustertest.Member, two *trusttest.Hotline) {
	t.Helper()
	var b bytes.Buffer
	src := bundled{c.Desc, leader.Node().Checkpoint(), leader.Node().View(), []*clustertest.Member{leader, follower}}
	if err := audit.WriteBundle(context.Background(), &b, src, audit.Part{}, c.Now()); err != nil {
		t.Fatal(err)
	}
	tf := audit.NewTrustFile(c.Desc, "")
	named := tf
	named.Hotlines = []audit.HotlineAnchor{{ID: two.ID, Root: two.Pinned}}
	stranger := tf
	stranger.Hotlines = []audit.HotlineAnchor{{ID: two.ID, Root: trusttest.New("stranger", two.ID, c.Now()).Pinned}}
	for _, x := range []struct {
		name string
		tf   audit.TrustFile
		pass bool
	}{{"named", named, true}, {"not named", tf, false}, {"named with another root", stranger, false}} {
		r, err := audit.Verify(context.Background(), bytes.NewReader(b.Bytes()), x.tf.Encode(), audit.Options{Now: c.Now().Add(time.Minute)})
		if err != nil {
			t.Fatal(err)
		}
		var failed []string
		for _, check := range r.Checks {
			if !check.Pass {
				failed = append(failed, check.Name+": "+check.Detail)
			}
		}
		if x.pass != r.Pass || !x.pass && len(failed) != 1 {
			t.Errorf("trust file, hotline %s: pass %t, failed %q", x.name, r.Pass, failed)
		}
		if check, _ := r.Check(audit.CheckHotlines); check.Pass != x.pass {
			t.Errorf("trust file, hotline %s: %+v", x.name, check)
		}
	}
}

// bundled gives audit.WriteBundle what a node holds, and files of several.
type bundled struct {
	desc  audit.Cluster
	note  []byte
	view  *state.View
	files []*clustertest.Member
}

func (b bundled) Cluster() audit.Cluster { return b.desc }
func (b bundled) Checkpoint() []byte     { return b.note }
func (b bundled) Tree() *audit.Tree      { return b.view.Tree() }

func (b bundled) Metadata(hash [32]byte) ([]byte, error) { return b.view.Metadata(hash) }

// Delta implements audit.Source: this node keeps none.
func (bundled) Delta([32]byte) (io.ReadCloser, int64, error) { return nil, 0, fs.ErrNotExist }

func (b bundled) File(hash [32]byte) (io.ReadCloser, int64, error) {
	for _, m := range b.files {
		f, err := m.Files.Open(hash)
		if err != nil {
			continue
		}
		info, err := f.Stat()
		if err != nil {
			return nil, 0, err
		}
		return f, info.Size(), nil
	}
	return nil, 0, fs.ErrNotExist
}
