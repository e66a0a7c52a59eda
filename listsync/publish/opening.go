package publish

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cordon-project/cordon/listsync/list"
	"github.com/cordon-project/cordon/listsync/trust"
	"github.com/cordon-project/cordon/resolver/match"
)

// An opening shows drawn entries to a registered reviewer. The first officer's tool makes openings/N.age, which the reviewer can read, and
// signs openings/N.cbor, which says so; the second officer's tool makes the same content again from the entries and compares it before it
// signs. For that it keeps a key of its own, openings/N.key, until the threshold has signed.

const openingAge = 7 * 24 * time.Hour // until when operators take the statement in

// Drawn is a request that was verified against an operator's log: what to draw from, with what.
type Drawn struct {
	Request  [32]byte // SHA-256
	Cluster  string   // whose log's checkpoint draws
	List     match.ListID
	Seq      uint64
	Edge     [32]byte // SHA-256 of the edge list
	N        int
	Seed     [32]byte // list.DrawSeed
	Reviewer string   // age recipient
}

// OpenedSample says how an opening stands.
type OpenedSample struct {
	Number   uint64       `json:"number"`
	List     match.ListID `json:"list"`
	Seq      uint64       `json:"seq"`
	Count    int          `json:"count"`
	Of       int          `json:"of"` // entries in the version
	Reviewer string       `json:"reviewer"`
	Operator string       `json:"operator"`
	SignedBy []string     `json:"signed_by"`
	Need     int          `json:"need"`
	Missing  []string     `json:"missing"`        // who can still sign
	File     string       `json:"file,omitempty"` // for the reviewer, once the threshold has signed
	Expires  time.Time    `json:"expires"`
	Posted   []Posted     `json:"posted,omitempty"`
	Note     string       `json:"note,omitempty"`
}

// Complete reports whether the threshold has signed: only then may the file go to the reviewer.
func (o *OpenedSample) Complete() bool { return len(o.SignedBy) >= o.Need }

// OpenSample shows the entries that d draws to its reviewer, on the word of these officers: it makes the sealed file and the statement, or
// adds their signatures to those of the same request. The version is compared with what officers have signed. An entry's text is in
// no message.
func (h *Hotline) OpenSample(d Drawn, officers []string) (*OpenedSample, error) {
	s, err := h.begin()
	if err != nil {
		return nil, err
	}
	defer s.release()
	keys, err := s.officerKeys(officers)
	if err != nil {
		return nil, err
	}
	reviewer, operator, err := s.mayOpen(d)
	if err != nil {
		return nil, err
	}
	sample, of, err := s.sample(d)
	if err != nil {
		return nil, err
	}
	number, statement, err := s.openingFor(d, sample)
	if err != nil {
		return nil, err
	}
	for _, k := range keys {
		if statement, err = trust.CosignOpening(statement, k.private); errors.Is(err, ErrToken) {
			return nil, unsigned(err, "cannot sign the opening")
		} else if err != nil {
			return nil, fault(CodeFailure, err, "try again", "cannot sign the opening")
		}
	}
	if err := writeFile(s.openingPath(number, "cbor"), statement, 0o600); err != nil {
		return nil, fault(CodeFailure, err, "check the disk", "cannot write %s", s.openingPath(number, "cbor"))
	}
	o, err := s.openingStands(number, statement)
	if err != nil {
		return nil, err
	}
	o.Of, o.Reviewer, o.Operator = of, reviewer.Name, operator.Name
	if o.Complete() {
		o.File = s.openingPath(number, "age")
		if err := os.Remove(s.openingPath(number, "key")); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fault(CodeFailure, err, "remove it by hand", "the hotline's own key to the opened file is still there")
		}
	}
	return o, nil
}

func (s *session) openingPath(number uint64, ext string) string {
	return s.path("openings", strconv.FormatUint(number, 10)+"."+ext)
}

