package publish

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"

	"github.com/cordon-project/cordon/listsync/publiclog"
	"github.com/cordon-project/cordon/listsync/publish/ledger"
	"github.com/cordon-project/cordon/listsync/trust"
	"github.com/cordon-project/cordon/listsync/witness"
)

// LogStatus is how a version stands in the hotline's public log.
type LogStatus struct {
	Origin    string          `json:"origin"`
	Size      uint64          `json:"size"`
	Index     uint64          `json:"index"`     // of the version's leaf
	Witnesses []WitnessStatus `json:"witnesses"` // of the policy; empty without one
	Missing   string          `json:"missing"`   // what the policy lacks; empty when it is met
}

// WitnessStatus is what came of asking a witness.
type WitnessStatus struct {
	Name   string `json:"name"`
	Signed bool   `json:"signed"`
	Error  string `json:"error,omitempty"`
}

// Write puts it in plain words; nothing for a hotline without a log.
func (l *LogStatus) Write(w io.Writer) {
	if l == nil {
		return
	}
	fmt.Fprintf(w, "public log %s: leaf %d of %d\n", l.Origin, l.Index, l.Size)
	for _, x := range l.Witnesses {
		if x.Signed {
			fmt.Fprintf(w, "  witness %s has cosigned it\n", x.Name)
		} else {
			fmt.Fprintf(w, "  witness %s has not cosigned it: %s\n", x.Name, x.Error)
		}
	}
	if l.Missing != "" {
		fmt.Fprintf(w, "  operators who ask for witnesses take this version in once refresh has collected what is missing: %s\n", l.Missing)
	}
}

// logOrigin names a hotline's log, for ever: the canary's name is the hotline's own, so nobody else's log has it.
func logOrigin(r Request) string { return fmt.Sprintf("%s/%s/log", r.Canary, r.Hotline) }

// logKey is the verifier key of a public key that makeKey has made.
func logKey(r Request, p PublicKey) (string, error) {
	vkey, err := trust.LogKey(logOrigin(r), p.public())
	if err != nil {
		return "", sentence(CodeUsage, err, "mend --canary: a host name of at most 80 characters", "the canary's name is too long for the name of the public log, which begins with it")
	}
	return vkey, nil
}

// logVersion puts a version into the public log, has witnesses cosign it, and writes its proof: everything but what makes the version
// known. It may be repeated: the version is one leaf. Nil for a hotline whose charter names no log.
func (s *session) logVersion(ctx context.Context, c *candidate, m trust.Metadata, v *trust.Verified, without bool) (*LogStatus, error) {
	if v.Charter.Log == "" {
		return nil, nil
	}
	failed := func(err error) error {
		if errors.Is(err, ledger.ErrLost) {
			return fault(CodeInput, err, "put "+s.repository("log")+" back from a mirror: whoever has seen more of it would take a shorter one for a fraud", "cannot publish version %d", c.Seq)
		}
		return fault(CodeFailure, err, "check the disk and run publish again", "cannot write the public log %s", s.repository("log"))
	}
	leaf, err := publiclog.LeafOf(m.List, v.Lists[0])
	if err != nil {
		return nil, failed(err)
	}
	key, err := s.logSigner(v.Charter.Log)
	if err != nil {
		return nil, err
	}
	before, err := s.st.logHead()
	if err != nil {
		return nil, fault(CodeInput, err, "put the file back from your backup", "cannot use %s", s.path("state.json"))
	}
	if err := s.repositoryDir(s.repository("log")); err != nil {
		return nil, failed(err)
	}
	if err := s.willLog(leaf); err != nil {
		return nil, failed(err)
	}
	var taken uint64
	added, err := ledger.Append(ctx, ledger.Config{
		Dir: s.repository("log"), VKey: v.Charter.Log, Signer: key.private, Before: before,
		Allow: func(other []byte) error {
			if o, err := publiclog.ParseLeaf(other); err == nil && o.List == leaf.List && o.Seq >= leaf.Seq {
				taken = max(taken, o.Seq)
				return errTaken
			}
			return nil
		},
	}, leaf.Encode())
	if errors.Is(err, errTaken) {
		return nil, s.usedUp(c, taken)
	}
	if err != nil {
		return nil, failed(err)
	}
	s.st.LogSize, s.st.LogRoot = added.Head.Size, hex.EncodeToString(added.Head.Root[:])
	if err := s.saveState(); err != nil {
		return nil, err
	}
	l, err := s.witnessed(ctx, v.Charter.Log, added.Index, c.Seq)
	if err != nil {
		return nil, failed(err)
	}
	if l.Missing != "" && !without {
		return l, sentence(CodeHeld, ErrUnwitnessed, "run publish again when they answer; if it cannot wait, publish --without-witnesses: operators who ask for those witnesses take the version in once refresh has collected them",
			"version %d stands in the public log and is not published: %s", c.Seq, l.Missing)
	}
	return l, nil
}

