package liestest

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"slices"
	"strings"
	"time"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/audit/audittest"
)

var logLies = []Lie{
	{Who: Mirror, Name: "a leaf is removed", Fails: []string{audit.CheckLog}, Says: "the bundle has 14 leaves, the checkpoint says 15 (position 9 holds a leaf numbered 10)",
		Build: func(l *audittest.Log) []byte {
			b, note := l.Bundle(), l.Checkpoint()
			return swapLog(b, slices.Delete(slices.Clone(l.Leaves), 9, 10), note)
		}},
	{Who: Mirror, Name: "two leaves change places", Fails: []string{audit.CheckLog}, Says: "a leaf was changed, removed or moved (position 8 holds a leaf numbered 9)",
		Build: func(l *audittest.Log) []byte {
			b, note := l.Bundle(), l.Checkpoint()
			l.Leaves[8], l.Leaves[9] = l.Leaves[9], l.Leaves[8]
			return swapLog(b, l.Leaves, note)
		}},
	{Who: Operator, Name: "two leaves change places and every member signs again", Fails: []string{audit.CheckLog}, Says: "position 8 holds a leaf numbered 9",
		Build: func(l *audittest.Log) []byte {
			b := l.Bundle()
			l.Leaves[8], l.Leaves[9] = l.Leaves[9], l.Leaves[8]
			return swapLog(b, l.Leaves, l.Checkpoint())
		}},
	{Who: Node, Name: "a leaf is altered and too few sign again", Fails: []string{audit.CheckCheckpoint}, Says: "cosigned by 1 of 3 trusted members (c2), 2 are needed",
		Build: func(l *audittest.Log) []byte {
			b := l.Bundle()
			rewrite(l, last(l, audit.KindMember), func(m audit.Member) audit.Member { m.By = "nobody"; return m })
			return swapLog(b, l.Leaves, l.Sign(l.Desc.Origin, audittest.C2))
		}},
	{Who: Node, Name: "one member signs under another's name", Fails: []string{audit.CheckCheckpoint}, Says: "isp.example/cordon/c3",
		Build: func(l *audittest.Log) []byte {
			note := string(l.Sign(l.Desc.Origin, audittest.C2))
			_, mine, _ := strings.Cut(note, "cordon/c2 ")
			mine, _, _ = strings.Cut(mine, "\n") // the Ed25519 one
			sig, err := base64.StdEncoding.DecodeString(strings.TrimSpace(mine))
			check(err)
			key, err := audit.CosignatureKey(l.Desc.Origin, audittest.C3, l.Members[audittest.C3].Public().(ed25519.PublicKey))
			check(err)
			hash, err := hex.DecodeString(strings.Split(key, "+")[1])
			check(err)
			copy(sig, hash)
			return swapNote(l, note+"— isp.example/cordon/c3 "+base64.StdEncoding.EncodeToString(sig)+"\n")
		}},
	{Who: Operator, Name: "the checkpoint is of another log", Fails: []string{audit.CheckCheckpoint}, Says: `it is of "other.example/cordon", expected "isp.example/cordon"`,
		Build: func(l *audittest.Log) []byte {
			return swapNote(l, string(l.Sign("other.example/cordon", audittest.C1, audittest.C2, audittest.C3)))
		}},
	{Who: Mirror, Name: "the checkpoint is signed by strangers", Fails: []string{audit.CheckCheckpoint}, Says: "signed by none of the trusted members",
		Build: func(l *audittest.Log) []byte {
			other := audittest.Honest("another")
			return swapNote(l, string(other.Checkpoint()))
		}},
	{Who: Mirror, Name: "the checkpoint is of another moment", Fails: []string{audit.CheckLog}, Says: "the bundle has more leaves than the checkpoint's 15",
		Build: func(l *audittest.Log) []byte {
			old := l.Checkpoint()
			l.Receipts(audittest.E1)
			return edit(l.Bundle(), func(p []part) []part { p[1].data = old; return p })
		}},
	{Who: Mirror, Name: "the checkpoint has an extension line", Fails: []string{audit.CheckCheckpoint}, Says: "parse checkpoint",
		Build: func(l *audittest.Log) []byte {
			return swapNote(l, strings.Replace(string(l.Checkpoint()), "\n\n", "\nextra\n\n", 1))
		}},
	{Who: Mirror, Name: "the checkpoint is stale", Fails: []string{audit.CheckCheckpoint}, Says: "the checkpoint is stale: a quorum signed it ",
		Look: func(c *Case, l *audittest.Log) {
			c.Now, c.MaxAge = l.Now.Add(3*time.Hour), 2*time.Hour
		},
		Build: func(l *audittest.Log) []byte { return l.Bundle() }},
	{Who: Operator, Name: "the log is shorter than at the last visit", Fails: []string{audit.CheckConsistency}, Says: "rollback: the log has 15 leaves, at the last visit it had 16",
		Look: func(c *Case, l *audittest.Log) {
			c.Before = &audit.Visit{V: 3, Cluster: l.Desc.ID(), Size: 16, Root: strings.Repeat("00", 32)}
		},
		Build: func(l *audittest.Log) []byte { return l.Bundle() }},
	{Who: Operator, Name: "the log has another past than at the last visit", Fails: []string{audit.CheckConsistency}, Says: "fork: the first 12 leaves are not those of the last visit",
		Look: func(c *Case, l *audittest.Log) {
			c.Before = &audit.Visit{V: 3, Cluster: l.Desc.ID(), Size: 12, Root: strings.Repeat("11", 32)}
		},
		Build: func(l *audittest.Log) []byte { return l.Bundle() }},
	{Who: Operator, Name: "the clock is held back after the last visit", Fails: []string{audit.CheckConsistency}, Says: "leaf 15 is dated ",
		Look: func(c *Case, l *audittest.Log) {
			root, err := audit.NewTree(slices.Clone(l.Leaves)).RootAt(15)
			check(err)
			c.Before = &audit.Visit{V: 3, Cluster: l.Desc.ID(), Size: 15, Root: hex.EncodeToString(root[:]), Fresh: l.Now.Add(26 * time.Hour).Unix()}
			c.Now = l.Now.Add(28 * time.Hour)
		},
		Build: func(l *audittest.Log) []byte {
			l.Publish(50)
			stopped := l.Now
			l.Now = stopped.Add(27 * time.Hour)
			note := string(l.Checkpoint())
			l.Now = stopped
			return swapNote(l, note)
		}},
	{Who: Operator, Name: "the clock runs backwards", Fails: []string{audit.CheckLog}, Says: "leaf 15 is dated 2020-01-01T00:00:00Z, before the leaf in front of it",
		Build: func(l *audittest.Log) []byte {
			honest := l.Now
			l.Now = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
			l.Append(audit.Alarm{Node: "c1", What: "test"})
			l.Now = honest
			return l.Bundle()
		}},
	{Who: Operator, Name: "the clock is set forward for a suppression that lasts for years", Fails: []string{audit.CheckLog}, Says: "leaf 15 is dated 2030-01-01T00:01:00Z, and the checkpoint over it was signed at",
		Build: func(l *audittest.Log) []byte {
			honest := l.Now
			l.Now = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
			l.Order(suppress(7))
			l.Now = honest
			return l.Bundle()
		}},
	{Who: Operator, Name: "another edge was there from the beginning", Fails: []string{audit.CheckLog}, Says: "leaf 4 is not the one that the trusted cluster file begins with",
		Build: func(l *audittest.Log) []byte {
			rewrite(l, 4, func(m audit.Member) audit.Member { m.Key[0] ^= 1; return m })
			return l.Bundle()
		}},
	{Who: Operator, Name: "a leaf lies about what is in force", Fails: []string{audit.CheckReplay}, Says: "leaf 15 (alarm) says that",
		Build: func(l *audittest.Log) []byte {
			l.Append(audit.Alarm{Node: "c1", What: "test"})
			relog(l, func(leaves []audit.Leaf) []audit.Leaf { leaves[15].F[0] ^= 1; return leaves })
			return l.Bundle()
		}},
	{Who: Operator, Name: "a leaf is of a kind that nobody can replay", Fails: []string{audit.CheckReplay}, Says: `leaf 15 is of kind "feature", which this version cannot replay`,
		Build: func(l *audittest.Log) []byte {
			leaf, err := audit.NewLeaf(15, l.Now.Unix(), audit.Unknown{Kind: audit.KindFeature, Raw: []byte{0xa0}})
			check(err)
			leaf.F = l.InForce.Hash()
			l.AppendLeaf(leaf)
			return l.Bundle()
		}},
}

func swapNote(l *audittest.Log, note string) []byte {
	return edit(l.Bundle(), func(p []part) []part { p[1].data = []byte(note); return p })
}