// mayOpen finds for whom and in whose log.
func (s *session) mayOpen(d Drawn) (Reviewer, Operator, error) {
	no := func(do, format string, a ...any) (Reviewer, Operator, error) {
		return Reviewer{}, Operator{}, sentence(CodeInput, nil, do, format, a...)
	}
	switch {
	case d.List != s.set.List:
		return no("hand it to the hotline of that list", "the request is for %s, and this hotline signs %s", d.List, s.set.List)
	case !s.hasPublished(d.Seq):
		return no("ask the auditor how the operator comes to have it: nobody here has published it", "the request is for version %d, and the newest one published here is %d", d.Seq, s.st.Seq)
	}
	operators, err := s.operators()
	if err != nil {
		return Reviewer{}, Operator{}, err
	}
	i := slices.IndexFunc(operators, func(o Operator) bool { return o.Cluster == d.Cluster })
	if i < 0 {
		return no("see operator list; the request must be drawn by the log of an operator that has this list", "cluster %s is no operator of this hotline", d.Cluster)
	}
	reviewers, err := s.reviewers()
	if err != nil {
		return Reviewer{}, Operator{}, err
	}
	j := slices.IndexFunc(reviewers, func(r Reviewer) bool { return r.Recipient == d.Reviewer })
	if j < 0 {
		return no("compare the key with the reviewer by telephone, then: reviewer add --dir HOTLINE NAME KEY", "the request is for a key that is no registered reviewer's: %s", printable(d.Reviewer))
	}
	return reviewers[j], operators[i], nil
}

// hasPublished reports that a version was published, as far as the record of the others goes.
func (s *session) hasPublished(seq uint64) bool {
	for m, err := range s.versions(s.st.Seq) {
		if err != nil || m.Seq <= seq {
			return err != nil && seq <= s.st.Seq || err == nil && m.Seq == seq
		}
	}
	return false
}

// sample is what d draws, opened; of is how many entries it was drawn from.
func (s *session) sample(d Drawn) (out trust.Sample, of int, err error) {
	at := *s // as of that version
	at.st.Seq = d.Seq
	m, err := at.manifest(d.Seq)
	if err != nil {
		return out, 0, err
	}
	if f, err := m.Edge.file(); err != nil || f.SHA256 != d.Edge {
		return out, 0, sentence(CodeVerify, trust.ErrHash, "find out what was published under this number: the operator's log has something else than this hotline",
			"the request is for another edge list of version %d than the one published here", d.Seq)
	}
	if !exists(at.recordPath(d.Seq)) {
		return out, 0, sentence(CodeInput, nil, "ask for a sample of a newer version", "the entries of version %d are not kept any more", d.Seq)
	}
	edge, err := at.signedEdge()
	if err != nil {
		return out, 0, err
	}
	from := list.Sampled(edge)
	records, err := list.Draw(d.Seed, d.N, from)
	if err != nil {
		return out, 0, sentence(CodeInput, err, "ask for fewer", "version %d has %d entries to draw from, and %d are asked for", d.Seq, len(from), d.N)
	}
	keys, _, err := s.epoch(edge.Version().Epoch)
	if err != nil {
		return out, 0, err
	}
	open, err := s.openKey()
	if err != nil {
		return out, 0, err
	}
	wanted := map[match.EntryID]int{}
	for _, i := range records {
		wanted[edge.Record(i).EntryID] = i
	}
	out = trust.Sample{V: 1, List: d.List, Seq: d.Seq, Epoch: edge.Version().Epoch, Edge: d.Edge, Request: d.Request, Match: keys.Match}
	in, err := at.openRecord(nil)
	if err != nil {
		return out, 0, err
	}
	defer in.close()
	for {
		e, err := in.next()
		if err != nil {
			return out, 0, err
		}
		if e == nil {
			break
		}
		i, ok := wanted[e.ID]
		if !ok {
			continue
		}
		if r := edge.Record(i); r.Kind != e.Kind || r.Digest != keys.Digest(d.List, e.Kind.Class(), []byte(e.Expression)) {
			return out, 0, at.badRecord("it does not give the list that officers have signed, such as entry %s", e.ID)
		}
		out.Shown = append(out.Shown, trust.Shown{Record: uint32(i), Kind: e.Kind, Expression: e.Expression, Salt: list.Salt(open, e.ID, e.Kind, out.Epoch)})
	}
	if len(out.Shown) != len(records) {
		return out, 0, at.badRecord("it lacks entries of the list that officers have signed")
	}
	slices.SortFunc(out.Shown, func(a, b trust.Shown) int { return int(a.Record) - int(b.Record) })
	return out, len(from), nil
}

