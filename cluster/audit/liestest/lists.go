package liestest

import (
	"archive/tar"
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/audit/audittest"
	"github.com/cordon-project/cordon/listsync/list"
	"github.com/cordon-project/cordon/listsync/list/listtest"
	"github.com/cordon-project/cordon/listsync/trust"
	"github.com/cordon-project/cordon/listsync/trust/trusttest"
	"github.com/cordon-project/cordon/resolver/match"
)

var hotlineLies = []Lie{
	{Who: Hotline, Name: "another scope, signed by the hotline's own keys", Fails: []string{audit.CheckMetadata}, Says: `scope is "gambling", only "csam" is allowed`,
		Build: func(l *audittest.Log) []byte {
			l.Hotline.Break(trusttest.Scope("gambling"))
			l.Publish(50)
			return l.Bundle()
		}},
	{Who: Authority, Name: "a charter of another scope, signed by the accreditation", Fails: []string{audit.CheckCharter}, Says: `the charter's scope is "gambling", only "csam" is allowed`,
		Build: func(l *audittest.Log) []byte {
			l.Hotline.Break(trusttest.CharterScope("gambling"))
			l.Hotline.Accredit(l.Now)
			l.Publish(50)
			return l.Bundle()
		}},
	{Who: Operator, Name: "a charter of another scope, put in by the operator", Fails: []string{audit.CheckCharter}, Says: `the charter's scope is "gambling"`,
		Build: func(l *audittest.Log) []byte {
			return operatorMetadata(l, func(m *trust.Metadata) {
				m.Charter = bytes.Replace(m.Charter, []byte(`"csam"`), []byte(`"gambling"`), 1)
			})
		}},
	{Who: Operator, Name: "a charter for other countries, put in by the operator", Fails: []string{audit.CheckCharter}, Says: "the charter is not the accredited one",
		Build: func(l *audittest.Log) []byte {
			return operatorMetadata(l, func(m *trust.Metadata) {
				m.Charter = bytes.Replace(m.Charter, []byte(`"AA"`), []byte(`"AB"`), 1)
			})
		}},
	{Who: Operator, Name: "a filter wider than the charter's", Fails: []string{audit.CheckCharter}, Says: "filter of the publish leaf is not the charter's",
		Build: func(l *audittest.Log) []byte {
			l.PublishWith(50, func(p audit.Publish) audit.Publish {
				f := l.Hotline.Charter.Filter()
				f.Jurisdictions = append(f.Jurisdictions, "BB")
				p.Filter, p.FilterHash = audit.FilterOf(f), f.Hash()
				return p
			})
			return l.Bundle()
		}},
	{Who: Hotline, Name: "another head of the edge list for edges that follow by deltas", Fails: []string{audit.CheckLists}, Says: "has another head than was signed",
		Build: func(l *audittest.Log) []byte {
			l.EdgeHead = [32]byte{1}
			l.Publish(50)
			return l.Bundle()
		}},
	{Who: Hotline, Name: "a list signed by one officer of two", Fails: []string{audit.CheckMetadata}, Says: "too few valid signatures",
		Build: func(l *audittest.Log) []byte {
			l.Hotline.Break(trusttest.ListSigners(0))
			l.Publish(50)
			return l.Bundle()
		}},
	{Who: Hotline, Name: "metadata that had expired when it was accepted", Fails: []string{audit.CheckMetadata}, Says: "expired",
		Build: func(l *audittest.Log) []byte {
			l.Hotline.Break(trusttest.TimestampLives(-time.Hour))
			l.Publish(50)
			return l.Bundle()
		}},
	{Who: Operator, Name: "metadata of an older version", Fails: []string{audit.CheckVersions}, Says: "metadata went back from versions 1.3.3.1.3 to 1.2.2.1.2",
		Build: func(l *audittest.Log) []byte {
			old := Last[audit.Publish](l, audit.KindPublish)
			v := Last[audit.Trust](l, audit.KindTrust)
			v.Metadata, v.Versions = old.Metadata, audit.Versions{Root: 1, Timestamp: 2, Snapshot: 2, Targets: 1, List: 2}
			l.Append(v)
			return l.Bundle()
		}},
	{Who: Operator, Name: "the leaf names other files than the hotline signed", Fails: []string{audit.CheckMetadata}, Says: "edge list of the publish leaf is not what the hotline signed",
		Build: func(l *audittest.Log) []byte {
			l.PublishWith(50, func(p audit.Publish) audit.Publish {
				// The operator builds a list of its own making and logs it in place of the hotline's.
				edge, aud, sum, err := list.Build(listtest.Version(3), listtest.EntriesAt(51, 1, trusttest.Now), nil, listtest.Keys(1), listtest.OpenKey(1))
				check(err)
				p.Edge, p.EdgeSize, p.Audit, p.AuditSize = sha256.Sum256(edge), int64(len(edge)), sha256.Sum256(aud), int64(len(aud))
				l.Files[p.Edge], l.Files[p.Audit] = edge, aud
				p.EntriesRoot, p.Counts, p.Index, p.Bases = sum.EntriesRoot, nil, indexOf(edge), nil
				for _, basis := range slices.Sorted(maps.Keys(sum.Bases)) {
					p.Bases = append(p.Bases, audit.BasisCount{Basis: basis, N: uint64(sum.Bases[basis])})
				}
				for _, kind := range slices.Sorted(maps.Keys(sum.Kinds)) {
					p.Counts = append(p.Counts, audit.KindCount{Kind: kind, N: uint64(sum.Kinds[kind])})
				}
				p.Verdicts = l.Verdicts(p, audittest.C1, audittest.C2, audittest.C3)
				return p
			})
			return l.Bundle()
		}},
	{Who: Operator, Name: "another root is pinned on the way", Fails: []string{audit.CheckMetadata}, Says: "leaf 15: it would pin hotline hotline-one anew",
		Build: func(l *audittest.Log) []byte {
			l.Append(audit.Trust{Hotline: audittest.Hotline, Root: sha256.Sum256([]byte("other"))})
			return l.Bundle()
		}},
	{Who: Mirror, Name: "metadata is missing", Fails: []string{audit.CheckMetadata}, Says: "is missing from the bundle",
		Build: func(l *audittest.Log) []byte {
			return edit(l.Bundle(), func(p []part) []part { i := find(p, "metadata/"); return slices.Delete(p, i, i+1) })
		}},
	{Who: Mirror, Name: "metadata was changed", Fails: []string{audit.CheckMetadata}, Says: "metadata",
		Build: func(l *audittest.Log) []byte {
			return edit(l.Bundle(), func(p []part) []part { i := find(p, "metadata/"); p[i].data[200] ^= 1; return p })
		}},
	{Who: Operator, Name: "a withdrawal that no officer signed", Fails: []string{audit.CheckWithdrawals}, Says: "no valid signature",
		Build: func(l *audittest.Log) []byte {
			w := trust.Withdrawal{
				List: listtest.List, Entries: []match.EntryID{listtest.ID(5, 1)}, SeqFrom: 1, SeqTo: 9, Number: 2,
				Issued: l.Now.Unix(), Expires: l.Now.Add(time.Hour).Unix(), Reason: "error",
			}
			key := audittest.Key("operator")
			raw, err := trust.SignWithdrawal(w, key)
			check(err)
			l.Append(audit.NewWithdraw(raw, w, []string{trust.KeyID(key.Public().(ed25519.PublicKey))}, l.Hotline.OfficerKeys()))
			return l.Bundle()
		}},
	{Who: Node, Name: "a version that too few members had checked", Fails: []string{audit.CheckVerdicts}, Says: "checked and signed by 1 of 3 members (c1), 2 are needed",
		Build: func(l *audittest.Log) []byte {
			l.PublishWith(50, func(p audit.Publish) audit.Publish { p.Verdicts = p.Verdicts[:1]; return p })
			return l.Bundle()
		}},
	{Who: Node, Name: "verdicts about another version", Fails: []string{audit.CheckVerdicts}, Says: "checked and signed by 0 of 3 members",
		Build: func(l *audittest.Log) []byte {
			old := Last[audit.Publish](l, audit.KindPublish)
			l.PublishWith(50, func(p audit.Publish) audit.Publish { p.Verdicts = old.Verdicts; return p })
			return l.Bundle()
		}},
	{Who: Node, Name: "one member's verdict under three names", Fails: []string{audit.CheckVerdicts}, Says: "checked and signed by 1 of 3 members (c2)",
		Build: func(l *audittest.Log) []byte {
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
func operatorMetadata(l *audittest.Log, change func(*trust.Metadata)) []byte {
	l.PublishWith(50, func(p audit.Publish) audit.Publish {
		md, err := trust.DecodeMetadata(l.Docs[p.Metadata])
		check(err)
		change(&md)
		b, err := md.Encode()
		check(err)
		l.Docs[md.Hash()] = b
		p.Metadata, p.Charter = md.Hash(), sha256.Sum256(md.Charter)
		return p
	})
	return l.Bundle()
}

var listLies = []Lie{
	{Who: Mirror, Name: "a list file was changed", Fails: []string{audit.CheckLists}, Says: "edge list of hotline-one/main sequence 2",
		Build: func(l *audittest.Log) []byte {
			return edit(l.Bundle(), func(p []part) []part { i := find(p, "files/"); p[i].data[1000] ^= 1; return p })
		}},
	{Who: Mirror, Name: "an auditor list was changed", Fails: []string{audit.CheckLists}, Says: "auditor list of hotline-one/main sequence 2",
		Build: func(l *audittest.Log) []byte {
			return edit(l.Bundle(), func(p []part) []part { i := find(p, "files/"); p[i+1].data[600] ^= 1; return p })
		}},
	{Who: Mirror, Name: "a list file is missing", Fails: []string{audit.CheckLists}, Says: "is missing from the bundle",
		Build: func(l *audittest.Log) []byte {
			return edit(l.Bundle(), func(p []part) []part { i := find(p, "files/"); return slices.Delete(p, i, i+1) })
		}},
	{Who: Mirror, Name: "a list file is longer than signed", Fails: []string{audit.CheckLists}, Says: "bytes, the log says",
		Build: func(l *audittest.Log) []byte {
			return edit(l.Bundle(), func(p []part) []part { i := find(p, "files/"); p[i].data = append(p[i].data, 0); return p })
		}},
	{Who: Mirror, Name: "the bundle holds a version that the log does not name", Fails: []string{audit.CheckVersions}, Says: "that the log does not name: a hidden version",
		Build: func(l *audittest.Log) []byte {
			p := l.Offer(50)
			name := "files/" + hex.EncodeToString(p.Edge[:])
			return insert(part{tar.Header{Name: name}, l.Files[p.Edge]})(l)
		}},
	{Who: Operator, Name: "a version between two others is hidden", Fails: []string{audit.CheckVersions}, Says: "a version is hidden",
		Build: func(l *audittest.Log) []byte {
			l.Offer(50)
			l.Publish(60)
			return l.Bundle()
		}},
	{Who: Operator, Name: "an entry is to stay for ever, without another review", Fails: []string{audit.CheckLists}, Says: "1 records are signed to live without a new assessment until 2100-01-01T00:00:00Z, at most 180 days are allowed",
		Build: func(l *audittest.Log) []byte {
			l.Review = listtest.ReviewBy
			l.Publish(50)
			return l.Bundle()
		}},
	{Who: Operator, Name: "a list is rolled back", Fails: []string{audit.CheckVersions}, Says: "list hotline-one/main rolled back from sequence 2 to 1",
		Build: func(l *audittest.Log) []byte {
			leaves := leavesOf(l)
			first := slices.IndexFunc(leaves, func(l audit.Leaf) bool { return l.K == audit.KindPublish })
			leaf, err := audit.NewLeaf(15, l.Now.Unix(), body[audit.Publish](leaves[first]))
			check(err)
			leaf.F = leaves[first].F
			l.AppendLeaf(leaf)
			return l.Bundle()
		}},
}

var receiptLies = []Lie{
	{Who: Edge, Name: "an edge's index is not compiled from the signed list", Fails: []string{audit.CheckReceipts}, Says: "edge e1 counter 4: index not compiled from the signed lists",
		Build: receipt(func(l *audittest.Log, r *audit.Receipt) {
			edge := body0(l)
			l.Indexes[edge] = [32]byte{1} // an index with names of the operator's
			r.State = l.State(l.InForce)
		})},
	{Who: Edge, Name: "an edge serves an older list than its log says", Fails: []string{audit.CheckReceipts}, Says: "edge e1 counter 4: it serves what was in force at size 7, not at size 15",
		Build: receipt(func(l *audittest.Log, r *audit.Receipt) {
			old := audittest.New("lies")
			old.Publish(30)
			r.State = old.State(old.InForce)
		})},
	{Who: Edge, Name: "an edge ignores a withdrawal", Fails: []string{audit.CheckReceipts}, Says: "it serves what was in force at size 9, not at size 15",
		Build: receipt(func(l *audittest.Log, r *audit.Receipt) {
			f := l.InForce
			f.Removals = nil
			r.State = l.State(f)
		})},
	{Who: Edge, Name: "an edge passes everything", Fails: []string{audit.CheckReceipts}, Says: "it lets everything pass, and the log does not say so",
		Build: receipt(func(l *audittest.Log, r *audit.Receipt) {
			f := l.InForce
			f.Bypass = l.Now.Unix() + 60
			r.State = l.State(f)
		})},
	{Who: Edge, Name: "an edge was shown another log", Fails: []string{audit.CheckReceipts}, Says: "the edge was shown another log",
		Build: receipt(func(l *audittest.Log, r *audit.Receipt) { r.Root[5] ^= 1 })},
	{Who: Edge, Name: "a receipt is of a log to come", Fails: []string{audit.CheckReceipts}, Says: "is not this one",
		Build: receipt(func(l *audittest.Log, r *audit.Receipt) { r.Size = 400 })},
	{Who: Operator, Name: "a receipt is of an edge nobody enrolled", Fails: []string{audit.CheckReceipts}, Says: "receipt of edge ghost, which was not enrolled then",
		Build: receipt(func(l *audittest.Log, r *audit.Receipt) { r.Edge = "ghost" })},
	{Who: Edge, Name: "a receipt is signed by another key", Fails: []string{audit.CheckReceipts}, Says: "signature does not verify",
		Build: receipt(func(l *audittest.Log, r *audit.Receipt) { l.Edges[audittest.E1] = l.Edges[audittest.E2] })},
	{Who: Edge, Name: "a receipt is of another cluster", Fails: []string{audit.CheckReceipts}, Says: "it is of cluster",
		Build: receipt(func(l *audittest.Log, r *audit.Receipt) { r.Cluster = strings.Repeat("ab", 16) })},
	{Who: Edge, Name: "a receipt's counter stands still", Fails: []string{audit.CheckReceipts}, Says: "edge e1 counter 3: replayed, counter 3 came before it",
		Build: receipt(func(l *audittest.Log, r *audit.Receipt) { r.Counter-- })},
	{Who: Node, Name: "a receipt is replayed", Fails: []string{audit.CheckReceipts}, Says: "edge e3 counter 1: replayed",
		Build: func(l *audittest.Log) []byte {
			l.Append(Last[audit.Receipts](l, audit.KindReceipts))
			return l.Bundle()
		}},
	{Who: Edge, Name: "a receipt comes from a stopped edge", Fails: []string{audit.CheckReceipts}, Says: "edge e1, which was not enrolled then",
		Build: func(l *audittest.Log) []byte {
			l.Append(audit.Member{Action: audit.ActionDrop, Role: audit.RoleEdge, Name: audittest.E1, Key: [32]byte(l.Edges[audittest.E1].Public().(ed25519.PublicKey))})
			l.Receipts(audittest.E1)
			return l.Bundle()
		}},
}

// body0 is the edge list in force.
func body0(l *audittest.Log) [32]byte { return l.InForce.Lists[0].Edge }

// receipt logs a receipt of e1 that says something else than it should.
func receipt(change func(*audittest.Log, *audit.Receipt)) func(*audittest.Log) []byte {
	return func(l *audittest.Log) []byte {
		r := l.Receipt(audittest.E1)
		change(l, &r)
		l.Append(audit.Receipts{Items: []audit.SignedReceipt{audit.SignReceipt(r, l.Edges[audittest.E1])}})
		return l.Bundle()
	}
}
