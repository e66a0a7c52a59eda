package publish

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/cordon-project/cordon/listsync/trust"
	"github.com/cordon-project/cordon/resolver/match"
)

// maxOperators bounds the wrapped keys that fit a version's metadata (48 KiB).
const maxOperators = 100

// Operator is the content of a CLUSTER.pub file: an operator's cluster and the age recipient its list keys are wrapped to.
type Operator struct {
	Cluster   string `json:"cluster"` // 32 hexadecimal digits
	Name      string `json:"name"`
	Recipient string `json:"recipient"` // age1...
	Added     int64  `json:"added,omitempty"`

	API []string `json:"api,omitempty"` // of control nodes that take withdrawals; see Post
	CA  string   `json:"ca,omitempty"`  // PEM, of their certificates; empty for a public authority
}

type operatorsFile struct {
	V         int        `json:"v"`
	Operators []Operator `json:"operators"`
}

func (o Operator) check() error {
	if b, err := hex.DecodeString(o.Cluster); err != nil || len(b) != 16 || strings.ToLower(o.Cluster) != o.Cluster {
		return errors.New("the cluster is not 32 hexadecimal digits")
	}
	if err := checkName(o.Name); err != nil {
		return err
	}
	if !strings.HasPrefix(o.Recipient, "age1") || len(o.Recipient) > 4096 {
		return errors.New("the recipient does not begin with age1")
	}
	if len(o.API) > maxURLs || len(o.CA) > maxCA {
		return errors.New("too many addresses, or too long a certificate")
	}
	for _, u := range o.API {
		if err := checkAPI(u); err != nil {
			return fmt.Errorf("address %s: %w", printable(u), err)
		}
	}
	return nil
}

func (s *session) operators() ([]Operator, error) {
	var f operatorsFile
	path := s.path("operators.json")
	err := readJSON(path, &f)
	if err == nil && f.V != 1 {
		err = fmt.Errorf("version %d is unknown", f.V)
	}
	for i := 0; err == nil && i < len(f.Operators); i++ {
		err = f.Operators[i].check()
	}
	if err != nil {
		return nil, fault(CodeInput, err, "put the file back from your backup", "cannot use %s", path)
	}
	return f.Operators, nil
}

func (s *session) saveOperators(all []Operator) error {
	slices.SortFunc(all, func(a, b Operator) int { return strings.Compare(a.Cluster, b.Cluster) })
	if err := writeJSON(s.path("operators.json"), operatorsFile{V: 1, Operators: all}, 0o600); err != nil {
		return fault(CodeFailure, err, "check the disk", "cannot write %s", s.path("operators.json"))
	}
	return nil
}

// AddOperator takes an operator's CLUSTER.pub in. The next version carries the list's keys wrapped to it; an operator of the same
// cluster id is replaced.
func (h *Hotline) AddOperator(path string) (Operator, error) {
	var o Operator
	do := "ask the operator for the file that cordon init wrote"
	err := readJSON(path, &o)
	if err == nil {
		err = o.check()
	}
	if err == nil { // prove the recipient before anyone signs
		_, err = trust.WrapKeys(trust.EpochKeys{List: "probe/probe", Epoch: 1, Keys: new(match.Keys)}, o.Recipient)
	}
	if err != nil {
		return Operator{}, fault(CodeInput, err, do, "%s is not an operator's public file", path)
	}
	s, err := h.begin()
	if err != nil {
		return Operator{}, err
	}
	defer s.release()
	all, err := s.operators()
	if err != nil {
		return Operator{}, err
	}
	o.Added = s.now.Unix()
	for _, other := range all {
		if other.Cluster == o.Cluster && len(o.API) == 0 {
			o.API, o.CA = other.API, other.CA
		}
		if other.Cluster == o.Cluster && other.Recipient != o.Recipient {
			if err := s.dropWrapped(o.Cluster); err != nil {
				return Operator{}, err
			}
		}
	}
	all = slices.DeleteFunc(all, func(x Operator) bool { return x.Cluster == o.Cluster })
	if len(all) >= maxOperators {
		return Operator{}, sentence(CodeInput, nil, "remove operators that have left", "%d operators are the most a version can carry keys for", maxOperators)
	}
	return o, s.saveOperators(append(all, o))
}

// Operators lists the operators that get keys.
func (h *Hotline) Operators() ([]Operator, error) {
	s, err := h.begin()
	if err != nil {
		return nil, err
	}
	defer s.release()
	return s.operators()
}

