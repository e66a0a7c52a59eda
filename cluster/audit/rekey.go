package audit

import (
	"fmt"

	"github.com/cordon-project/cordon/listsync/trust"
	"github.com/cordon-project/cordon/resolver/match"
)

// Rekey records that a hotline's list goes over to new keys with the publication that comes next: whoever had only the old ones can test no
// guess against what follows. It changes nothing in force.
type Rekey struct {
	Hotline trust.HotlineID `cbor:"hotline"`
	List    match.ListID    `cbor:"list"`
	Seq     uint64          `cbor:"seq"`  // the first version under the new keys
	From    uint32          `cbor:"from"` // epoch of the newest version before it
	To      uint32          `cbor:"to"`
	Keys    [32]byte        `cbor:"keys"` // SHA-256 of the file with the new keys, sealed for this cluster; zero when the hotline made none
}

func (Rekey) kind() Kind { return KindRekey }

func (r Rekey) check() error {
	if err := checkListOf(r.Hotline, r.List); err != nil {
		return err
	}
	if r.Seq == 0 || r.From == 0 || r.To <= r.From {
		return fmt.Errorf("keys of epoch %d after %d, from sequence %d on: %w", r.To, r.From, r.Seq, ErrFormat)
	}
	return nil
}

func (r Rekey) describe() string {
	return fmt.Sprintf("list %s has new keys, epoch %d after %d, sealed for this cluster in file %x", listSeq(r.List, r.Seq), r.To, r.From, r.Keys[:8])
}

// RekeyOf is the record that goes before the publication of t when its keys are of a later epoch than before, the newest version's; false
// when they are the same ones.
func RekeyOf(t trust.ListTarget, cluster string, before uint32) (Rekey, bool) {
	if t.Epoch == before {
		return Rekey{}, false
	}
	return Rekey{Hotline: trust.HotlineID(t.List.Hotline()), List: t.List, Seq: t.Seq, From: before, To: t.Epoch, Keys: keysFor(t, cluster)}, true
}

// keysFor is the file that seals a list's keys for a cluster, zero when there is none.
func keysFor(t trust.ListTarget, cluster string) [32]byte {
	for _, k := range t.Keys {
		if k.Cluster == cluster {
			return k.SHA256
		}
	}
	return [32]byte{}
}
