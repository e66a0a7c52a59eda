package main

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"os"
	"strings"

	"github.com/miekg/pkcs11"
)

// token is one open session with the token that a request names.
type token struct {
	r       Request
	lib     *pkcs11.Ctx
	session pkcs11.SessionHandle
}

// open loads the library, finds the one token and logs in.
func open(r Request) (*token, error) {
	if _, err := os.Stat(r.Module); err != nil {
		return nil, fail("module", "the token's library %s is not there", r.Module)
	}
	lib := pkcs11.New(r.Module)
	if lib == nil {
		return nil, fail("module", "%s is not a PKCS#11 library of this machine's kind", r.Module)
	}
	if err := lib.Initialize(); err != nil {
		lib.Destroy()
		return nil, fail("module", "the token's library %s does not start: %v", r.Module, err)
	}
	t := &token{r: r, lib: lib}
	if err := t.login(); err != nil {
		t.close()
		return nil, err
	}
	return t, nil
}

func (t *token) close() {
	if t.session != 0 {
		t.lib.Logout(t.session)
		t.lib.CloseSession(t.session)
	}
	t.lib.Finalize()
	t.lib.Destroy()
}

func (t *token) login() error {
	slots, err := t.lib.GetSlotList(true)
	if err != nil {
		return fail("token", "the token's library cannot say which tokens there are: %v", err)
	}
	var found []uint
	for _, s := range slots {
		info, err := t.lib.GetTokenInfo(s)
		if err != nil || info.Flags&pkcs11.CKF_TOKEN_INITIALIZED == 0 {
			continue
		}
		if (t.r.Token == "" || strings.TrimRight(info.Label, " \x00") == t.r.Token) && (t.r.Serial == "" || strings.TrimRight(info.SerialNumber, " \x00") == t.r.Serial) {
			found = append(found, s)
		}
	}
	switch {
	case len(found) == 0:
		return fail("token", "no token %s is plugged in (tokens that are: %d)", t.name(), len(slots))
	case len(found) > 1:
		return fail("ambiguous", "%d tokens are called %s", len(found), t.name())
	}
	flags := uint(pkcs11.CKF_SERIAL_SESSION)
	if t.r.Do == "make" {
		flags |= pkcs11.CKF_RW_SESSION
	}
	if t.session, err = t.lib.OpenSession(found[0], flags); err != nil {
		return fail("token", "token %s cannot be used: %v", t.name(), err)
	}
	err = t.lib.Login(t.session, pkcs11.CKU_USER, t.r.PIN)
	var code pkcs11.Error
	switch {
	case err == nil:
		return nil
	case !errors.As(err, &code):
	case code == pkcs11.CKR_PIN_INCORRECT || code == pkcs11.CKR_PIN_LEN_RANGE || code == pkcs11.CKR_PIN_INVALID || code == pkcs11.CKR_ARGUMENTS_BAD:
		return fail("pin", "the PIN of token %s is wrong; after a few wrong ones it locks itself", t.name())
	case code == pkcs11.CKR_PIN_LOCKED || code == pkcs11.CKR_PIN_EXPIRED:
		return fail("locked", "token %s is locked: too many wrong PINs, or its PIN has expired", t.name())
	case code == pkcs11.CKR_USER_PIN_NOT_INITIALIZED:
		return fail("locked", "token %s has no user PIN yet", t.name())
	case code == pkcs11.CKR_TOKEN_NOT_PRESENT || code == pkcs11.CKR_DEVICE_REMOVED:
		return fail("token", "token %s was taken out", t.name())
	}
	return fail("failed", "token %s does not let us in: %v", t.name(), err)
}

func (t *token) name() string {
	if t.r.Token != "" {
		return `"` + t.r.Token + `"`
	}
	return "with serial number " + t.r.Serial
}

func (t *token) object() string {
	if t.r.Object != "" {
		return `"` + t.r.Object + `"`
	}
	return "with the id of the URI"
}

