package trust

import (
	"fmt"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"
	"github.com/theupdateframework/go-tuf/v2/metadata/trustedmetadata"
)

// Pinned is a root that Pin has looked at: whoever verifies many publications from one root checks its own signatures once. What Pin found
// depends on the root's bytes and on nothing else, least of all on a time: whether a root has expired is asked at each Verify. A Pinned
// never changes; any number of goroutines may verify from it.
type Pinned struct {
	doc   rootDoc
	tuf   *metadata.Metadata[metadata.RootType]
	bytes []byte
}

// Pin checks a root that is trusted as it is: its form, its minima, and that its own threshold has signed it. The errors are those of Verify
// for the pinned root. It keeps the bytes, which must not change.
func Pin(root []byte) (*Pinned, error) {
	p, err := pin(root)
	if err != nil {
		return nil, fmt.Errorf("verify pinned root: %w", err)
	}
	return p, nil
}

func pin(root []byte) (*Pinned, error) {
	doc, err := readRoot(root)
	if err != nil {
		return nil, err
	}
	tuf, err := trustedmetadata.New(root)
	own := []roleDoc{doc.roles[metadata.ROOT]}
	counts, _ := doc.tally(own) // signatures of the root before it may be there too
	if err := judge(err, counts, own); err != nil {
		return nil, err
	}
	if err := doc.check(); err != nil {
		return nil, err
	}
	if err := roundTrip(root, tuf.Root); err != nil {
		return nil, err
	}
	return &Pinned{doc: doc, tuf: tuf.Root, bytes: root}, nil
}

// Verify is the function Verify from this root.
func (p *Pinned) Verify(high HighWater, m Metadata, now time.Time) (*Verified, error) {
	if err := m.check(); err != nil {
		return nil, fmt.Errorf("verify metadata: %w", err)
	}
	return p.chain(now).verify(high, m)
}

// chain begins a walk at the root. go-tuf follows newer roots by putting another one in its place, and writes to none: the walks share it.
func (p *Pinned) chain(now time.Time) *chain {
	now = now.UTC()
	tuf := &trustedmetadata.TrustedMetadata{Root: p.tuf, Targets: map[string]*metadata.Metadata[metadata.TargetsType]{}, RefTime: now}
	return &chain{tuf: tuf, root: p.doc, rootBytes: p.bytes, now: now}
}
