package order

import (
	"crypto/sha256"
	"fmt"

	"github.com/cordon-project/cordon/listsync/trust"
	"github.com/cordon-project/cordon/resolver/match"
)

// MaxDocument bounds a root.json that is pinned: one has about 4 KiB.
const MaxDocument = 32 << 10

// Pin lets lists of a hotline that the cluster file does not name come into force from here on: those that verify from this root. It adds
// no name; what the hotline's officers sign does, under a charter that the root's keys have accredited. Auditors accept it only when their own trust file names
// the root too. There is no order that takes it back: a hotline whose charter has ended brings nothing new.
type Pin struct {
	Hotline  trust.HotlineID `cbor:"hotline"`
	Root     [32]byte        `cbor:"root"`     // SHA-256 of Document
	Document []byte          `cbor:"document"` // root.json, whole
}

// Kind implements Body.
func (Pin) Kind() Kind { return KindPin }

func (p Pin) check() error {
	if _, err := match.ParseListID(string(p.Hotline) + "/list"); err != nil {
		return bad("names no hotline")
	}
	if len(p.Document) > MaxDocument {
		return fmt.Errorf("%w: root of %d bytes, at most %d", trust.ErrTooLarge, len(p.Document), MaxDocument)
	}
	if sha256.Sum256(p.Document) != p.Root {
		return bad("pins another root than the one it brings")
	}
	if _, err := trust.PinRoot(p.Document); err != nil {
		return fmt.Errorf("%w: the root that it pins: %w", trust.ErrFormat, err)
	}
	return nil
}

func (p Pin) describe(number uint64) string {
	s := fmt.Sprintf("pin %d: lists of hotline %s may come into force from here on, those that verify from the root with SHA-256 %x", number, p.Hotline, p.Root)
	if root, err := trust.ReadRoot(p.Document); err == nil {
		s += fmt.Sprintf(" (version %d, %d of %d keys sign it", root.Version, root.Root.Threshold, len(root.Root.Keys))
		if root.Development {
			s += ", of a throw-away authority"
		}
		s += ")"
	}
	return s
}
