package liestest

import (
	"archive/tar"
	"encoding/hex"
	"slices"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/audit/audittest"
)

// bundleLies are about bundles of every version, in which most are deltas.
var bundleLies = []Lie{
	{Who: Mirror, Name: "a delta leads to another version", Fails: []string{audit.CheckLists}, Says: "delta is not made for this list",
		Build: func(l *audittest.Log) []byte {
			l.Publish(50)
			return edit(every(l), func(p []part) []part {
				i := find(p, "deltas/")
				p[i].data, p[i+1].data = p[i+1].data, p[i].data
				return p
			})
		}},
	{Who: Mirror, Name: "a delta was changed", Fails: []string{audit.CheckLists}, Says: "edge list of hotline-one/main sequence 2",
		Build: func(l *audittest.Log) []byte {
			return edit(every(l), func(p []part) []part { i := find(p, "deltas/"); p[i].data[len(p[i].data)-1] ^= 1; return p })
		}},
	{Who: Mirror, Name: "a version is missing among all", Fails: []string{audit.CheckLists}, Says: "edge list of hotline-one/main sequence 3",
		Build: func(l *audittest.Log) []byte {
			l.Publish(50)
			l.Publish(51)
			return edit(every(l), func(p []part) []part { i := find(p, "deltas/") + 1; return slices.Delete(p, i, i+1) })
		}},
	{Who: Mirror, Name: "the first version of all is missing", Fails: []string{audit.CheckLists}, Says: "is missing from the bundle",
		Build: func(l *audittest.Log) []byte {
			return edit(every(l), func(p []part) []part { i := find(p, "files/"); return slices.Delete(p, i, i+2) })
		}},
	{Who: Operator, Name: "a hidden version is among all", Fails: []string{audit.CheckVersions}, Says: "that the log does not name: a hidden version",
		Build: func(l *audittest.Log) []byte {
			b := every(l)
			p := l.Offer(50)
			return edit(b, func(parts []part) []part {
				return append(parts, part{tar.Header{Name: "deltas/" + hex.EncodeToString(p.Edge[:])}, l.Files[p.Edge]})
			})
		}},
	{Who: Mirror, Name: "deltas are in another order", Fails: []string{audit.CheckBundle, audit.CheckLists}, Says: "not in the order of the log",
		Build: func(l *audittest.Log) []byte {
			l.Publish(50)
			return edit(every(l), func(p []part) []part { i := find(p, "deltas/"); p[i], p[i+1] = p[i+1], p[i]; return p })
		}},
	{Who: Mirror, Name: "a delta is in a bundle of what is in force", Fails: []string{audit.CheckBundle}, Says: "is not one of a bundle of what is in force",
		Build: func(l *audittest.Log) []byte {
			delta := unpack(every(l))
			return edit(l.Bundle(), func(p []part) []part { return append(p, delta[find(delta, "deltas/")]) })
		}},
	{Who: Operator, Name: "an old version's index does not follow from its list", Fails: []string{audit.CheckLists}, Says: "names an index that does not follow from the list",
		Build: func(l *audittest.Log) []byte {
			l.PublishWith(50, func(p audit.Publish) audit.Publish {
				p.Index[0] ^= 1
				p.Verdicts = l.Verdicts(p, audittest.C1, audittest.C2, audittest.C3)
				return p
			})
			l.Publish(51)
			return every(l)
		}},
}

func every(l *audittest.Log) []byte { return l.Part(audit.Part{All: true}) }