// find gives the one object of a class that the request names.
func (t *token) find(class uint) (pkcs11.ObjectHandle, error) {
	template := []*pkcs11.Attribute{pkcs11.NewAttribute(pkcs11.CKA_CLASS, class)}
	if t.r.Object != "" {
		template = append(template, pkcs11.NewAttribute(pkcs11.CKA_LABEL, t.r.Object))
	}
	if len(t.r.ID) > 0 {
		template = append(template, pkcs11.NewAttribute(pkcs11.CKA_ID, t.r.ID))
	}
	if err := t.lib.FindObjectsInit(t.session, template); err != nil {
		return 0, fail("failed", "token %s cannot be searched: %v", t.name(), err)
	}
	found, _, err := t.lib.FindObjects(t.session, 2)
	if ferr := t.lib.FindObjectsFinal(t.session); err == nil {
		err = ferr
	}
	what := map[uint]string{pkcs11.CKO_PRIVATE_KEY: "private", pkcs11.CKO_PUBLIC_KEY: "public"}[class]
	switch {
	case err != nil:
		return 0, fail("failed", "token %s cannot be searched: %v", t.name(), err)
	case len(found) == 0:
		return 0, fail("key", "token %s has no %s key %s", t.name(), what, t.object())
	case len(found) > 1:
		return 0, fail("ambiguous", "token %s has several %s keys %s: name one by its id", t.name(), what, t.object())
	}
	return found[0], t.edwards(found[0])
}

// edwards wants an Ed25519 key.
func (t *token) edwards(key pkcs11.ObjectHandle) error {
	a, err := t.lib.GetAttributeValue(t.session, key, []*pkcs11.Attribute{pkcs11.NewAttribute(pkcs11.CKA_KEY_TYPE, nil)})
	if err != nil || len(a) != 1 {
		return fail("failed", "token %s does not say of what type key %s is", t.name(), t.object())
	}
	if !bytes.Equal(a[0].Value, pkcs11.NewAttribute(pkcs11.CKA_KEY_TYPE, uint(ckkEdwards)).Value) {
		return fail("type", "key %s of token %s is not an Ed25519 key", t.object(), t.name())
	}
	a, err = t.lib.GetAttributeValue(t.session, key, []*pkcs11.Attribute{pkcs11.NewAttribute(pkcs11.CKA_EC_PARAMS, nil)})
	if err != nil || len(a) != 1 {
		return nil // some tokens keep it to the public key; a signature that does not verify is refused anyway
	}
	for _, p := range curves {
		if bytes.Equal(a[0].Value, p) {
			return nil
		}
	}
	return fail("type", "key %s of token %s is of another Edwards curve than Ed25519", t.object(), t.name())
}

// Numbers of PKCS#11 3.0 for Edwards curves.
const (
	ckkEdwards     = 0x40
	ckmEdDSA       = 0x1057
	ckmEdwardsPair = 0x1055
)

// curves are the ways in which tokens write the parameters of Ed25519.
var curves = [][]byte{
	append([]byte{0x13, 12}, "edwards25519"...),                        // PrintableString, PKCS#11 3.0
	{0x06, 0x03, 0x2b, 0x65, 0x70},                                     // id-Ed25519, RFC 8410
	{0x06, 0x09, 0x2b, 0x06, 0x01, 0x04, 0x01, 0xda, 0x47, 0x0f, 0x01}, // its number before that
}

// public reads the public key.
func (t *token) public() ([]byte, error) {
	key, err := t.find(pkcs11.CKO_PUBLIC_KEY)
	if err != nil {
		return nil, err
	}
	return t.point(key)
}