// errTaken: the public log has another version of this list under this number or a higher one.
var errTaken = errors.New("another version stands in the public log under this number or a higher one")

// usedUp drops a candidate whose number the public log has for another version: state.json is older than the log, as after a restore.
func (s *session) usedUp(c *candidate, taken uint64) error {
	s.st.LogSeq = max(s.st.LogSeq, taken)
	if err := s.saveState(); err != nil {
		return err
	}
	return s.dropCandidate(sentence(CodeHeld, ErrUnsigned, fmt.Sprintf("sign again: the next version gets number %d", s.nextSeq()), "version %d is not published: %v (%d)", c.Seq, errTaken, taken))
}

// ErrUnwitnessed: fewer witnesses than the policy asks for have cosigned the public log.
var ErrUnwitnessed = errors.New("witnesses missing")

// witnessed asks the witnesses of the policy about the log's present checkpoint, if they have not all cosigned it, and writes checkpoint and
// proof of the version with leaf number index.
func (s *session) witnessed(ctx context.Context, vkey string, index, seq uint64) (*LogStatus, error) {
	root := filepath.Clean(s.repository())
	read := ledger.Read(root)
	tree, err := publiclog.Open(ctx, vkey, read, fs.ErrNotExist)
	if err != nil {
		return nil, err
	}
	l := &LogStatus{Origin: tree.Log.Origin, Size: tree.Size, Index: index, Witnesses: []WitnessStatus{}}
	policy, client, err := s.witnesses()
	if err != nil {
		return nil, err
	}
	note := tree.Checkpoint
	if policy.NeedsWitness() {
		if _, err := policy.Check(note); err != nil {
			note = s.ask(ctx, l, policy, client, tree)
		}
		if _, err := policy.Check(note); err != nil {
			l.Missing = err.Error()
		}
	}
	if string(note) != string(tree.Checkpoint) {
		if err := writeFile(s.repository(filepath.FromSlash(publiclog.CheckpointName)), note, 0o644); err != nil {
			return nil, err
		}
	}
	p := witness.Proof{Index: index, Checkpoint: note}
	if p.Hashes, err = tree.Inclusion(index); err != nil {
		return nil, err
	}
	to := s.repository(filepath.FromSlash(publiclog.ProofName(s.set.List, seq)))
	if err := s.repositoryDir(filepath.Dir(to)); err != nil {
		return nil, err
	}
	if err := writeFile(to, p.Encode(), 0o644); err != nil {
		return nil, err
	}
	return l, syncDir(filepath.Dir(to))
}

// ask gives the note with the cosignatures that came.
func (s *session) ask(ctx context.Context, l *LogStatus, policy witness.Policy, client *witnessClient, tree *publiclog.Tree) []byte {
	told := s.c.progress()
	told.Begin("asking the witnesses of the public log", int64(len(policy.Asked())))
	a := witness.Asker{
		Policy: policy, HTTP: client.http, Clock: s.c.now,
		Prove: func(_ context.Context, old, size uint64) ([][32]byte, error) { return tree.Consistency(old, size) },
	}
	note, answers := a.Ask(ctx, tree.Checkpoint)
	for _, x := range answers {
		w := WitnessStatus{Name: x.Witness.Name, Signed: x.Err == nil}
		if x.Err != nil {
			w.Error = printable(x.Err.Error())
		}
		l.Witnesses = append(l.Witnesses, w)
	}
	return note
}

// loggedName is the staged file with the leaf that is about to be put into the public log.
const loggedName = "leaf"

// willLog writes down, before the leaf goes into the log, that it does: whatever is cut off from here on, it may stand there.
func (s *session) willLog(leaf publiclog.Leaf) error {
	if err := writeFile(s.path("staging", loggedName), leaf.Encode(), 0o600); err != nil {
		return err
	}
	if err := syncDir(s.path("staging")); err != nil {
		return err
	}
	if leaf.Seq <= s.st.LogSeq {
		return nil
	}
	s.st.LogSeq = leaf.Seq
	return s.saveState()
}

// isLogged reports that the candidate stands in the public log already, or may. It can be published as it was signed, whatever the working set has
// become: another one under its number would be a second leaf for ever, which auditors take for a list that was shown to somebody in secret.
func (s *session) isLogged(c *candidate) bool {
	meta, err := readSmall(s.path("staging", "list.json"))
	if err != nil || s.acc == nil {
		return false
	}
	spec, err := trust.ReadList(meta, s.set.Hotline)
	if err != nil || len(spec.Lists) != 1 {
		return false
	}
	leaf, err := publiclog.LeafOf(meta, spec.Lists[0])
	if err != nil {
		return false
	}
	if b, err := readSmall(s.path("staging", loggedName)); err == nil {
		return string(b) == string(leaf.Encode())
	}
	b, err := readSmall(s.repository(filepath.FromSlash(publiclog.ProofName(s.set.List, c.Seq)))) // logged by a version that kept no such file
	if err != nil {
		return false
	}
	p, err := witness.ParseProof(b)
	if err != nil {
		return false
	}
	log, err := witness.ParseLog(s.acc.charter.Log)
	if err != nil {
		return false
	}
	cp, err := log.Open(p.Checkpoint)
	return err == nil && p.Included(leaf.Encode(), cp) == nil
}

