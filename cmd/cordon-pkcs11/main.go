// Command cordon-pkcs11 signs with an officer's key that is in a PKCS#11 token: a smart card, a USB key, an HSM.
//
// It is a program of its own because a token's library is C code that has to be loaded: cordon-hotline stays static and never has that code
// in its memory. cordon-hotline starts it for one task, writes one JSON object to its standard input (Request), and reads one from its
// standard output (Answer). It reads no file, no environment, no argument and no network; the PIN comes in the request alone.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
)

// maxRequest bounds a request: list metadata to sign is far below it.
const maxRequest = 4 << 20

// Request is one task for a token.
type Request struct {
	V      int    `json:"v"`      // 1
	Do     string `json:"do"`     // public, sign, make
	Module string `json:"module"` // path of the token's library
	Token  string `json:"token,omitempty"`
	Serial string `json:"serial,omitempty"`
	Object string `json:"object,omitempty"` // label of the key
	ID     []byte `json:"id,omitempty"`     // id of the key
	PIN    string `json:"pin,omitempty"`
	Data   []byte `json:"data,omitempty"` // what to sign
}

// Answer is what came of it: one of the members.
type Answer struct {
	V         int     `json:"v"`
	Public    []byte  `json:"public,omitempty"` // Ed25519, 32 bytes
	Signature []byte  `json:"signature,omitempty"`
	Error     *Failed `json:"error,omitempty"`
}

// Failed says why not: a stable word and a sentence.
type Failed struct {
	Code string `json:"code"` // request module token key exists type pin locked ambiguous failed
	Text string `json:"text"`
}

func (f *Failed) Error() string { return f.Text }

func fail(code, format string, args ...any) error {
	return &Failed{Code: code, Text: fmt.Sprintf(format, args...)}
}

func main() {
	if len(os.Args) > 1 {
		fmt.Fprintln(os.Stderr, "cordon-pkcs11 takes no argument: cordon-hotline runs it for officers whose key is in a PKCS#11 token")
		os.Exit(2)
	}
	a := Answer{}
	if err := serve(os.Stdin, &a); err != nil {
		f, ok := errors.AsType[*Failed](err)
		if !ok {
			f = &Failed{Code: "failed", Text: err.Error()}
		}
		a = Answer{Error: f}
	}
	a.V = 1
	if err := json.NewEncoder(os.Stdout).Encode(a); err != nil || a.Error != nil {
		os.Exit(1)
	}
}

func serve(in io.Reader, a *Answer) error {
	r, err := readRequest(in)
	if err != nil {
		return err
	}
	t, err := open(r)
	if err != nil {
		return err
	}
	defer t.close()
	switch r.Do {
	case "public":
		a.Public, err = t.public()
	case "sign":
		a.Signature, err = t.sign(r.Data)
	case "make":
		a.Public, err = t.make()
	}
	return err
}

// readRequest reads one request strictly.
func readRequest(in io.Reader) (Request, error) {
	var r Request
	b, err := io.ReadAll(io.LimitReader(in, maxRequest+1))
	if err != nil {
		return r, fail("request", "cannot read the request: %v", err)
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&r); err != nil || len(b) > maxRequest || dec.More() {
		return r, fail("request", "the request is not one JSON object of at most %d bytes", maxRequest)
	}
	switch {
	case r.V != 1:
		return r, fail("request", "requests of version %d are unknown: cordon-hotline and cordon-pkcs11 are of different releases", r.V)
	case r.Do != "public" && r.Do != "sign" && r.Do != "make":
		return r, fail("request", "task %q is unknown", r.Do)
	case r.Module == "" || r.Token == "" && r.Serial == "" || r.Object == "" && len(r.ID) == 0:
		return r, fail("request", "library, token and key must be named")
	case r.Do == "sign" && len(r.Data) == 0:
		return r, fail("request", "there is nothing to sign")
	}
	return r, nil
}
