package audit_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/audit/audittest"
)

// lie is one manipulation: the liar signs again everything that its keys allow, and one check must say so.
type lie struct {
	name  string
	build func(t *testing.T, l *audittest.Log) []byte
	opts  func(*audit.Options, *audittest.Log)
	fails []string // exactly these checks
	says  string   // in the first one's causes
}

func TestEachLieFailsItsCheck(t *testing.T) {
	for _, lies := range [][]lie{archiveLies, logLies, hotlineLies, listLies, receiptLies, orderLies} {
		for _, x := range lies {
			t.Run(x.name, func(t *testing.T) {
				t.Parallel()
				l := audittest.Honest("lies")
				bundle := x.build(t, l)
				r := verify(t, l, bundle, func(o *audit.Options) {
					if x.opts != nil {
						x.opts(o, l)
					}
				})
				var failed []string
				for _, c := range r.Checks {
					if !c.Pass && !c.Skipped {
						failed = append(failed, c.Name)
					}
				}
				slices.Sort(failed)
				want := slices.Sorted(slices.Values(x.fails))
				if !slices.Equal(failed, want) || r.Pass {
					var text bytes.Buffer
					_ = r.WriteText(&text)
					t.Fatalf("failed checks: got %v, want %v\n%s", failed, want, text.String())
				}
				c, _ := r.Check(x.fails[0])
				if !strings.Contains(strings.Join(c.Causes, "\n"), x.says) {
					t.Errorf("cause: got %q, want it to say %q", c.Causes, x.says)
				}
			})
		}
	}
}

var archiveLies = []lie{
	{name: "the bundle is cut in the middle of a file", fails: []string{audit.CheckBundle}, says: "ends early",
		build: func(t *testing.T, l *audittest.Log) []byte { b := l.Bundle(); return b[:len(b)-4000] }},
	{name: "the bundle is cut between two members", fails: []string{audit.CheckBundle}, says: "its end mark is missing",
		build: func(t *testing.T, l *audittest.Log) []byte { b := l.Bundle(); return b[:len(b)-1024] }},
	{name: "the bundle is empty", fails: []string{audit.CheckBundle}, says: "ends early",
		build: func(*testing.T, *audittest.Log) []byte { return nil }},
	{name: "the bundle is not a tar", fails: []string{audit.CheckBundle}, says: "not a well-formed tar",
		build: func(*testing.T, *audittest.Log) []byte { return bytes.Repeat([]byte("no tar "), 1000) }},
	{name: "the bundle is compressed", fails: []string{audit.CheckBundle}, says: "tar",
		build: func(t *testing.T, l *audittest.Log) []byte {
			var b bytes.Buffer
			w := gzip.NewWriter(&b)
			_, _ = w.Write(l.Bundle())
			_ = w.Close()
			return b.Bytes()
		}},
	{name: "a member's path leaves the bundle", fails: []string{audit.CheckBundle}, says: `"../../etc/cron.d/x" is not one a bundle may have`,
		build: insert(part{tar.Header{Name: "../../etc/cron.d/x"}, []byte("x")})},
	{name: "a member's path is absolute", fails: []string{audit.CheckBundle}, says: "is not one a bundle may have",
		build: insert(part{tar.Header{Name: "/files/" + strings.Repeat("ab", 32)}, []byte("x")})},
	{name: "a member is a symbolic link", fails: []string{audit.CheckBundle}, says: "is not a plain file",
		build: insert(part{tar.Header{Name: "files/" + strings.Repeat("ab", 32), Typeflag: tar.TypeSymlink, Linkname: "/etc/passwd"}, nil})},
	{name: "a member's name holds control characters", fails: []string{audit.CheckBundle}, says: `\x1b[2J`,
		build: insert(part{tar.Header{Name: "files/\x1b[2Jevil"}, []byte("x")})},
	{name: "a member is there twice", fails: []string{audit.CheckBundle}, says: "is there twice",
		build: func(t *testing.T, l *audittest.Log) []byte {
			return edit(t, l.Bundle(), func(p []part) []part { return append(p, p[len(p)-1]) })
		}},
	{name: "members are in another order", fails: []string{audit.CheckBundle}, says: "where its checkpoint belongs",
		build: func(t *testing.T, l *audittest.Log) []byte {
			return edit(t, l.Bundle(), func(p []part) []part { p[1], p[2] = p[2], p[1]; return p })
		}},
	{name: "list files are in another order", fails: []string{audit.CheckBundle}, says: "not in the order of the log",
		build: func(t *testing.T, l *audittest.Log) []byte {
			return edit(t, l.Bundle(), func(p []part) []part {
				i := find(p, "files/")
				p[i], p[i+1] = p[i+1], p[i]
				return p
			})
		}},
	{name: "a member claims a giant size", fails: []string{audit.CheckBundle}, says: "says it has 1099511627776 bytes",
		build: func(t *testing.T, l *audittest.Log) []byte {
			b := pack(t, unpack(t, l.Bundle())[:2])
			var h bytes.Buffer
			if err := tar.NewWriter(&h).WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: "tile/entries/000", Size: 1 << 40, Format: tar.FormatGNU}); err != nil {
				t.Fatal(err)
			}
			return append(b[:len(b)-1024], h.Bytes()...)
		}},
	{name: "bytes follow the end mark", fails: []string{audit.CheckBundle}, says: "after the bundle's end mark",
		build: func(t *testing.T, l *audittest.Log) []byte { return append(l.Bundle(), "more"...) }},
	{name: "bundle.json has a key twice", fails: []string{audit.CheckBundle}, says: "there twice",
		build: func(t *testing.T, l *audittest.Log) []byte {
			return edit(t, l.Bundle(), func(p []part) []part {
				p[0].data = bytes.Replace(p[0].data, []byte(`{"v":1`), []byte(`{"v":1,"v":1`), 1)
				return p
			})
		}},
	{name: "the bundle is of another cluster", fails: []string{audit.CheckTrust}, says: "of cluster",
		build: func(t *testing.T, l *audittest.Log) []byte { return audittest.Honest("another").Bundle() }},
}

