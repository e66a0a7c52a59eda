package publish

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// An officer's key may be in a PKCS#11 token. officer.key then says where (tokenKey), and a helper, cordon-pkcs11, loads the token's library
// and signs: this program stays static and has no stranger's code in its memory. The PIN comes from a file or a person, goes to the helper's
// standard input and is never an argument.

// tokenKey is officer.key of such an officer.
type tokenKey struct {
	V      int    `json:"v"`      // 1
	PKCS11 string `json:"pkcs11"` // URI, RFC 7512
	Helper string `json:"helper"` // absolute path of cordon-pkcs11
}

// tokenRequest and tokenAnswer are cmd/cordon-pkcs11's.
type tokenRequest struct {
	V      int    `json:"v"`
	Do     string `json:"do"`
	Module string `json:"module"`
	Token  string `json:"token,omitempty"`
	Serial string `json:"serial,omitempty"`
	Object string `json:"object,omitempty"`
	ID     []byte `json:"id,omitempty"`
	PIN    string `json:"pin,omitempty"`
	Data   []byte `json:"data,omitempty"`
}

type tokenAnswer struct {
	V         int    `json:"v"`
	Public    []byte `json:"public,omitempty"`
	Signature []byte `json:"signature,omitempty"`
	Error     *struct {
		Code string `json:"code"`
		Text string `json:"text"`
	} `json:"error,omitempty"`
}

const (
	maxTokenAnswer = 64 << 10
	// tokenPatience is how long a person may take to touch a token.
	tokenPatience = 2 * time.Minute
	maxPIN        = 256
)

// TokenOptions name a key in a PKCS#11 token.
type TokenOptions struct {
	URI    string // such as pkcs11:token=officers;object=officer-1?module-path=/usr/lib/softhsm/libsofthsm2.so
	Helper string // path of cordon-pkcs11; empty means beside this program
	Make   bool   // have the token make the key
}

// NewTokenOfficer is NewOfficer for a key that is, or with Make will be, in a token.
func NewTokenOfficer(c Config, dir, name string, o TokenOptions) (PublicKey, error) {
	if name == "" {
		name = filepath.Base(filepath.Clean(dir))
	}
	if err := checkName(name); err != nil {
		return PublicKey{}, fault(CodeUsage, err, "give --name a short name", "cannot name an officer %q", printable(name))
	}
	ref := tokenKey{V: 1, PKCS11: o.URI, Helper: o.Helper}
	if ref.Helper == "" {
		self, err := os.Executable()
		if err != nil {
			return PublicKey{}, fault(CodeFailure, err, "name cordon-pkcs11 with --helper", "cannot tell where this program is")
		}
		ref.Helper = filepath.Join(filepath.Dir(self), "cordon-pkcs11")
	}
	var err error
	if ref.Helper, err = filepath.Abs(ref.Helper); err != nil {
		return PublicKey{}, fault(CodeUsage, err, "name cordon-pkcs11 with --helper", "cannot use %s", o.Helper)
	}
	t := &tokenSigner{c: c, ref: ref, where: "--pkcs11"}
	do := "public"
	if o.Make {
		do = "make"
	}
	a, err := t.ask(do, nil)
	if err != nil {
		return PublicKey{}, err
	}
	if len(a.Public) != ed25519.PublicKeySize {
		return PublicKey{}, sentence(CodeFailure, nil, "use the cordon-pkcs11 of this release", "%s gave a public key of %d bytes", ref.Helper, len(a.Public))
	}
	if err := freshDir(dir, "an officer's key", "officer.key"); err != nil {
		return PublicKey{}, err
	}
	pub := newPublicKey(roleOfficer, name, a.Public)
	if pub.Recipient, err = makeIdentity(dir); err != nil {
		return PublicKey{}, err
	}
	err = writeJSON(filepath.Join(dir, "officer.key"), ref, 0o600)
	if err == nil {
		err = writeJSON(filepath.Join(dir, "officer.pub"), pub, 0o644)
	}
	if err != nil {
		return PublicKey{}, fault(CodeFailure, err, "name a place where you may write", "cannot write the officer's files in %s", dir)
	}
	return pub, nil
}

// tokenSigner signs with a token's key. It asks for the PIN once.
type tokenSigner struct {
	c      Config
	ref    tokenKey
	where  string // officer.key, for messages
	public ed25519.PublicKey
	pin    *string
}

func (t *tokenSigner) Public() crypto.PublicKey { return t.public }