// openingFor is the statement about this request: the one that is there, after its file was compared with what is to be shown, or a new one
// without signatures.
func (s *session) openingFor(d Drawn, sample trust.Sample) (number uint64, statement []byte, err error) {
	if err := os.MkdirAll(s.path("openings"), 0o700); err != nil {
		return 0, nil, fault(CodeFailure, err, "check the disk", "cannot make %s", s.path("openings"))
	}
	last := uint64(latest(s.path("openings"), ".cbor"))
	for n := last; n > 0; n-- {
		raw, err := readSmall(s.openingPath(n, "cbor"))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		var said trust.Opening
		if err == nil {
			said, err = trust.DecodeOpening(raw)
		}
		if err != nil {
			return 0, nil, fault(CodeInput, err, "put the file back from your backup", "cannot use %s", s.openingPath(n, "cbor"))
		}
		if said.Request == d.Request && said.Expires > s.now.Unix() {
			return n, raw, s.sameSample(n, said, d, sample)
		}
	}
	number = last + 1
	fail := func(err error) (uint64, []byte, error) {
		return 0, nil, fault(CodeFailure, err, "check the disk, and the reviewer's key", "cannot make the file for the reviewer")
	}
	identity, recipient, err := trust.NewSampleIdentity()
	if err != nil {
		return fail(err)
	}
	sealed, err := trust.SealSample(sample, d.Reviewer, recipient)
	if err != nil {
		return fail(err)
	}
	for ext, b := range map[string][]byte{"age": sealed, "key": []byte(identity + "\n")} {
		if err := writeFile(s.openingPath(number, ext), b, 0o600); err != nil {
			return fail(err)
		}
	}
	statement, err = trust.NewOpening(trust.Opening{
		Cluster: d.Cluster, List: d.List, Seq: d.Seq, Request: d.Request, Count: uint32(len(sample.Shown)), File: sha256.Sum256(sealed),
		Recipient: sha256.Sum256([]byte(d.Reviewer)), Issued: s.now.Unix(), Expires: s.now.Add(openingAge).Unix(),
	})
	if err != nil {
		return fail(err)
	}
	return number, statement, nil
}

// sameSample holds what another officer has signed to what is to be shown.
func (s *session) sameSample(n uint64, said trust.Opening, d Drawn, sample trust.Sample) error {
	sealed, err := readBounded(s.openingPath(n, "age"), trust.MaxSampleFile)
	var key []byte
	if err == nil {
		key, err = readSmall(s.openingPath(n, "key"))
	}
	if errors.Is(err, fs.ErrNotExist) && len(sealed) > 0 {
		return sentence(CodeInput, nil, "give the reviewer "+s.openingPath(n, "age"), "the threshold has signed this request already, as opening %d", n)
	}
	if err != nil {
		return fault(CodeInput, err, "remove "+s.openingPath(n, "cbor")+" and begin anew", "cannot read what the first officer has signed")
	}
	got, err := trust.OpenSample(sealed, bytes.NewReader(key))
	want := trust.Opening{
		V: 1, Cluster: d.Cluster, List: d.List, Seq: d.Seq, Request: d.Request, Count: uint32(len(sample.Shown)), File: sha256.Sum256(sealed),
		Recipient: sha256.Sum256([]byte(d.Reviewer)), Issued: said.Issued, Expires: said.Expires,
	}
	if err != nil || said != want || !reflect.DeepEqual(got, sample) {
		return sentence(CodeVerify, trust.ErrHash, "find out who changed it; remove "+s.openingPath(n, "cbor")+" and begin anew",
			"what opening %d would show is not what the request draws", n)
	}
	return nil
}