// spoiled is stale for a candidate that waits to be published.
func (s *session) spoiled(c *candidate, e *envelope, entries [32]byte, operators string) string {
	if s.isLogged(c) && decodeKey(c.Entries, entries[:]) == nil {
		operators = c.Operators
	}
	return s.stale(c, e, entries, operators)
}

// errLogged refuses to drop a candidate that stands in the public log and can still be published.
func (s *session) errLogged(c *candidate) error {
	return sentence(CodeHeld, ErrUnwitnessed, "publish it first, with --without-witnesses if it cannot wait, then sign the next version; or sign with --again, which drops it and uses its number up: that it was never published stays to be seen for ever",
		"version %d stands in the public log, or may, and is not published yet", c.Seq)
}

// statusLog is how the log stands on disk. What is wrong with it is a problem of the next version.
func (s *session) statusLog(st *Status) *LogStatus {
	if s.acc.charter.Log == "" || s.st.LogSize == 0 {
		return nil
	}
	tree, err := publiclog.Open(context.Background(), s.acc.charter.Log, ledger.Read(s.repository()), fs.ErrNotExist)
	if errors.Is(err, publiclog.ErrProof) && !errors.Is(err, witness.ErrFormat) {
		return nil // the next version is signed with the key of a new charter
	}
	if err != nil || tree.Size < s.st.LogSize {
		st.Problems = append(st.Problems, fmt.Sprintf("the public log in %s is damaged or older than what was signed last: put it back from a mirror", s.repository("log")))
		return nil
	}
	l := &LogStatus{Origin: tree.Log.Origin, Size: tree.Size, Witnesses: []WitnessStatus{}}
	policy, _, err := s.witnesses()
	if err != nil {
		st.Problems = append(st.Problems, err.Error())
		return l
	}
	co, err := policy.Check(tree.Checkpoint)
	if err != nil {
		l.Missing = err.Error()
	}
	for _, name := range co.By {
		l.Witnesses = append(l.Witnesses, WitnessStatus{Name: name, Signed: true})
	}
	return l
}

// refreshLog collects cosignatures that have not come before. It gives what is worth a note.
func (s *session) refreshLog(ctx context.Context) string {
	if s.acc.charter.Log == "" || s.st.LogSize == 0 {
		return ""
	}
	name := publiclog.ProofName(s.set.List, s.st.Seq)
	b, err := readSmall(s.repository(filepath.FromSlash(name)))
	if err != nil {
		return "" // published before there was a log
	}
	p, err := witness.ParseProof(b)
	if err != nil {
		return fmt.Sprintf("%s is damaged: put it back from a mirror", s.repository(filepath.FromSlash(name)))
	}
	policy, _, err := s.witnesses()
	if err != nil {
		return err.Error()
	}
	if !policy.NeedsWitness() {
		return ""
	}
	if _, err := policy.Check(p.Checkpoint); err == nil {
		return ""
	}
	l, err := s.witnessed(ctx, s.acc.charter.Log, p.Index, s.st.Seq)
	if err != nil {
		return "the witnesses of the public log cannot be asked: " + err.Error()
	}
	if l.Missing != "" {
		return "operators who ask for the witnesses of the public log do not take version " + fmt.Sprint(s.st.Seq) + " in yet: " + l.Missing
	}
	return ""
}

// logSigner loads the key that the charter names.
func (s *session) logSigner(vkey string) (signingKey, error) {
	_, pub, err := trust.ParseLogKey(vkey)
	if err != nil {
		return signingKey{}, fault(CodeInput, err, "take the accreditation in again with accept", "the charter names no usable key of the public log")
	}
	if own := serviceKeyFile(roleLog, trust.KeyID(pub)); exists(s.path("keys", own+".key")) {
		return loadKey(s.c, s.path("keys"), own, roleLog)
	}
	return loadKey(s.c, s.path("keys"), roleLog, roleLog)
}

// logHead is the public log as the hotline last signed it.
func (st state) logHead() (publiclog.Head, error) {
	h := publiclog.Head{Size: st.LogSize}
	if h.Size == 0 {
		return h, nil
	}
	return h, decodeKey(st.LogRoot, h.Root[:])
}
