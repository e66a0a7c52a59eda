package audittest

import (
	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/listsync/publiclog"
)

// PublicLog is how far the hotline's public log was at the last version in this log that has a proof; zero when there is none. Call
// Hotline.KeepLog before the first version for a hotline with one.
func (l *Log) PublicLog() publiclog.Head {
	for i := len(l.Leaves) - 1; i >= 0; i-- {
		leaf, err := audit.DecodeLeaf(l.Leaves[i])
		if err != nil || leaf.K != audit.KindPublish {
			continue
		}
		body, err := leaf.Body()
		check(err)
		if proof := body.(audit.Publish).PublicProof; len(proof) > 0 {
			v, err := publiclog.HeadOf(proof)
			if err != nil {
				return publiclog.Head{}
			}
			return v.Head
		}
	}
	return publiclog.Head{}
}