// Sign has the token sign message itself: Ed25519 hashes nothing before.
func (t *tokenSigner) Sign(_ io.Reader, message []byte, _ crypto.SignerOpts) ([]byte, error) {
	a, err := t.ask("sign", message)
	if err != nil {
		return nil, err
	}
	if !ed25519.Verify(t.public, message, a.Signature) {
		return nil, sentence(CodeVerify, ErrToken, "plug the officer's own token in, or make officer.pub anew", "the token's signature is not of the key in officer.pub: %s names another key", t.where)
	}
	return a.Signature, nil
}

// ask runs the helper for one task.
func (t *tokenSigner) ask(do string, data []byte) (tokenAnswer, error) {
	r, pinFile, err := parseTokenURI(t.ref.PKCS11)
	if err != nil {
		return tokenAnswer{}, fault(CodeInput, err, "write it as pkcs11:token=NAME;object=NAME?module-path=/path/of/the/library.so", "%s has a PKCS#11 URI that cannot be used", t.where)
	}
	if err := t.helper(); err != nil {
		return tokenAnswer{}, err
	}
	r.V, r.Do, r.Data = 1, do, data
	if r.PIN, err = t.askPIN(r, pinFile); err != nil {
		return tokenAnswer{}, err
	}
	b, err := json.Marshal(r)
	if err != nil {
		return tokenAnswer{}, err
	}
	defer clear(b)
	ctx, cancel := context.WithTimeout(context.Background(), tokenPatience)
	defer cancel()
	cmd := exec.CommandContext(ctx, t.ref.Helper)
	cmd.WaitDelay = time.Second // a token's library may leave a process behind that holds our pipes
	cmd.Stdin = bytes.NewReader(b)
	out := &bounded{left: maxTokenAnswer, full: cancel}
	cmd.Stdout, cmd.Stderr = out, nil
	run := cmd.Run()
	var a tokenAnswer
	switch err := decodeJSON(out.kept.Bytes(), &a); {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return a, sentence(CodeFailure, ErrToken, "touch it when it asks, or plug it in again", "the token has not answered in %s", tokenPatience)
	case err != nil || a.V != 1:
		return a, fault(CodeFailure, errors.Join(ErrToken, run, err), "use the cordon-pkcs11 of this release", "%s has not answered as it should", t.ref.Helper)
	case a.Error != nil:
		t.pin = nil // it may be the wrong one
		return a, tokenFault(a.Error.Code, printable(a.Error.Text))
	}
	return a, nil
}

// helper wants a program that nobody else can exchange: it gets the PIN.
func (t *tokenSigner) helper() error {
	info, err := os.Stat(t.ref.Helper)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !info.Mode().IsRegular() {
		return sentence(CodeInput, ErrToken, "install cordon-pkcs11 there (make pkcs11), or write its path into officer.key as helper", "the key is in a PKCS#11 token, and its helper %s is not there", t.ref.Helper)
	}
	if err != nil {
		return fault(CodeInput, err, "check the path", "cannot use the helper %s", t.ref.Helper)
	}
	if info.Mode().Perm()&0o022 != 0 {
		return sentence(CodeInput, ErrToken, "run: chmod go-w "+t.ref.Helper, "the helper %s can be changed by other users of this machine", t.ref.Helper)
	}
	return nil
}

// askPIN takes the PIN from the URI's pin-source, from Config, or from an earlier question.
func (t *tokenSigner) askPIN(r tokenRequest, file string) (string, error) {
	if t.pin != nil {
		return *t.pin, nil
	}
	if file == "" {
		file = t.c.PINFile
	}
	var b []byte
	var err error
	switch {
	case file != "":
		b, err = readPIN(file)
	case t.c.PIN != nil:
		b, err = t.c.PIN(fmt.Sprintf("PIN of token %s for key %s", printable(r.Token+r.Serial), printable(r.Object)))
	default:
		return "", sentence(CodeInput, ErrToken, "name a file with it in CORDON_PIN_FILE (such as /dev/fd/3), or run this on a terminal", "the token needs a PIN and there is nobody to ask")
	}
	if err != nil {
		return "", fault(CodeInput, errors.Join(ErrToken, err), "name a file that only you can read, with the PIN alone in it", "cannot read the PIN")
	}
	defer clear(b)
	pin := strings.TrimRight(string(b), "\r\n")
	if pin == "" || len(pin) > maxPIN {
		return "", sentence(CodeInput, ErrToken, "give the PIN of the token", "a PIN has 1 to %d characters", maxPIN)
	}
	t.pin = &pin
	return pin, nil
}