// openingStands says who has signed and who can.
func (s *session) openingStands(number uint64, raw []byte) (*OpenedSample, error) {
	officers, err := s.acc.officersOf()
	if err != nil {
		return nil, fault(CodeInput, err, "see status", "cannot use the accreditation")
	}
	said, signers, err := trust.OpeningSigners(officers, raw)
	if err != nil {
		return nil, fault(CodeVerify, err, "remove "+s.openingPath(number, "cbor")+" and begin anew", "opening %d has a signature of somebody who is no officer", number)
	}
	o := &OpenedSample{
		Number: number, List: said.List, Seq: said.Seq, Count: int(said.Count), SignedBy: s.officerNames(signers), Need: max(officers.Threshold, minThreshold),
		Missing: []string{}, Expires: time.Unix(said.Expires, 0).UTC(),
	}
	if !o.Complete() {
		o.Missing = s.officerNames(slices.DeleteFunc(slices.Clone(s.acc.officers.KeyIDs), func(id string) bool { return slices.Contains(signers, id) }))
	}
	return o, nil
}

// PostOpening hands the statement of an opening that is complete to the operator whose log drew it.
func (h *Hotline) PostOpening(ctx context.Context, number uint64) ([]Posted, error) {
	s, err := h.begin()
	if err != nil {
		return nil, err
	}
	raw, err := readSmall(s.openingPath(number, "cbor"))
	var said trust.Opening
	if err == nil {
		said, err = trust.DecodeOpening(raw)
	}
	var all []Operator
	if err == nil {
		all, err = s.operators()
	}
	s.release()
	if err != nil {
		return nil, fault(CodeInput, err, "name the number that open has said", "cannot read opening %d", number)
	}
	i := slices.IndexFunc(all, func(o Operator) bool { return o.Cluster == said.Cluster })
	if i < 0 || len(all[i].API) == 0 {
		return nil, sentence(CodeInput, nil, "store them with operator api and hand it over again: open --dir HOTLINE --post "+strconv.FormatUint(number, 10),
			"no address of the operator's control nodes is known")
	}
	return []Posted{postTo(ctx, all[i], openingsPath, raw)}, nil
}

const openingsPath = "/v1/openings"

// parseOpened reads what a control node answers to an opening.
func parseOpened(b []byte) (string, error) {
	var said struct {
		List  string `json:"list"`
		Seq   uint64 `json:"seq"`
		State string `json:"state"`
	}
	if err := decodeJSON(b, &said); err != nil || !slices.Contains([]string{"agreed", "known"}, said.State) {
		return "", errors.New("something else than a control node answers there")
	}
	return said.State, nil
}

// RequestName names a request in messages.
func RequestName(sum [32]byte) string { return hex.EncodeToString(sum[:8]) }

// Write puts it in plain words.
func (o *OpenedSample) Write(w interface{ Write([]byte) (int, error) }, dir, request string) error {
	fmt.Fprintf(w, "opening %d: %d of the %d entries of %s version %d, for %s, drawn by the log of %s\n", o.Number, o.Count, o.Of, o.List, o.Seq, o.Reviewer, o.Operator)
	fmt.Fprintf(w, "signed by %s: %d of %d signatures\n", strings.Join(o.SignedBy, " and "), len(o.SignedBy), o.Need)
	if !o.Complete() {
		_, err := fmt.Fprintf(w, "still to sign: %s, with the same command and --officer THEIR_DIR\n", strings.Join(o.Missing, " or "))
		return err
	}
	fmt.Fprintf(w, "give the reviewer %s (only %s can read it)\n", o.File, o.Reviewer)
	for _, p := range o.Posted {
		state := "not reached (" + p.Error + "): hand it over again with open --dir " + dir + " --post " + strconv.FormatUint(o.Number, 10)
		if p.State != Unreached {
			state = "it is in the log"
		}
		fmt.Fprintf(w, "operator %s: %s\n", p.Operator, state)
	}
	if o.Note != "" {
		_, err := fmt.Fprintf(w, "note: %s\n", o.Note)
		return err
	}
	return nil
}
