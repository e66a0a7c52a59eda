package trusttest

import (
	"maps"

	"github.com/cordon-project/cordon/listsync/publiclog"
	"github.com/cordon-project/cordon/listsync/publiclog/publiclogtest"
	"github.com/cordon-project/cordon/listsync/trust"
	"github.com/cordon-project/cordon/resolver/match"
)

// KeepLog gives the hotline a public log: its charter names the key from the next Accredit on (the first Publish accredits), and each
// version of the list role that is published from now on is a leaf for each list in it. The repository has its files.
func (h *Hotline) KeepLog() *publiclogtest.Log {
	h.Log = publiclogtest.New("canary."+string(h.ID)+".test/"+string(h.ID)+"/log", Key(h.seed, string(h.ID), "log"))
	h.Charter.Log = h.Log.VKey()
	return h.Log
}

// logged appends a leaf for each list of a list role and writes the log's files. The caller holds mu.
func (h *Hotline) logged(role []byte) {
	if h.Log == nil {
		return
	}
	spec, err := trust.ReadList(role, h.ID)
	if err != nil {
		return // a fault made it so that nobody can read it
	}
	for _, t := range spec.Lists {
		leaf, err := publiclog.LeafOf(role, t)
		check(err)
		n := h.Log.Append(leaf.Encode())
		h.files[publiclog.ProofName(t.List, t.Seq)] = h.Log.TLogProof(n, n+1)
	}
	maps.Copy(h.files, h.Log.Files())
}

// PublicProof is what a cluster wants with the newest version of a list, when it had accepted from; empty without a log.
func (h *Hotline) PublicProof(m trust.Metadata, id match.ListID, from publiclog.Head) []byte {
	if h.Log == nil {
		return nil
	}
	spec, err := trust.ReadList(m.List, h.ID)
	check(err)
	for _, t := range spec.Lists {
		if t.List != id {
			continue
		}
		leaf, err := publiclog.LeafOf(m.List, t)
		check(err)
		for n, have := range h.Log.Leaves {
			if string(have) == string(leaf.Encode()) {
				b, err := h.Log.Proof(uint64(n), max(uint64(n)+1, from.Size), from).Encode()
				check(err)
				return b
			}
		}
	}
	panic("trusttest: no such version in the log")
}