func (t *token) point(key pkcs11.ObjectHandle) ([]byte, error) {
	a, err := t.lib.GetAttributeValue(t.session, key, []*pkcs11.Attribute{pkcs11.NewAttribute(pkcs11.CKA_EC_POINT, nil)})
	if err != nil || len(a) != 1 {
		return nil, fail("failed", "token %s does not give the public key %s: %v", t.name(), t.object(), err)
	}
	p := a[0].Value
	if len(p) == ed25519.PublicKeySize+2 && p[0] == 0x04 && p[1] == ed25519.PublicKeySize { // in an OCTET STRING
		p = p[2:]
	}
	if len(p) != ed25519.PublicKeySize {
		return nil, fail("type", "key %s of token %s is not an Ed25519 key", t.object(), t.name())
	}
	return p, nil
}

// sign makes one Ed25519 signature; the token gets the whole message.
func (t *token) sign(data []byte) ([]byte, error) {
	key, err := t.find(pkcs11.CKO_PRIVATE_KEY)
	if err != nil {
		return nil, err
	}
	if err := t.lib.SignInit(t.session, []*pkcs11.Mechanism{pkcs11.NewMechanism(ckmEdDSA, nil)}, key); err != nil {
		return nil, fail("failed", "token %s does not sign with key %s: %v", t.name(), t.object(), err)
	}
	sig, err := t.lib.Sign(t.session, data)
	if err != nil {
		return nil, fail("failed", "token %s has not signed: %v", t.name(), err)
	}
	if len(sig) != ed25519.SignatureSize {
		return nil, fail("failed", "token %s gave a signature of %d bytes", t.name(), len(sig))
	}
	return sig, nil
}

// make has the token make a key pair that never leaves it.
func (t *token) make() ([]byte, error) {
	if t.r.Object == "" {
		return nil, fail("request", "a new key needs a label (object=)")
	}
	if _, err := t.find(pkcs11.CKO_PRIVATE_KEY); err == nil || errorCode(err) != "key" {
		if err == nil {
			err = fail("exists", "token %s has a key %s already", t.name(), t.object())
		}
		return nil, err
	}
	id := t.r.ID
	if len(id) == 0 {
		id = []byte(t.r.Object)
	}
	public := []*pkcs11.Attribute{
		pkcs11.NewAttribute(pkcs11.CKA_CLASS, pkcs11.CKO_PUBLIC_KEY), pkcs11.NewAttribute(pkcs11.CKA_KEY_TYPE, uint(ckkEdwards)),
		pkcs11.NewAttribute(pkcs11.CKA_TOKEN, true), pkcs11.NewAttribute(pkcs11.CKA_VERIFY, true), pkcs11.NewAttribute(pkcs11.CKA_EC_PARAMS, curves[0]),
		pkcs11.NewAttribute(pkcs11.CKA_LABEL, t.r.Object), pkcs11.NewAttribute(pkcs11.CKA_ID, id),
	}
	private := []*pkcs11.Attribute{
		pkcs11.NewAttribute(pkcs11.CKA_CLASS, pkcs11.CKO_PRIVATE_KEY), pkcs11.NewAttribute(pkcs11.CKA_KEY_TYPE, uint(ckkEdwards)),
		pkcs11.NewAttribute(pkcs11.CKA_TOKEN, true), pkcs11.NewAttribute(pkcs11.CKA_PRIVATE, true), pkcs11.NewAttribute(pkcs11.CKA_SIGN, true),
		pkcs11.NewAttribute(pkcs11.CKA_SENSITIVE, true), pkcs11.NewAttribute(pkcs11.CKA_EXTRACTABLE, false),
		pkcs11.NewAttribute(pkcs11.CKA_LABEL, t.r.Object), pkcs11.NewAttribute(pkcs11.CKA_ID, id),
	}
	key, _, err := t.lib.GenerateKeyPair(t.session, []*pkcs11.Mechanism{pkcs11.NewMechanism(ckmEdwardsPair, nil)}, public, private)
	if err != nil {
		return nil, fail("failed", "token %s makes no Ed25519 key: %v", t.name(), err)
	}
	return t.point(key)
}

func errorCode(err error) string {
	if f, ok := errors.AsType[*Failed](err); ok {
		return f.Code
	}
	return ""
}
