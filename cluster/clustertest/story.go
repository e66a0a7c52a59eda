package clustertest

import (
	"context"
	"crypto/sha256"
	"os"
	"path/filepath"
	"testing"

	"github.com/cordon-project/cordon/cluster"
	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/audit/order"
	"github.com/cordon-project/cordon/listsync/list"
	"github.com/cordon-project/cordon/listsync/list/listtest"
	"github.com/cordon-project/cordon/listsync/trust"
	"github.com/cordon-project/cordon/listsync/trust/trusttest"
	"github.com/cordon-project/cordon/resolver/match"
)

// Publication is version seq of List with n entries as the hotline signs it
// now, its files put where member at keeps them. change may alter what is
// signed.
func (c *Cluster) Publication(at *Member, seq uint64, n int, change func(l *trusttest.List)) trust.Metadata {
	c.T.Helper()
	return c.PublishEntries(at, seq, listtest.EntriesAt(n, 1, c.Now()), change)
}

// PublishEntries is Publication with these entries.
func (c *Cluster) PublishEntries(at *Member, seq uint64, entries []list.Entry, change func(l *trusttest.List)) trust.Metadata {
	c.T.Helper()
	version, secret := listtest.Version(seq), listtest.Keys(int64(c.Epoch))
	version.Epoch = c.Epoch
	edge, audit, _, err := list.Build(version, entries, nil, secret, listtest.OpenKey(1))
	c.must(err)
	l := trusttest.Built(edge, audit, seq-1, listtest.Canary)
	keys, err := trust.WrapKeys(trust.EpochKeys{List: List, Epoch: c.Epoch, Keys: secret}, c.Desc.Recipient)
	c.must(err)
	l.Keys = map[string][]byte{c.ID: keys}
	if change != nil {
		change(&l)
	}
	m := c.Hotline.Publish(c.Now(), l)
	c.put(at, l.Edge)
	c.put(at, l.Audit)
	for _, b := range l.Keys {
		c.put(at, b)
	}
	return m
}

func (c *Cluster) put(at *Member, b []byte) {
	c.T.Helper()
	_, err := at.Files.Add(context.Background(), b)
	c.must(err)
}

// Receipt is an edge's receipt for what the node's checkpoint covers.
func (c *Cluster) Receipt(n *cluster.Node, edge string, counter uint64) audit.SignedReceipt {
	v := n.View()
	return audit.SignReceipt(audit.Receipt{
		Cluster: c.ID, Edge: edge, Counter: counter, State: match.StateID(sha256.Sum256([]byte(edge))),
		Size: v.Size, Root: v.Root, Time: c.Now().Unix(),
	}, Key(edge))
}

// Withdrawal is a statement of one officer for these entries of List.
func (c *Cluster) Withdrawal(number uint64, officer int, entries ...match.EntryID) []byte {
	now := c.Now().Unix()
	return c.Hotline.Withdraw(trust.Withdrawal{
		List: List, Entries: entries, SeqFrom: 1, SeqTo: 1 << 20, Number: number,
		Issued: now - 1, Expires: now + 3600, Reason: "error",
	}, officer)
}

// Order is an order for the next hour that both officers have signed.
func (c *Cluster) Order(number uint64, b order.Body) []byte {
	c.T.Helper()
	now := c.Now().Unix()
	o := order.Order{Cluster: c.ID, Number: number, Issued: now - 1, Expires: now + 3600, Reason: "error", Body: b}
	raw, err := order.Sign(o, Officers[0], Key(Officers[0]))
	c.must(err)
	raw, err = order.Countersign(raw, Officers[1], Key(Officers[1]))
	c.must(err)
	return raw
}

// Snapshots is how many Raft snapshots lie in a member's directory.
func Snapshots(t testing.TB, dir string) int {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(dir, "snapshots"))
	if err != nil {
		t.Fatalf("clustertest: %v", err)
	}
	return len(entries)
}
