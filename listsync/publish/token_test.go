package publish

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestTokenURIs(t *testing.T) {
	const lib = "?module-path=/usr/lib/x.so"
	for _, c := range []struct{ uri, says string }{
		{"pkcs11:token=a;object=b" + lib, ""},
		{"pkcs11:token=my%20token;object=b%3Bc;type=private" + lib, ""},
		{"pkcs11:serial=0123;id=%01%ff" + lib + "&pin-source=file:/run/pin", ""},
		{"", "does not begin"},
		{"pkcs11:", "no value"},
		{"pkcs11:token=a;object=b", "no library"},
		{"pkcs11:object=b" + lib, "no token"},
		{"pkcs11:token=a" + lib, "no key"},
		{"pkcs11:token=a;token=c;object=b" + lib, "twice"},
		{"pkcs11:token=a;object=b" + lib + "&pin-value=1234", "PIN itself"},
		{"pkcs11:token=a;object=b;pin-value=1234" + lib, "PIN itself"},
		{"pkcs11:token=a;object=b" + lib + "&pin-source=/run/pin", "file:"},
		{"pkcs11:token=a;object=b?module-path=x.so", "no library"},
		{"pkcs11:token=a;object=b?module-name=x", "not one of"},
		{"pkcs11:token=a;object=b;module-path=/usr/lib/x.so", "not one of"},
		{"pkcs11:token=a%;object=b" + lib, "cannot be read"},
		{"pkcs11:token=a%0a;object=b" + lib, "cannot be read"},
		{"pkcs11:token=a;object=b;type=cert" + lib, "no key"},
		{"pkcs11:token=a;object=" + strings.Repeat("b", 3000) + lib, "does not begin"},
	} {
		r, _, err := parseTokenURI(c.uri)
		if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%.80s: %+v, %v; want %q", c.uri, r, err, c.says)
		}
	}
	r, pin, err := parseTokenURI("pkcs11:token=my%20token;object=b%3Bc;id=%01%ff" + lib + "&pin-source=file:/run/pin")
	if err != nil || r.Token != "my token" || r.Object != "b;c" || string(r.ID) != "\x01\xff" || r.Module != "/usr/lib/x.so" || pin != "/run/pin" {
		t.Errorf("got %+v, PIN in %s, %v", r, pin, err)
	}
}

// A helper that somebody else wrote, or that has gone mad, costs a sentence.
func TestAHelperThatDoesNotAnswerAsItShould(t *testing.T) {
	w := newWorld(t)
	w.importRows("bad.test,domain")
	pin := w.path("pin")
	w.must(os.WriteFile(pin, []byte("1234\n"), 0o600))
	w.c.PINFile = pin
	helper := w.path("helper")
	dir := w.officers[0]
	w.must(writeJSON(filepath.Join(dir, "officer.key"), tokenKey{V: 1, PKCS11: "pkcs11:token=a;object=b?module-path=/x.so", Helper: helper}, 0o600))
	h, err := Open(w.c, w.path("hotline"))
	w.must(err)
	for _, c := range []struct {
		name, script string
		code         Code
		says         string
	}{
		{"silent", "true", CodeFailure, "has not answered as it should"},
		{"dead", "kill -9 $$", CodeFailure, "has not answered as it should"},
		{"endless", "exec yes", CodeFailure, "has not answered as it should"},
		{"of a later release", `echo '{"v":2,"signature":"AAAA"}'`, CodeFailure, "has not answered as it should"},
		{"a wrong signature", `echo '{"v":1,"signature":"AAAA"}'`, CodeVerify, "not of the key in officer.pub"},
		{"no signature", `echo '{"v":1}'`, CodeVerify, "not of the key in officer.pub"},
		{"a token that is gone", `echo '{"v":1,"error":{"code":"token","text":"no token \"a\" is plugged in"}}'`, CodeInput, "plug the token in"},
		{"it leaves somebody behind", `sleep 60 & echo '{"v":1,"error":{"code":"token","text":"no token is plugged in"}}'`, CodeInput, "plug the token in"},
		{"what it was not asked", `test $# = 0 && grep -q '"pin":"1234"' && echo '{"v":1,"error":{"code":"pin","text":"the PIN came by the one way"}}'`, CodeInput, "the one way"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w.must(os.WriteFile(helper, []byte("#!/bin/sh\n"+c.script+"\n"), 0o700))
			start := time.Now()
			_, err := h.Sign(dir)
			w.wantCode(err, c.code, c.says)
			if took := time.Since(start); took > 30*time.Second {
				t.Errorf("it took %v", took)
			}
		})
	}
	w.must(os.Chmod(helper, 0o722))
	_, err = h.Sign(dir)
	w.wantCode(err, CodeInput, "can be changed by other users")
	w.must(os.Chmod(helper, 0o700))
	w.must(os.Chmod(pin, 0o644))
	_, err = h.Sign(dir)
	w.wantCode(err, CodeInput, "can be read by other users")
	w.must(os.Remove(helper))
	_, err = h.Sign(dir)
	w.wantCode(err, CodeInput, "is not there")
	stat, err := w.h.Status()
	w.must(err)
	if stat.Staged == nil || len(stat.Staged.Have) != 0 {
		t.Errorf("staged %+v, want a version without a signature", stat.Staged)
	}
}
