package publish

import (
	"crypto"
	"crypto/ed25519"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"slices"

	"github.com/cordon-project/cordon/listsync/trust"
)

// CarriedSignature is the content of a signature file: one officer's answer to a request. Sig is over the signed part of the list's
// metadata; Seal is over everything else here, so that the reason cannot be changed on the way. Nothing in it is secret.
type CarriedSignature struct {
	V       int             `json:"v"` // 1
	Hotline trust.HotlineID `json:"hotline"`
	List    string          `json:"list"`
	Seq     uint64          `json:"seq"`
	Signed  string          `json:"signed"` // SHA-256 of what Sig is over
	Officer string          `json:"officer"`
	KeyID   string          `json:"keyid"`
	Proved  bool            `json:"proved"`            // the officer's tool has rebuilt the version
	Approve string          `json:"approve,omitempty"` // why the officer signs although a brake holds
	// Entries are the same for single entries, by id: an address has no place in a file that is no secret.
	Entries map[string]string `json:"approve_entries,omitempty"`
	At      int64             `json:"at"`
	Sig     string            `json:"sig"`            // hex
	Seal    string            `json:"seal,omitempty"` // hex
}

const sealTag = "cordon/officer-signature/v1\n"

func (g CarriedSignature) sealed() ([]byte, error) {
	g.Seal = ""
	b, err := json.Marshal(g)
	return append([]byte(sealTag), b...), err
}

// newSignature signs the metadata and seals the answer.
func newSignature(g CarriedSignature, e *envelope, key signingKey) (CarriedSignature, error) {
	g.V, g.Officer, g.KeyID, g.Signed = 1, key.Name, key.KeyID, signedSum(e)
	sig, err := key.private.Sign(nil, e.Signed, crypto.Hash(0))
	if err != nil {
		return g, err
	}
	g.Sig = hex.EncodeToString(sig)
	b, err := g.sealed()
	if err == nil {
		sig, err = key.private.Sign(nil, b, crypto.Hash(0))
	}
	g.Seal = hex.EncodeToString(sig)
	return g, err
}

// verify holds an answer to an officer's public key and to what is to be signed.
func (g CarriedSignature) verify(p PublicKey, signed []byte) bool {
	b, err := g.sealed()
	if err != nil {
		return false
	}
	sig, err1 := hex.DecodeString(g.Sig)
	seal, err2 := hex.DecodeString(g.Seal)
	return err1 == nil && err2 == nil && ed25519.Verify(p.public(), signed, sig) && ed25519.Verify(p.public(), b, seal)
}

// elsewhere is a crypto.Signer whose one signature was made on another machine.
type elsewhere struct {
	public ed25519.PublicKey
	sig    []byte
}

func (s elsewhere) Public() crypto.PublicKey { return s.public }

func (s elsewhere) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) { return s.sig, nil }

// ImportSignature takes an officer's answer to a request in: it must be of an accredited officer and for exactly the version that is staged. The
// brakes are asked as in Sign; the officer's reason comes with the signature.
func (h *Hotline) ImportSignature(path string) (*Signed, error) {
	var a CarriedSignature
	if err := readJSON(path, &a); err != nil {
		return nil, fault(CodeInput, err, "name the file that officer sign wrote with --out", "%s is not a signature", path)
	}
	s, err := h.begin()
	if err != nil {
		return nil, err
	}
	defer s.release()
	if _, err := s.accredited(); err != nil {
		return nil, err
	}
	p, c, e, meta, err := s.fitting(path, a)
	if err != nil {
		return nil, err
	}
	g := &Signed{Officer: p.Name, Seq: c.Seq, Notes: []string{}, Need: max(s.acc.officers.Threshold, minThreshold)}
	entries, operators, err := s.review(g, SignOptions{Approve: a.Approve, ApproveEntries: a.Entries})
	if err != nil {
		return g, err
	}
	if why := s.stale(c, e, entries, operators); why != "" {
		return nil, sentence(CodeHeld, ErrUnsigned, "export a new request: that shows the new difference", "version %d was signed before something changed (%s)", c.Seq, why)
	}
	if g.Already = slices.Contains(e.signers(s.acc.officers, s.acc.keys), p.KeyID); !g.Already {
		sig, err := hex.DecodeString(a.Sig)
		if err != nil {
			return nil, fault(CodeVerify, err, "", "the signature in %s does not verify", path)
		}
		if e, err = s.addSignature(c, meta, signingKey{PublicKey: p, private: elsewhere{p.public(), sig}}, g.approvals); err != nil {
			return nil, err
		}
	}
	if !a.Proved {
		g.Notes = append(g.Notes, p.Name+" signed what the hotline's machine said: the request did not carry the entries")
	}
	g.Have, g.Missing = s.signatures(e)
	return g, nil
}

// fitting finds the officer and the staged version that an answer is of and for, and verifies it.
func (s *session) fitting(path string, a CarriedSignature) (p PublicKey, c *candidate, e *envelope, meta []byte, err error) {
	fail := func(code Code, is error, do, format string, args ...any) (PublicKey, *candidate, *envelope, []byte, error) {
		return p, nil, nil, nil, sentence(code, is, do, format, args...)
	}
	const anew = "export a new request and have it signed"
	if a.V != 1 {
		return fail(CodeInput, nil, "use the same version of cordon-hotline on both machines", "%s is a signature file of version %d, which this tool does not know", path, a.V)
	}
	if a.Hotline != s.set.Hotline || a.List != string(s.set.List) {
		return fail(CodeInput, ErrForeign, "take it to the machine of that hotline", "%s is a signature for list %s of hotline %s; this is %s", path, printable(a.List), printable(string(a.Hotline)), s.set.List)
	}
	i := slices.IndexFunc(s.set.Officers, func(o PublicKey) bool { return o.KeyID == a.KeyID })
	if i < 0 || !slices.Contains(s.acc.officers.KeyIDs, a.KeyID) {
		return fail(CodeInput, nil, "have one of them sign: "+oneOf(s.officerNames(s.acc.officers.KeyIDs), 1), "%s is signed by %s, who is not an accredited officer of hotline %s", path, printable(a.Officer), s.set.Hotline)
	}
	p = s.set.Officers[i]
	if a.Seq <= s.st.Seq {
		return fail(CodeVerify, trust.ErrRollback, "nothing more is needed for it", "%s is a signature for version %d; version %d is published already", path, a.Seq, s.st.Seq)
	}
	if c, e, meta, err = s.loadCandidate(); err != nil {
		return p, nil, nil, nil, err
	}
	switch {
	case c == nil:
		return fail(CodeVerify, ErrUnsigned, anew, "%s is a signature for version %d, and no version is staged any more", path, a.Seq)
	case a.Seq != c.Seq || a.Signed != signedSum(e):
		return fail(CodeVerify, trust.ErrHash, anew, "%s is a signature for another version %d than the one that is staged now (%s, not %s): something has changed since the request was written",
			path, a.Seq, short(a.Signed), short(signedSum(e)))
	case !a.verify(p, e.Signed):
		return fail(CodeVerify, trust.ErrSignature, "have "+p.Name+" sign the request again", "the signature of %s in %s does not verify: the file was changed, or made with another key", p.Name, path)
	}
	return p, c, e, meta, nil
}

// short is enough of a hash for people to compare.
func short(sum string) string {
	sum = printable(sum)
	return fmt.Sprintf("%s...", sum[:min(16, len(sum))])
}
