package cluster

import (
	"bytes"
	"context"
	"fmt"
	"sort"
	"strings"
	"time"

	"github.com/cordon-project/cordon/listsync/list"
	"github.com/cordon-project/cordon/resolver/canon"
	"github.com/cordon-project/cordon/resolver/match"
)

// Which is an entry of a list in force that stops a name: what an operator must know to answer a complaint. It says nothing but ids.
type Which struct {
	List       match.ListID  `cbor:"list" json:"list"`
	Seq        uint64        `cbor:"seq" json:"seq"`
	Epoch      uint32        `cbor:"epoch" json:"epoch"`
	Entry      match.EntryID `cbor:"entry" json:"entry"`
	Kind       string        `cbor:"kind" json:"kind"`
	Basis      string        `cbor:"basis" json:"basis"`
	ReviewBy   time.Time     `cbor:"review_by" json:"review_by"`
	Removed    bool          `cbor:"removed" json:"removed"`                      // withdrawn, or left out by a later version
	Suppressed time.Time     `cbor:"suppressed" json:"suppressed_until,omitzero"` // by the operator's officers
}

// Which finds the entries that stop a name, those that are taken out included. It keeps and logs nothing of the name, and its errors do
// not hold it. ErrKeys, ErrRequest for what is no name.
func (n *Node) Which(ctx context.Context, raw string) ([]Which, error) {
	name, err := canon.Host(strings.TrimSuffix(strings.TrimSpace(raw), "."))
	if err != nil || name == "" {
		return nil, fmt.Errorf("which: that is not a host name: %w", ErrRequest)
	}
	var out []Which
	force := n.fsm.view().InForce
	for _, l := range force.Lists {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		found, err := n.stopping(l.List, l.Epoch, l.Edge, name)
		if err != nil {
			return nil, fmt.Errorf("which: list %s version %d: %w", l.List, l.Seq, err)
		}
		for _, r := range found {
			w := Which{
				List: l.List, Seq: l.Seq, Epoch: l.Epoch, Entry: r.EntryID, Kind: r.Kind.String(), Basis: r.Basis.String(),
				ReviewBy: time.Unix(int64(r.ReviewBy), 0).UTC(),
			}
			for _, x := range force.Overlay() {
				if x.List != l.List || x.Entry != r.EntryID || !x.Holds(uint32(n.c.Clock().Unix())) {
					continue
				}
				if x.Kind == match.RemovalSuppress {
					w.Suppressed = time.Unix(int64(x.Until), 0).UTC()
				} else {
					w.Removed = true
				}
			}
			out = append(out, w)
		}
	}
	return out, nil
}

// stopping are the records of an edge list that stop a canonical name.
func (n *Node) stopping(id match.ListID, epoch uint32, edge [32]byte, name string) ([]match.Record, error) {
	keys, err := n.EpochKeys(id, epoch)
	if err != nil {
		return nil, err
	}
	defer keys.Close()
	b, closer, err := n.c.Files.Map(edge)
	if err != nil {
		return nil, err
	}
	defer func() { _ = closer.Close() }()
	e, err := list.OpenEdge(b)
	if err != nil {
		return nil, err
	}
	var out []match.Record
	for rest := []byte(name); len(rest) > 0; _, rest, _ = bytes.Cut(rest, []byte(".")) {
		d := keys.Keys.Digest(id, canon.ClassName, rest)
		at := sort.Search(e.Len(), func(i int) bool {
			r := e.Record(i)
			return bytes.Compare(r.Digest[:], d[:]) >= 0
		})
		for ; at < e.Len(); at++ {
			r := e.Record(at)
			if r.Digest != d {
				break
			}
			if r.Kind == canon.KindDomain || r.Kind == canon.KindHost && len(rest) == len(name) {
				out = append(out, r)
			}
		}
	}
	return out, nil
}
