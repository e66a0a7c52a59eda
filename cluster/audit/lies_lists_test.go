package audit_test

import (
	"archive/tar"
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/audit/audittest"
	"github.com/cordon-project/cordon/listsync/list"
	"github.com/cordon-project/cordon/listsync/list/listtest"
	"github.com/cordon-project/cordon/listsync/trust"
	"github.com/cordon-project/cordon/listsync/trust/trusttest"
	"github.com/cordon-project/cordon/resolver/match"
)

var hotlineLies = []lie{
	{name: "another scope, signed by the hotline's own keys", fails: []string{audit.CheckMetadata}, says: `scope is "gambling", only "csam" is allowed`,
		build: func(t *testing.T, l *audittest.Log) []byte {
			l.Hotline.Break(trusttest.Scope("gambling"))
			l.Publish(50)
			return l.Bundle()
		}},
	{name: "a charter of another scope, signed by the accreditation", fails: []string{audit.CheckCharter}, says: `the charter's scope is "gambling", only "csam" is allowed`,
		build: func(t *testing.T, l *audittest.Log) []byte {
			l.Hotline.Break(trusttest.CharterScope("gambling"))
			l.Hotline.Accredit(l.Now)
			l.Publish(50)
			return l.Bundle()
		}},
	{name: "a charter of another scope, put in by the operator", fails: []string{audit.CheckCharter}, says: `the charter's scope is "gambling"`,
		build: func(t *testing.T, l *audittest.Log) []byte {
			return operatorMetadata(t, l, func(m *trust.Metadata) {
				m.Charter = bytes.Replace(m.Charter, []byte(`"csam"`), []byte(`"gambling"`), 1)
			})
		}},
	{name: "a charter for other countries, put in by the operator", fails: []string{audit.CheckCharter}, says: "the charter is not the accredited one",
		build: func(t *testing.T, l *audittest.Log) []byte {
			return operatorMetadata(t, l, func(m *trust.Metadata) {
				m.Charter = bytes.Replace(m.Charter, []byte(`"AA"`), []byte(`"AB"`), 1)
			})
		}},
	{name: "a filter wider than the charter's", fails: []string{audit.CheckCharter}, says: "filter of the publish leaf is not the charter's",
		build: func(t *testing.T, l *audittest.Log) []byte {
			l.PublishWith(50, func(p audit.Publish) audit.Publish {
				f := l.Hotline.Charter.Filter()
				f.Jurisdictions = append(f.Jurisdictions, "BB")
				p.Filter, p.FilterHash = audit.FilterOf(f), f.Hash()
				return p
			})
			return l.Bundle()
		}},
	{name: "another head of the edge list for edges that follow by deltas", fails: []string{audit.CheckLists}, says: "has another head than was signed",
		build: func(t *testing.T, l *audittest.Log) []byte {
			l.EdgeHead = [32]byte{1}
			l.Publish(50)
			return l.Bundle()
		}},
	{name: "a list signed by one officer of two", fails: []string{audit.CheckMetadata}, says: "too few valid signatures",
		build: func(t *testing.T, l *audittest.Log) []byte {
			l.Hotline.Break(trusttest.ListSigners(0))
			l.Publish(50)
			return l.Bundle()
		}},
	{name: "metadata that had expired when it was accepted", fails: []string{audit.CheckMetadata}, says: "expired",
		build: func(t *testing.T, l *audittest.Log) []byte {
			l.Hotline.Break(trusttest.TimestampLives(-time.Hour))
			l.Publish(50)
			return l.Bundle()
		}},
	{name: "metadata of an older version", fails: []string{audit.CheckVersions}, says: "metadata went back from versions 1.3.3.1.3 to 1.2.2.1.2",
		build: func(t *testing.T, l *audittest.Log) []byte {
			old := body[audit.Publish](t, leavesOf(t, l)[last(t, l, audit.KindPublish)])
			v := body[audit.Trust](t, leavesOf(t, l)[last(t, l, audit.KindTrust)])
			v.Metadata, v.Versions = old.Metadata, audit.Versions{Root: 1, Timestamp: 2, Snapshot: 2, Targets: 1, List: 2}
			l.Append(v)
			return l.Bundle()
		}},
	{name: "the leaf names other files than the hotline signed", fails: []string{audit.CheckMetadata}, says: "edge list of the publish leaf is not what the hotline signed",
		build: func(t *testing.T, l *audittest.Log) []byte {
			l.PublishWith(50, func(p audit.Publish) audit.Publish {
				// The operator builds a list of its own making and logs it in place of the hotline's.
				edge, aud, sum, err := list.Build(listtest.Version(3), listtest.Entries(51, 1), nil, listtest.Keys(1), listtest.OpenKey(1))
				if err != nil {
					t.Fatal(err)
				}
				p.Edge, p.EdgeSize, p.Audit, p.AuditSize = sha256.Sum256(edge), int64(len(edge)), sha256.Sum256(aud), int64(len(aud))
				l.Files[p.Edge], l.Files[p.Audit] = edge, aud
				p.EntriesRoot, p.Counts = sum.EntriesRoot, nil
				for _, kind := range slices.Sorted(maps.Keys(sum.Kinds)) {
					p.Counts = append(p.Counts, audit.KindCount{Kind: kind, N: uint64(sum.Kinds[kind])})
				}
				p.Verdicts = l.Verdicts(p, audittest.C1, audittest.C2, audittest.C3)
				return p
			})
			return l.Bundle()
		}},
	{name: "another root is pinned on the way", fails: []string{audit.CheckMetadata}, says: "leaf 15: it would pin hotline hotline-one anew",
		build: func(t *testing.T, l *audittest.Log) []byte {
			l.Append(audit.Trust{Hotline: audittest.Hotline, Root: sha256.Sum256([]byte("other"))})
			return l.Bundle()
		}},
	{name: "metadata is missing", fails: []string{audit.CheckMetadata}, says: "is missing from the bundle",
		build: func(t *testing.T, l *audittest.Log) []byte {
			return edit(t, l.Bundle(), func(p []part) []part { i := find(p, "metadata/"); return slices.Delete(p, i, i+1) })
		}},
	{name: "metadata was changed", fails: []string{audit.CheckMetadata}, says: "metadata",
		build: func(t *testing.T, l *audittest.Log) []byte {
			return edit(t, l.Bundle(), func(p []part) []part { i := find(p, "metadata/"); p[i].data[200] ^= 1; return p })
		}},
	{name: "a withdrawal that no officer signed", fails: []string{audit.CheckWithdrawals}, says: "no valid signature",
		build: func(t *testing.T, l *audittest.Log) []byte {
			w := trust.Withdrawal{
				List: listtest.List, Entries: []match.EntryID{listtest.ID(5, 1)}, SeqFrom: 1, SeqTo: 9, Number: 2,
				Issued: l.Now.Unix(), Expires: l.Now.Add(time.Hour).Unix(), Reason: "error",
			}
			key := audittest.Key("operator")
			raw, err := trust.SignWithdrawal(w, key)
			if err != nil {
				t.Fatal(err)
			}
			l.Append(audit.NewWithdraw(raw, w, []string{trust.KeyID(key.Public().(ed25519.PublicKey))}, l.Hotline.OfficerKeys()))
			return l.Bundle()
		}},
	{name: "a version that too few members had checked", fails: []string{audit.CheckVerdicts}, says: "checked and signed by 1 of 3 members (c1), 2 are needed",
		build: func(t *testing.T, l *audittest.Log) []byte {
			l.PublishWith(50, func(p audit.Publish) audit.Publish { p.Verdicts = p.Verdicts[:1]; return p })
			return l.Bundle()
		}},
	{name: "verdicts about another version", fails: []string{audit.CheckVerdicts}, says: "checked and signed by 0 of 3 members",
		build: func(t *testing.T, l *audittest.Log) []byte {
			old := body[audit.Publish](t, leavesOf(t, l)[last(t, l, audit.KindPublish)])
			l.PublishWith(50, func(p audit.Publish) audit.Publish { p.Verdicts = old.Verdicts; return p })
			return l.Bundle()
		}},
	{name: "one member's verdict under three names", fails: []string{audit.CheckVerdicts}, says: "checked and signed by 1 of 3 members (c2)",
		build: func(t *testing.T, l *audittest.Log) []byte {
			l.PublishWith(50, func(p audit.Publish) audit.Publish {
				honest := l.Members[audittest.C2]
				for _, name := range []string{audittest.C1, audittest.C3} {
					l.Members[name] = honest
				}
				p.Verdicts = l.Verdicts(p, audittest.C1, audittest.C2, audittest.C3)
				return p
			})
			for name := range l.Members {
				l.Members[name] = audittest.Key("lies", name)
			}
			return l.Bundle()
		}},
}

