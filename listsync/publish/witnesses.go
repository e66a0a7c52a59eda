package publish

import (
	"crypto/x509"
	"errors"
	"io/fs"
	"net/http"
	"os"

	"github.com/cordon-project/cordon/listsync/witness"
)

// Witnesses is what a hotline has said of who cosigns its public log.
type Witnesses struct {
	Policy string   `json:"policy"` // C2SP tlog-policy; empty: nobody is asked
	Asked  []string `json:"asked"`  // names and addresses of those that can count
	CA     bool     `json:"ca"`     // whether they have certificates of an authority of their own
}

const (
	policyFile = "witnesses.policy"
	caFile     = "witnesses-ca.pem"
)

// witnessClient reaches witnesses.
type witnessClient struct{ http *http.Client }

// witnesses reads the policy; the zero policy when there is none.
func (s *session) witnesses() (witness.Policy, *witnessClient, error) {
	do := "give a policy again: witnesses --dir " + s.dir + " --policy FILE"
	b, err := readSmall(s.path(policyFile))
	if errors.Is(err, fs.ErrNotExist) {
		return witness.Policy{}, nil, nil
	}
	var p witness.Policy
	if err == nil {
		p, err = parseWitnesses(b)
	}
	if err != nil {
		return p, nil, fault(CodeInput, err, do, "cannot use %s", s.path(policyFile))
	}
	ca, err := readSmall(s.path(caFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return p, nil, fault(CodeInput, err, do, "cannot use %s", s.path(caFile))
	}
	client, err := witnessesOf(ca)
	if err != nil {
		return p, nil, fault(CodeInput, err, do, "cannot use %s", s.path(caFile))
	}
	return p, client, nil
}

// witnessesOf reaches witnesses whose certificates are of these authorities, or of the system's. What they are asked and say is public, and
// nothing counts but what their keys have signed.
func witnessesOf(ca []byte) (*witnessClient, error) {
	if len(ca) == 0 {
		return &witnessClient{clientOf(nil)}, nil
	}
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool()
	}
	if !roots.AppendCertsFromPEM(ca) {
		return nil, errors.New("no certificate in it")
	}
	return &witnessClient{clientOf(roots)}, nil
}

// parseWitnesses reads a policy whose witnesses can be asked.
func parseWitnesses(b []byte) (witness.Policy, error) {
	p, err := witness.ParsePolicy(string(b))
	if err == nil && p.NeedsWitness() {
		err = p.CheckURLs()
	}
	return p, err
}

// SetWitnesses says who cosigns the public log from the next version on: the policy file, and the authority of the witnesses' certificates, if
// that is none of the system's. Both empty: what is set stays. none takes the policy away.
func (h *Hotline) SetWitnesses(policyPath, caPath string, none bool) (Witnesses, error) {
	s, err := h.begin()
	if err != nil {
		return Witnesses{}, err
	}
	defer s.release()
	switch {
	case none && policyPath != "":
		return Witnesses{}, sentence(CodeUsage, nil, "give one of them", "--none and --policy contradict each other")
	case caPath != "" && policyPath == "":
		return Witnesses{}, sentence(CodeUsage, nil, "give the policy too, with --policy", "--ca alone says nothing")
	case none:
		for _, name := range []string{policyFile, caFile} {
			if err := os.Remove(s.path(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return Witnesses{}, fault(CodeFailure, err, "check the disk", "cannot remove %s", s.path(name))
			}
		}
	case policyPath != "":
		if err := s.takeWitnesses(policyPath, caPath); err != nil {
			return Witnesses{}, err
		}
	}
	p, client, err := s.witnesses()
	w := Witnesses{Policy: p.String(), Asked: []string{}, CA: client != nil && exists(s.path(caFile))}
	for _, x := range p.Asked() {
		w.Asked = append(w.Asked, x.Name+" "+x.URL)
	}
	return w, err
}

func (s *session) takeWitnesses(policyPath, caPath string) error {
	b, err := readSmall(policyPath)
	if err == nil {
		_, err = parseWitnesses(b)
	}
	if err != nil {
		return fault(CodeInput, err, "mend that line; the form is that of c2sp.org/tlog-policy, each witness with its URL", "%s cannot be used", policyPath)
	}
	var ca []byte
	if caPath != "" {
		if ca, err = readSmall(caPath); err == nil {
			_, err = witnessesOf(ca)
		}
		if err != nil {
			return fault(CodeInput, err, "name a file with certificates in PEM", "%s cannot be used", caPath)
		}
	}
	if caPath == "" {
		err = os.Remove(s.path(caFile))
		if errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
	} else {
		err = writeFile(s.path(caFile), ca, 0o600)
	}
	if err == nil {
		err = writeFile(s.path(policyFile), b, 0o600)
	}
	if err != nil {
		return fault(CodeFailure, err, "check the disk", "cannot write %s", s.path(policyFile))
	}
	return nil
}