// RemoveOperator takes an operator out by cluster id or name. It keeps what it was given, so the next version is made with the keys
// of a new epoch; the epoch's number is returned.
func (h *Hotline) RemoveOperator(which string) (Operator, uint32, error) {
	s, err := h.begin()
	if err != nil {
		return Operator{}, 0, err
	}
	defer s.release()
	all, err := s.operators()
	if err != nil {
		return Operator{}, 0, err
	}
	var gone []Operator
	for _, o := range all {
		if o.Cluster == which || o.Name == which {
			gone = append(gone, o)
		}
	}
	if len(gone) != 1 {
		return Operator{}, 0, sentence(CodeInput, nil, "see operator list and name one by its cluster id", "%d %s called %q", len(gone), plural(len(gone), "operator is", "operators are"), printable(which))
	}
	holds, err := s.holdsKeys(gone[0].Cluster)
	if err != nil {
		return Operator{}, 0, err
	}
	if holds {
		if err := s.nextEpoch(); err != nil {
			return Operator{}, 0, err
		}
	}
	if err := s.dropWrapped(gone[0].Cluster); err != nil {
		return Operator{}, 0, err
	}
	all = slices.DeleteFunc(all, func(x Operator) bool { return x.Cluster == gone[0].Cluster })
	return gone[0], s.st.Epoch, s.saveOperators(all)
}

// holdsKeys reports that a cluster may hold the present keys: they lie here wrapped for it, or were given to it before its public file was
// replaced.
func (s *session) holdsKeys(cluster string) (bool, error) {
	if exists(s.wrapped(s.st.Epoch, cluster)) {
		return true, nil
	}
	all, err := s.allGiven()
	return slices.ContainsFunc(all, func(g given) bool { return g.Cluster == cluster && g.Epoch == s.st.Epoch }), err
}

// NewEpoch makes new list keys for the next version, for when keys may have leaked, and gives that version's epoch. Operators get them with that version.
func (h *Hotline) NewEpoch() (uint32, error) {
	s, err := h.begin()
	if err != nil {
		return 0, err
	}
	defer s.release()
	err = s.nextEpoch()
	return s.st.Epoch, err
}

func (s *session) wrapped(epoch uint32, cluster string) string {
	return s.path("wrapped", fmt.Sprintf("%d.%s.age", epoch, cluster))
}

// dropWrapped forgets the wrapped keys of a cluster, in all epochs.
func (s *session) dropWrapped(cluster string) error {
	names, err := filepath.Glob(s.path("wrapped", "*."+cluster+".age"))
	for _, n := range names {
		if err == nil {
			err = os.Remove(n)
		}
	}
	if err != nil {
		return fault(CodeFailure, err, "check the disk", "cannot remove wrapped keys in %s", s.path("wrapped"))
	}
	return nil
}

// wrapKeys gives the epoch's keys wrapped for every operator. A wrapped file is made once and kept: it is different each time it is
// made, and an operator that has it need not fetch it again.
func (s *session) wrapKeys(epoch uint32, keys *match.Keys) ([]trust.KeyFile, map[string]string, error) {
	all, err := s.operators()
	if err != nil {
		return nil, nil, err
	}
	var files []trust.KeyFile
	sources := map[string]string{}
	for _, o := range all {
		path := s.wrapped(epoch, o.Cluster)
		if !exists(path) {
			marks, err := s.marksFor(o.Cluster, epoch, keys)
			if err != nil {
				return nil, nil, err
			}
			b, err := trust.WrapKeys(trust.EpochKeys{List: s.set.List, Epoch: epoch, Keys: keys, Marks: marks}, o.Recipient)
			if err == nil {
				err = s.recordGiven(o, epoch, b)
			}
			if err == nil {
				err = writeFile(path, b, 0o600)
			}
			if err != nil {
				return nil, nil, fault(CodeFailure, err, "take the operator's public file in again with operator add", "cannot wrap the keys for operator %s", o.Name)
			}
		}
		b, err := readSmall(path)
		if err != nil {
			return nil, nil, fault(CodeFailure, err, "check the disk", "cannot read the wrapped keys of operator %s", o.Name)
		}
		f := trust.File{Path: trust.KeysPath(s.set.List, epoch, o.Cluster), Length: int64(len(b)), SHA256: sha256.Sum256(b)}
		files = append(files, trust.KeyFile{Cluster: o.Cluster, File: f})
		sources[f.Path] = path
	}
	return files, sources, nil
}

// day writes a time as people read it.
func day(t time.Time) string { return t.UTC().Format("2006-01-02 15:04") + " UTC" }