// operatorMetadata publishes a version whose metadata the operator has changed: it has no key of the
// hotline's, but names the changed document in its own log.
func operatorMetadata(t *testing.T, l *audittest.Log, change func(*trust.Metadata)) []byte {
	t.Helper()
	l.PublishWith(50, func(p audit.Publish) audit.Publish {
		md, err := trust.DecodeMetadata(l.Docs[p.Metadata])
		if err != nil {
			t.Fatal(err)
		}
		change(&md)
		b, err := md.Encode()
		if err != nil {
			t.Fatal(err)
		}
		l.Docs[md.Hash()] = b
		p.Metadata, p.Charter = md.Hash(), sha256.Sum256(md.Charter)
		return p
	})
	return l.Bundle()
}

var listLies = []lie{
	{name: "a list file was changed", fails: []string{audit.CheckLists}, says: "edge list of hotline-one/main sequence 1",
		build: func(t *testing.T, l *audittest.Log) []byte {
			return edit(t, l.Bundle(), func(p []part) []part { i := find(p, "files/"); p[i].data[1000] ^= 1; return p })
		}},
	{name: "an auditor list was changed", fails: []string{audit.CheckLists}, says: "auditor list of hotline-one/main sequence 1",
		build: func(t *testing.T, l *audittest.Log) []byte {
			return edit(t, l.Bundle(), func(p []part) []part { i := find(p, "files/"); p[i+1].data[600] ^= 1; return p })
		}},
	{name: "a list file is missing", fails: []string{audit.CheckLists}, says: "is missing from the bundle",
		build: func(t *testing.T, l *audittest.Log) []byte {
			return edit(t, l.Bundle(), func(p []part) []part { i := find(p, "files/"); return slices.Delete(p, i, i+1) })
		}},
	{name: "a list file is longer than signed", fails: []string{audit.CheckLists}, says: "bytes, the log says",
		build: func(t *testing.T, l *audittest.Log) []byte {
			return edit(t, l.Bundle(), func(p []part) []part { i := find(p, "files/"); p[i].data = append(p[i].data, 0); return p })
		}},
	{name: "the bundle holds a version that the log does not name", fails: []string{audit.CheckVersions}, says: "that the log does not name: a hidden version",
		build: func(t *testing.T, l *audittest.Log) []byte {
			p := l.Offer(50)
			name := "files/" + hex.EncodeToString(p.Edge[:])
			return insert(part{tar.Header{Name: name}, l.Files[p.Edge]})(t, l)
		}},
	{name: "a version between two others is hidden", fails: []string{audit.CheckVersions}, says: "a version is hidden",
		build: func(t *testing.T, l *audittest.Log) []byte {
			l.Offer(50)
			l.Publish(60)
			return l.Bundle()
		}},
	{name: "a list is rolled back", fails: []string{audit.CheckVersions}, says: "list hotline-one/main rolled back from sequence 2 to 1",
		build: func(t *testing.T, l *audittest.Log) []byte {
			leaves := leavesOf(t, l)
			first := slices.IndexFunc(leaves, func(l audit.Leaf) bool { return l.K == audit.KindPublish })
			leaf, err := audit.NewLeaf(15, l.Now.Unix(), body[audit.Publish](t, leaves[first]))
			if err != nil {
				t.Fatal(err)
			}
			leaf.F = leaves[first].F
			l.AppendLeaf(leaf)
			return l.Bundle()
		}},
}