func insert(p part) func(*testing.T, *audittest.Log) []byte {
	return func(t *testing.T, l *audittest.Log) []byte {
		return edit(t, l.Bundle(), func(parts []part) []part { return append(parts, p) })
	}
}

var logLies = []lie{
	{name: "a leaf is removed", fails: []string{audit.CheckLog}, says: "the bundle has 14 leaves, the checkpoint says 15 (position 9 holds a leaf numbered 10)",
		build: func(t *testing.T, l *audittest.Log) []byte {
			b, note := l.Bundle(), l.Checkpoint()
			return swapLog(t, b, slices.Delete(slices.Clone(l.Leaves), 9, 10), note)
		}},
	{name: "two leaves change places", fails: []string{audit.CheckLog}, says: "a leaf was changed, removed or moved (position 8 holds a leaf numbered 9)",
		build: func(t *testing.T, l *audittest.Log) []byte {
			b, note := l.Bundle(), l.Checkpoint()
			l.Leaves[8], l.Leaves[9] = l.Leaves[9], l.Leaves[8]
			return swapLog(t, b, l.Leaves, note)
		}},
	{name: "two leaves change places and every member signs again", fails: []string{audit.CheckLog}, says: "position 8 holds a leaf numbered 9",
		build: func(t *testing.T, l *audittest.Log) []byte {
			b := l.Bundle()
			l.Leaves[8], l.Leaves[9] = l.Leaves[9], l.Leaves[8]
			return swapLog(t, b, l.Leaves, l.Checkpoint())
		}},
	{name: "a leaf is altered and too few sign again", fails: []string{audit.CheckCheckpoint}, says: "cosigned by 1 of 3 trusted members (c2), 2 are needed",
		build: func(t *testing.T, l *audittest.Log) []byte {
			b := l.Bundle()
			rewrite(t, l, last(t, l, audit.KindMember), func(m audit.Member) audit.Member { m.By = "nobody"; return m })
			return swapLog(t, b, l.Leaves, l.Sign(l.Desc.Origin, audittest.C2))
		}},
	{name: "one member signs under another's name", fails: []string{audit.CheckCheckpoint}, says: "isp.example/cordon/c3",
		build: func(t *testing.T, l *audittest.Log) []byte {
			note := string(l.Sign(l.Desc.Origin, audittest.C2))
			_, mine, _ := strings.Cut(note, "cordon/c2 ")
			sig, err := base64.StdEncoding.DecodeString(strings.TrimSpace(mine))
			if err != nil {
				t.Fatal(err)
			}
			key, err := audit.CosignatureKey(l.Desc.Origin, audittest.C3, l.Members[audittest.C3].Public().(ed25519.PublicKey))
			if err != nil {
				t.Fatal(err)
			}
			hash, err := hex.DecodeString(strings.Split(key, "+")[1])
			if err != nil {
				t.Fatal(err)
			}
			copy(sig, hash)
			return swapNote(t, l, note+"— isp.example/cordon/c3 "+base64.StdEncoding.EncodeToString(sig)+"\n")
		}},
	{name: "the checkpoint is of another log", fails: []string{audit.CheckCheckpoint}, says: `it is of "other.example/cordon", expected "isp.example/cordon"`,
		build: func(t *testing.T, l *audittest.Log) []byte {
			return swapNote(t, l, string(l.Sign("other.example/cordon", audittest.C1, audittest.C2, audittest.C3)))
		}},
	{name: "the checkpoint is signed by strangers", fails: []string{audit.CheckCheckpoint}, says: "signed by none of the trusted members",
		build: func(t *testing.T, l *audittest.Log) []byte {
			other := audittest.Honest("another")
			return swapNote(t, l, string(other.Checkpoint()))
		}},
	{name: "the checkpoint is of another moment", fails: []string{audit.CheckLog}, says: "the bundle has more leaves than the checkpoint's 15",
		build: func(t *testing.T, l *audittest.Log) []byte {
			old := l.Checkpoint()
			l.Receipts(audittest.E1)
			return edit(t, l.Bundle(), func(p []part) []part { p[1].data = old; return p })
		}},
	{name: "the checkpoint has an extension line", fails: []string{audit.CheckCheckpoint}, says: "parse checkpoint",
		build: func(t *testing.T, l *audittest.Log) []byte {
			return swapNote(t, l, strings.Replace(string(l.Checkpoint()), "\n\n", "\nextra\n\n", 1))
		}},
	{name: "the checkpoint is stale", fails: []string{audit.CheckCheckpoint}, says: "stale: a quorum signed it 3h0m0s ago, at most 2h0m0s is allowed",
		opts: func(o *audit.Options, l *audittest.Log) {
			o.Now, o.MaxAge = l.Now.Add(3*time.Hour), 2*time.Hour
		},
		build: func(t *testing.T, l *audittest.Log) []byte { return l.Bundle() }},
	{name: "the log is shorter than at the last visit", fails: []string{audit.CheckConsistency}, says: "rollback: the log has 15 leaves, at the last visit it had 16",
		opts: func(o *audit.Options, l *audittest.Log) {
			o.Before = &audit.Visit{V: 1, Cluster: l.Desc.ID(), Size: 16, Root: strings.Repeat("00", 32)}
		},
		build: func(t *testing.T, l *audittest.Log) []byte { return l.Bundle() }},
	{name: "the log has another past than at the last visit", fails: []string{audit.CheckConsistency}, says: "fork: the first 12 leaves are not those of the last visit",
		opts: func(o *audit.Options, l *audittest.Log) {
			o.Before = &audit.Visit{V: 1, Cluster: l.Desc.ID(), Size: 12, Root: strings.Repeat("11", 32)}
		},
		build: func(t *testing.T, l *audittest.Log) []byte { return l.Bundle() }},
	{name: "the clock runs backwards", fails: []string{audit.CheckLog}, says: "leaf 15 is dated 2020-01-01T00:00:00Z, before the leaf in front of it",
		build: func(t *testing.T, l *audittest.Log) []byte {
			honest := l.Now
			l.Now = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
			l.Append(audit.Alarm{Node: "c1", What: "test"})
			l.Now = honest
			return l.Bundle()
		}},
	{name: "another edge was there from the beginning", fails: []string{audit.CheckLog}, says: "leaf 4 is not the one that the trusted cluster file begins with",
		build: func(t *testing.T, l *audittest.Log) []byte {
			rewrite(t, l, 4, func(m audit.Member) audit.Member { m.Key[0] ^= 1; return m })
			return l.Bundle()
		}},
	{name: "a leaf lies about what is in force", fails: []string{audit.CheckReplay}, says: "leaf 15 (alarm) says that",
		build: func(t *testing.T, l *audittest.Log) []byte {
			l.Append(audit.Alarm{Node: "c1", What: "test"})
			relog(t, l, func(leaves []audit.Leaf) []audit.Leaf { leaves[15].F[0] ^= 1; return leaves })
			return l.Bundle()
		}},
	{name: "a leaf is of a kind that nobody can replay", fails: []string{audit.CheckReplay}, says: `leaf 15 is of kind "pin", which this version cannot replay`,
		build: func(t *testing.T, l *audittest.Log) []byte {
			leaf, err := audit.NewLeaf(15, l.Now.Unix(), audit.Unknown{Kind: audit.KindPin, Raw: []byte{0xa0}})
			if err != nil {
				t.Fatal(err)
			}
			leaf.F = l.InForce.Hash()
			l.AppendLeaf(leaf)
			return l.Bundle()
		}},
}

func swapNote(t *testing.T, l *audittest.Log, note string) []byte {
	return edit(t, l.Bundle(), func(p []part) []part { p[1].data = []byte(note); return p })
}
