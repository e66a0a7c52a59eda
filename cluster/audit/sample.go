package audit

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"github.com/cordon-project/cordon/listsync/list"
	"github.com/cordon-project/cordon/listsync/trust"
	"github.com/cordon-project/cordon/resolver/canon"
	"github.com/cordon-project/cordon/resolver/match"
)

// MaxSampleRequest bounds a request for a sample.
const MaxSampleRequest = 512 << 10

const sampleVersion = 1

// ErrTooFresh: the checkpoint ends with the very leaf that brought the version.
var ErrTooFresh = errors.New("the checkpoint ends with the version's own leaf; draw from a later one")

// sampleRequest asks a hotline to show entries of one version to a reviewer. Which ones is not written in it: it follows from the
// checkpoint. Strict JSON, so that a person can read it before it is sent.
type sampleRequest struct {
	V          int      `json:"v"`
	Cluster    string   `json:"cluster"`  // id
	List       string   `json:"list"`     //
	Seq        uint64   `json:"seq"`      //
	Edge       string   `json:"edge"`     // SHA-256 of the edge list, hex
	N          int      `json:"n"`        // entries to draw
	Reviewer   string   `json:"reviewer"` // age recipient
	Nonce      string   `json:"nonce"`    // 32 random bytes of the asker, hex: who makes the checkpoint cannot know them
	Checkpoint string   `json:"checkpoint"`
	Leaf       []byte   `json:"leaf"`  // the version's publish leaf
	Proof      [][]byte `json:"proof"` // that it is in the checkpoint's log (RFC 6962 order)
}

// Drawing is a request whose checkpoint and proof were verified: enough to draw with the edge list.
type Drawing struct {
	Request  [32]byte // SHA-256 of the request
	Cluster  string
	List     match.ListID
	Seq      uint64
	Edge     [32]byte
	N        int
	Reviewer string   // age recipient
	Size     uint64   // of the log at the checkpoint
	Root     [32]byte // at that size
	Leaf     uint64   // number of the publish leaf
	Seed     [32]byte
}

// NewSampleRequest makes a request to show n entries of a list's newest version in force to a reviewer. leaves are those of a log that was
// verified, and checkpoint is its checkpoint. The log must have grown since the version came: the leaf that brought it must not be the
// checkpoint's last one, or whoever made the leaf could have chosen the draw.
func NewSampleRequest(tf TrustFile, checkpoint []byte, leaves []Leaf, l match.ListID, n int, reviewer string) ([]byte, error) {
	fail := func(err error) ([]byte, error) { return nil, fmt.Errorf("request a sample of %s: %w", l, err) }
	f := Genesis()
	t := new(Tree)
	for _, leaf := range leaves {
		b, err := EncodeLeaf(leaf)
		if err == nil {
			f, err = f.Apply(leaf)
		}
		if err != nil {
			return fail(err)
		}
		t.Append(b)
	}
	in, ok := f.List(l)
	if !ok {
		var there []string
		for _, in := range f.Lists {
			there = append(there, string(in.List))
		}
		return fail(fmt.Errorf("no version of it is in force, but of %q: %w", there, ErrMismatch))
	}
	leaf, err := t.Leaf(in.Leaf)
	if err != nil {
		return fail(err)
	}
	proof, err := t.ProveRecord(in.Leaf, t.Size())
	if err != nil {
		return fail(err)
	}
	var nonce [32]byte
	if _, err := rand.Read(nonce[:]); err != nil {
		return fail(err)
	}
	r := sampleRequest{
		V: sampleVersion, Cluster: tf.Cluster.ID(), List: string(l), Seq: in.Seq, Edge: hex.EncodeToString(in.Edge[:]), N: n, Reviewer: reviewer, Nonce: hex.EncodeToString(nonce[:]),
		Checkpoint: string(checkpoint), Leaf: leaf, Proof: [][]byte{},
	}
	for _, h := range proof {
		r.Proof = append(r.Proof, h[:])
	}
	raw := encodeJSON(r)
	if _, err := OpenSampleRequest(tf, raw); err != nil {
		return nil, err
	}
	return raw, nil
}