var receiptLies = []lie{
	{name: "an edge's index is not compiled from the signed list", fails: []string{audit.CheckReceipts}, says: "edge e1 counter 4: index not compiled from the signed lists",
		build: receipt(func(l *audittest.Log, r *audit.Receipt) {
			edge := body0(l)
			l.Indexes[edge] = [32]byte{1} // an index with names of the operator's
			r.State = l.State(l.InForce)
		})},
	{name: "an edge serves an older list than its log says", fails: []string{audit.CheckReceipts}, says: "edge e1 counter 4: it serves what was in force at size 7, not at size 15",
		build: receipt(func(l *audittest.Log, r *audit.Receipt) {
			old := audittest.New("lies")
			old.Publish(30)
			r.State = old.State(old.InForce)
		})},
	{name: "an edge ignores a withdrawal", fails: []string{audit.CheckReceipts}, says: "it serves what was in force at size 9, not at size 15",
		build: receipt(func(l *audittest.Log, r *audit.Receipt) {
			f := l.InForce
			f.Removals = nil
			r.State = l.State(f)
		})},
	{name: "an edge passes everything", fails: []string{audit.CheckReceipts}, says: "it lets everything pass, and the log does not say so",
		build: receipt(func(l *audittest.Log, r *audit.Receipt) {
			f := l.InForce
			f.Bypass = l.Now.Unix() + 60
			r.State = l.State(f)
		})},
	{name: "an edge was shown another log", fails: []string{audit.CheckReceipts}, says: "the edge was shown another log",
		build: receipt(func(l *audittest.Log, r *audit.Receipt) { r.Root[5] ^= 1 })},
	{name: "a receipt is of a log to come", fails: []string{audit.CheckReceipts}, says: "is not this one",
		build: receipt(func(l *audittest.Log, r *audit.Receipt) { r.Size = 400 })},
	{name: "a receipt is of an edge nobody enrolled", fails: []string{audit.CheckReceipts}, says: "receipt of edge ghost, which was not enrolled then",
		build: receipt(func(l *audittest.Log, r *audit.Receipt) { r.Edge = "ghost" })},
	{name: "a receipt is signed by another key", fails: []string{audit.CheckReceipts}, says: "signature does not verify",
		build: receipt(func(l *audittest.Log, r *audit.Receipt) { l.Edges[audittest.E1] = l.Edges[audittest.E2] })},
	{name: "a receipt is of another cluster", fails: []string{audit.CheckReceipts}, says: "it is of cluster",
		build: receipt(func(l *audittest.Log, r *audit.Receipt) { r.Cluster = strings.Repeat("ab", 16) })},
	{name: "a receipt's counter stands still", fails: []string{audit.CheckReceipts}, says: "edge e1 counter 3: replayed, counter 3 came before it",
		build: receipt(func(l *audittest.Log, r *audit.Receipt) { r.Counter-- })},
	{name: "a receipt is replayed", fails: []string{audit.CheckReceipts}, says: "edge e3 counter 1: replayed",
		build: func(t *testing.T, l *audittest.Log) []byte {
			l.Append(body[audit.Receipts](t, leavesOf(t, l)[last(t, l, audit.KindReceipts)]))
			return l.Bundle()
		}},
	{name: "a receipt comes from a stopped edge", fails: []string{audit.CheckReceipts}, says: "edge e1, which was not enrolled then",
		build: func(t *testing.T, l *audittest.Log) []byte {
			l.Append(audit.Member{Action: audit.ActionDrop, Role: audit.RoleEdge, Name: audittest.E1, Key: [32]byte(l.Edges[audittest.E1].Public().(ed25519.PublicKey))})
			l.Receipts(audittest.E1)
			return l.Bundle()
		}},
}

// body0 is the edge list in force.
func body0(l *audittest.Log) [32]byte { return l.InForce.Lists[0].Edge }

// receipt logs a receipt of e1 that says something else than it should.
func receipt(change func(*audittest.Log, *audit.Receipt)) func(*testing.T, *audittest.Log) []byte {
	return func(t *testing.T, l *audittest.Log) []byte {
		r := l.Receipt(audittest.E1)
		change(l, &r)
		l.Append(audit.Receipts{Items: []audit.SignedReceipt{audit.SignReceipt(r, l.Edges[audittest.E1])}})
		return l.Bundle()
	}
}
