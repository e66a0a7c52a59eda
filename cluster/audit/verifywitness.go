package audit

import (
	"strings"
	"time"

	"github.com/cordon-project/cordon/listsync/witness"
)

// CheckWitnesses: others than the cluster's members have seen this very log. Made only with a policy in the trust file.
const CheckWitnesses = "witnesses"

// witnesses holds the checkpoint to the trust file's policy.
func (v *verifier) witnesses(note []byte) {
	p := v.trust.Policy()
	if v.trust.Witnesses == "" {
		v.note("no witness policy in the trust file: that everybody is shown this log, its own members alone say")
		return
	}
	co, err := checkPolicy(p, note, v.trust.Cluster)
	if err != nil {
		v.fail(CheckWitnesses, "the log was not seen by the witnesses that your trust file asks for: %v", err)
		return
	}
	if !p.NeedsWitness() {
		v.note("the witness policy of the trust file asks for no witness")
		v.pass(CheckWitnesses, "the policy asks for none")
		return
	}
	age := v.o.Now.Sub(co.Fresh).Truncate(time.Second)
	switch {
	case v.o.MaxAge > 0 && age > v.o.MaxAge:
		v.fail(CheckWitnesses, "witnesses cosigned this log %v ago, at most %v is allowed", age, v.o.MaxAge)
	case age < -5*time.Minute:
		v.fail(CheckWitnesses, "witnesses' cosignatures are dated %v in the future", -age)
	default:
		v.pass(CheckWitnesses, "cosigned by %s as the policy asks, %v old", strings.Join(co.By, ", "), max(age, 0))
	}
}

// checkPolicy holds a note that the quorum has signed to a policy: when it names logs, this must be one of them.
func checkPolicy(p witness.Policy, note []byte, c Cluster) (witness.Cosigned, error) {
	if len(p.Logs) == 0 {
		return p.Check(note)
	}
	log, err := c.Log()
	if err != nil {
		return witness.Cosigned{}, err
	}
	_, co, err := p.Open(note, log)
	return co, err
}