// OpenSampleRequest verifies a request against a trust file: a quorum has cosigned the checkpoint, the witnesses that the trust file asks for
// have seen it, and it is of a log in which the version came into force before the checkpoint's last leaf.
func OpenSampleRequest(tf TrustFile, raw []byte) (Drawing, error) {
	var r sampleRequest
	if err := strictJSON(raw, MaxSampleRequest, "request for a sample", &r); err != nil {
		return Drawing{}, err
	}
	fail := func(format string, a ...any) (Drawing, error) {
		return Drawing{}, fmt.Errorf("request for a sample: "+format, a...)
	}
	if r.V != sampleVersion {
		return fail("version %d, this tool reads %d: %w", r.V, sampleVersion, ErrFormat)
	}
	if id := tf.Cluster.ID(); r.Cluster != id {
		return fail("it is of cluster %s, trusted is %s (%s): %w", clip(r.Cluster), id, tf.Cluster.Name, ErrMismatch)
	}
	if r.N < 1 || r.N > trust.MaxSample {
		return fail("%d entries, 1 to %d: %w", r.N, trust.MaxSample, ErrFormat)
	}
	if _, err := trust.ParseRecipient(r.Reviewer); err != nil {
		return fail("the reviewer's key: %w", err)
	}
	edge, err := parseHash(r.Edge)
	if err != nil {
		return fail("%w", err)
	}
	nonce, err := parseHash(r.Nonce)
	if err != nil {
		return fail("the nonce: %w", err)
	}
	cp, _, _, err := tf.Quorum().Open([]byte(r.Checkpoint))
	if err != nil {
		return fail("%w", err)
	}
	if _, err := tf.Policy().Check([]byte(r.Checkpoint)); err != nil {
		return fail("the checkpoint was not seen by the witnesses that the trust file asks for: %w", err)
	}
	leaf, err := DecodeLeaf(r.Leaf)
	if err != nil {
		return fail("%w", err)
	}
	proof := make([][32]byte, 0, len(r.Proof))
	for _, h := range r.Proof {
		if len(h) != 32 {
			return fail("a hash of %d bytes: %w", len(h), ErrFormat)
		}
		proof = append(proof, [32]byte(h))
	}
	if err := CheckRecord(proof, cp.Size, cp.Root, leaf.N, r.Leaf); err != nil {
		return fail("the version's leaf is not in the checkpoint's log: %w", err)
	}
	body, err := leaf.Body()
	if err != nil {
		return fail("%w", err)
	}
	d := Drawing{
		Request: sha256.Sum256(raw), Cluster: r.Cluster, Seq: r.Seq, Edge: edge, N: r.N, Reviewer: r.Reviewer, Size: cp.Size, Root: cp.Root, Leaf: leaf.N,
	}
	switch b := body.(type) {
	case Publish:
		if string(b.List) != r.List || b.Seq != r.Seq || b.Edge != edge {
			return fail("leaf %d is of another version: %w", leaf.N, ErrMismatch)
		}
		d.List = b.List
	default:
		return fail("leaf %d brings no version into force: %w", leaf.N, ErrMismatch)
	}
	if leaf.N+1 >= cp.Size {
		return fail("%w", ErrTooFresh)
	}
	d.Seed = list.DrawSeed(cp.Text(), d.List, d.Seq, d.Edge, nonce)
	return d, nil
}

// Records are the numbers of the records that the request draws from the edge list that it names.
func (d Drawing) Records(e *list.Edge) ([]int, error) {
	if v := e.Version(); v.List != d.List || v.Seq != d.Seq {
		return nil, fmt.Errorf("draw from %s: the edge list is of another version: %w", listSeq(d.List, d.Seq), ErrMismatch)
	}
	return list.Draw(d.Seed, d.N, list.Sampled(e))
}

// JudgeSample holds what a hotline showed to what was drawn and to the list. It gives one sentence for each thing that is wrong, none of
// which repeats what was shown. e and a are the files of the version, verified.
func JudgeSample(d Drawing, e *list.Edge, a *list.Audit, s trust.Sample) ([]string, error) {
	records, err := d.Records(e)
	if err != nil {
		return nil, err
	}
	if err := a.Fits(e); err != nil {
		return nil, err
	}
	var wrong []string
	bad := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	v := e.Version()
	switch {
	case s.List != d.List || s.Seq != d.Seq || s.Edge != d.Edge || s.Epoch != v.Epoch:
		bad("it is of another version than the one that was asked for")
	case s.Request != d.Request:
		bad("it answers another request")
	}
	shown := map[int]trust.Shown{}
	for _, x := range s.Shown {
		if !slices.Contains(records, int(x.Record)) {
			bad("record %d was not drawn and is shown", x.Record)
			continue
		}
		shown[int(x.Record)] = x
	}
	keys := match.Keys{Match: s.Match}
	for _, i := range records {
		x, ok := shown[i]
		if !ok {
			bad("record %d was drawn and is not shown", i)
			continue
		}
		if what := judgeShown(x, e.Record(i), a.Commitment(i), d.List, &keys); what != "" {
			bad("record %d: %s", i, what)
		}
	}
	return wrong, nil
}

// judgeShown says what is wrong with one opening, or "".
func judgeShown(x trust.Shown, r match.Record, c [32]byte, l match.ListID, keys *match.Keys) string {
	if text, err := canon.Expression(x.Kind, x.Expression); err != nil || text != x.Expression || x.Kind != r.Kind {
		return "what is shown is no canonical expression of the record's kind"
	}
	fits := list.Commitment(x.Salt, l, r.EntryID, x.Kind, x.Expression, r.Digest) == c
	blocks := keys.Digest(l, x.Kind.Class(), []byte(x.Expression)) == r.Digest
	switch {
	case fits && !blocks:
		return "what is shown fits only the commitment: the list's digest is of something else, which is what edges block"
	case !fits && blocks:
		return "what is shown is what edges block and does not fit the commitment"
	case !fits:
		return "what is shown fits neither the commitment nor the list's digest"
	}
	return ""
}

// SampleInLog says why a verified log does not record that this file was opened for the request, or "". It also holds the request's checkpoint to
// the log.
func SampleInLog(leaves []Leaf, d Drawing, file [32]byte, count int) string {
	t := new(Tree)
	for _, l := range leaves {
		if b, err := EncodeLeaf(l); err == nil {
			t.Append(b)
		}
	}
	if root, err := t.RootAt(d.Size); err != nil || root != d.Root {
		return fmt.Sprintf("the log of this bundle does not continue the checkpoint of size %d that drew the entries: a fork, or an older bundle", d.Size)
	}
	other := false
	for _, l := range leaves {
		if l.K != KindOpen {
			continue
		}
		body, err := l.Body()
		if err != nil {
			continue
		}
		o, ok := body.(Open)
		if !ok || o.Request != d.Request {
			continue
		}
		if o.File == file && o.Recipient == RecipientHash(d.Reviewer) && o.List == d.List && o.Seq == d.Seq && int(o.Count) == count {
			return ""
		}
		other = true
	}
	if other {
		return "the log records an opening for this request, and of another file, key or number of entries"
	}
	return "the log has no record that this was opened: use a newer bundle, and ask hotline and operator if there is none there either"
}
