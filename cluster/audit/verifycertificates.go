package audit

import (
	"context"
	"fmt"
)

// CheckCertificates: each scope certificate in the log is of the document that the log's leaves make. It is made only where Options.Certificates
// is given and the bundle has all leaves.
const CheckCertificates = "certificates"

// Certifier makes scope certificates again. It is of one verification.
type Certifier interface {
	// Leaf takes in the log's next leaf as it is encoded, from number 0, before it is known to be the log's. The bytes stay the caller's.
	Leaf(raw []byte) error
	// Make is called once, when the leaves are known to be the log's. It says how many certificates it has made again, and for each that
	// the leaves do not make why. An error means that it could not do its work, and says nothing about the log.
	Make(ctx context.Context, c Cluster) (made int, causes []string, err error)
}

// Uncertified is how many certificates are among the leaves that this verification has followed and were not made again.
func (r *Report) Uncertified() int { return r.uncertified }

// certifies says whether this verification makes certificates again.
func (v *verifier) certifies() bool { return v.o.Certificates != nil && v.since == 0 }

// lookCertificate counts them.
func (v *verifier) lookCertificate(m *moment) {
	if m.leaf.K == KindCertificate {
		v.certificates++
	}
}

// keepLeaves hands leaves over from which certificates are made.
func (v *verifier) keepLeaves(leaves [][]byte) error {
	if !v.certifies() {
		return nil
	}
	for _, raw := range leaves {
		if err := v.o.Certificates.Leaf(raw); err != nil {
			return fmt.Errorf("keep leaves: %w", err)
		}
	}
	return nil
}

// endCertificates makes them, from leaves that are the log's by now.
func (v *verifier) endCertificates() error {
	if !v.certifies() {
		if v.certificates > 0 {
			v.note("certificates: %d of the leaves looked at; they were not made again from the log", v.certificates)
		}
		return nil
	}
	made, causes, err := v.o.Certificates.Make(v.ctx, v.trust.Cluster)
	if err != nil {
		return fmt.Errorf("make certificates: %w", err)
	}
	v.certificates = 0
	for _, cause := range causes {
		v.fail(CheckCertificates, "%s", cause)
	}
	v.pass(CheckCertificates, "%d certificates, each of the document that the log makes", made)
	return nil
}
