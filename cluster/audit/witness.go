package audit

import (
	"fmt"

	"github.com/cordon-project/cordon/listsync/witness"
)

// MaxPolicy bounds a witness policy in a cluster file, a trust file or an order.
const MaxPolicy = 8 << 10

// ParsePolicy reads a witness policy (C2SP tlog-policy); "" asks for nothing.
func ParsePolicy(text string) (witness.Policy, error) {
	if len(text) > MaxPolicy {
		return witness.Policy{}, fmt.Errorf("policy of %d bytes, at most %d: %w", len(text), MaxPolicy, ErrTooLarge)
	}
	p, err := witness.ParseOptionalPolicy(text)
	if err != nil {
		return witness.Policy{}, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	return p, nil
}

// LogPolicy is the witness policy that the cluster holds hotlines' public logs to, the zero Policy when it has none.
// The cluster has passed Check.
func (c Cluster) LogPolicy() witness.Policy { return mustPolicy(c.LogWitnesses) }

// Policy is the witness policy that the trust file holds the cluster's own checkpoints to.
func (t TrustFile) Policy() witness.Policy { return mustPolicy(t.Witnesses) }

// LogPolicy is the witness policy that the trust file holds hotlines' public logs to.
func (t TrustFile) LogPolicy() witness.Policy { return mustPolicy(t.LogWitnesses) }

// mustPolicy is for texts that were checked when their file was.
func mustPolicy(text string) witness.Policy {
	p, err := ParsePolicy(text)
	if err != nil {
		panic(fmt.Sprintf("audit: witness policy of a file that was not checked: %v", err))
	}
	return p
}