// readPIN reads a file that is private, or no file at all but a pipe that somebody has opened for us.
func readPIN(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil {
		return nil, err
	} else if info.Mode().IsRegular() && info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("%s can be read by other users of this machine: chmod 600 %s", path, path)
	}
	return io.ReadAll(io.LimitReader(f, maxPIN+2))
}

// bounded keeps what fits, and ends its writer when something does not: that would wait for a reader for ever. The buffer is a named field:
// embedded, its ReadFrom would be found by io.Copy and read without a bound.
type bounded struct {
	kept bytes.Buffer
	left int
	full func()
}

func (b *bounded) Write(p []byte) (int, error) {
	if b.left -= len(p); b.left < 0 {
		b.full()
		return 0, errors.New("too long an answer")
	}
	return b.kept.Write(p)
}

// tokenFault says what to do about what the helper met.
func tokenFault(code, text string) error {
	do, exit := map[string]string{
		"module":    "write the path of your token's library as module-path into the URI",
		"token":     "plug the token in, or name it as it is labelled",
		"key":       "name the key as it is labelled in the token, or make one with officer --pkcs11 URI --make",
		"exists":    "leave --make out to use that one, or name another label",
		"type":      "name an Ed25519 key: officers sign with no other",
		"pin":       "try again with the right PIN",
		"locked":    "have the token's own tool set its PIN again",
		"ambiguous": "name one by serial number (serial=) or id (id=)",
		"failed":    "see whether the token's own tool can sign with it",
	}[code], CodeInput
	if do == "" {
		do = "use the cordon-pkcs11 of this release"
	}
	if code == "failed" || code == "request" {
		exit = CodeFailure
	}
	return &Fault{Code: exit, What: text, Do: do, Err: ErrToken}
}

// unsigned is the fault of a signature that was not made: the token's own words, where it has any.
func unsigned(err error, format string, a ...any) error {
	if f, ok := errors.AsType[*Fault](err); ok {
		return &Fault{Code: f.Code, What: fmt.Sprintf(format, a...) + ": " + f.What, Do: f.Do, Err: f}
	}
	return fault(CodeFailure, err, "", format, a...)
}

// parseTokenURI reads a PKCS#11 URI (RFC 7512) as far as it can name one key: path attributes token, serial, object, id and type, query
// attributes module-path and pin-source with a file. A PIN in the URI is refused: it would lie on the disk beside what it protects.
func parseTokenURI(uri string) (r tokenRequest, pinFile string, err error) {
	rest, ok := strings.CutPrefix(uri, "pkcs11:")
	if !ok || len(uri) > 2048 {
		return r, "", errors.New("it does not begin with pkcs11:")
	}
	path, query, _ := strings.Cut(rest, "?")
	seen := map[string]bool{}
	for i, part := range append(strings.Split(path, ";"), strings.FieldsFunc(query, func(c rune) bool { return c == '&' })...) {
		name, value, ok := strings.Cut(part, "=")
		if !ok || seen[name] {
			return r, "", fmt.Errorf("attribute %q has no value or is there twice", printable(name))
		}
		seen[name] = true
		text, err := url.PathUnescape(value)
		if err != nil || text == "" || name != "id" && printable(text) != text {
			return r, "", fmt.Errorf("attribute %s cannot be read", printable(name))
		}
		inPath := i < strings.Count(path, ";")+1
		switch {
		case inPath && name == "token":
			r.Token = text
		case inPath && name == "serial":
			r.Serial = text
		case inPath && name == "object":
			r.Object = text
		case inPath && name == "id":
			r.ID = []byte(text)
		case inPath && name == "type":
			if text != "private" && text != "public" {
				return r, "", fmt.Errorf("type %q is no key", text)
			}
		case !inPath && name == "module-path":
			r.Module = text
		case !inPath && name == "pin-source":
			if pinFile, ok = strings.CutPrefix(text, "file:"); !ok || !filepath.IsAbs(pinFile) {
				return r, "", errors.New("pin-source is not file:/PATH")
			}
		case name == "pin-value":
			return r, "", errors.New("it holds the PIN itself (pin-value): that would lie on the disk; use pin-source=file:/PATH")
		default:
			return r, "", fmt.Errorf("attribute %q is not one of token, serial, object, id, type, and module-path, pin-source behind the question mark", printable(name))
		}
	}
	switch {
	case r.Token == "" && r.Serial == "":
		return r, "", errors.New("it names no token (token= or serial=)")
	case r.Object == "" && len(r.ID) == 0:
		return r, "", errors.New("it names no key (object= or id=)")
	case !filepath.IsAbs(r.Module):
		return r, "", errors.New("it names no library (?module-path=/PATH)")
	}
	return r, pinFile, nil
}
