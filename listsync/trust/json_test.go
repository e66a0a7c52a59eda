package trust_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/cordon-project/cordon/listsync/trust"
)

// What the two readers take. Everything encoding/json would read in a second way, or not notice, is refused.
func TestStrictJSONReadsOneWayOnly(t *testing.T) {
	deep := func(n int) string { return `{"a":` + strings.Repeat("[", n) + strings.Repeat("]", n) + `}` }
	tests := []struct {
		name, doc         string
		canonical, strict bool
	}{
		{"empty object", `{}`, true, true},
		{"all kinds", `{"a":[1,0,true,false,"x",{}],"b":{"c":[]}}`, true, true},
		{"keys out of order", `{"b":1,"a":2}`, false, true},
		{"duplicate key", `{"a":1,"a":1}`, false, false},
		{"duplicate key behind an escape", `{"a":1,"\u0061":1}`, false, false},
		{"keys that differ in case", `{"A":1,"a":1}`, true, true},
		{"white space", "{ \"a\" :\t1 ,\r\n\"b\":[ 1 ] }\n", false, true},
		{"escaped letter", `{"a":"\u0062"}`, false, true},
		{"escaped slash", `{"a":"\/"}`, false, true},
		{"escaped quote", `{"a":"\""}`, false, true},
		{"letters beyond ASCII", `{"a":"é"}`, false, true},
		{"angle bracket that Go escapes", `{"a":"<"}`, false, true},
		{"ampersand that Go escapes", `{"a":"&"}`, false, true},
		{"delete character", "{\"a\":\"\x7f\"}", false, false},
		{"null", `{"a":null}`, false, false},
		{"fraction", `{"a":1.0}`, false, false},
		{"exponent", `{"a":1e2}`, false, false},
		{"negative number", `{"a":-1}`, false, false},
		{"negative zero", `{"a":-0}`, false, false},
		{"leading zero", `{"a":01}`, false, false},
		{"largest whole number", `{"a":9007199254740991}`, true, true},
		{"number above it", `{"a":9007199254740992}`, false, false},
		{"number of twenty digits", `{"a":99999999999999999999}`, false, false},
		{"trailing data", `{}{}`, false, false},
		{"trailing newline", "{}\n", false, true},
		{"trailing comma", `{"a":1,}`, false, false},
		{"no value", `{"a":}`, false, false},
		{"no colon", `{"a" 1}`, false, false},
		{"array at the top", `[]`, false, false},
		{"string at the top", `"a"`, false, false},
		{"number at the top", `1`, false, false},
		{"nothing", ``, false, false},
		{"only white space", ` `, false, false},
		{"byte order mark", "\xef\xbb\xbf{}", false, false},
		{"comment", `{}//`, false, false},
		{"line break in a string", "{\"a\":\"\n\"}", false, false},
		{"escaped line break in a string", `{"a":"\n"}`, false, false},
		{"lone surrogate", `{"a":"\ud800"}`, false, false},
		{"replacement character", "{\"a\":\"\ufffd\"}", false, false},
		{"broken UTF-8", "{\"a\":\"\xff\"}", false, false},
		{"bad escape", `{"a":"\q"}`, false, false},
		{"open string", `{"a":"x`, false, false},
		{"open string after an escape", `{"a":"\`, false, false},
		{"open object", `{"a":1`, false, false},
		{"open array", `{"a":[1`, false, false},
		{"word in capitals", `{"a":True}`, false, false},
		{"half a word", `{"a":tru}`, false, false},
		{"as deep as may be", deep(12), true, true},
		{"deeper", deep(13), false, false},
		{"very deep", deep(30_000), false, false},
		{"too many values", `{"a":[` + strings.Repeat("1,", trust.MaxNodes) + `1]}`, false, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			for _, reader := range []struct {
				name string
				read func([]byte) error
				want bool
			}{{"canonical", trust.ParseCanonical, test.canonical}, {"strict", trust.ParseStrict, test.strict}} {
				err := reader.read([]byte(test.doc))
				if (err == nil) != reader.want {
					t.Errorf("%s: got %v, want taken %t", reader.name, err, reader.want)
				}
				if err != nil && !errors.Is(err, trust.ErrFormat) {
					t.Errorf("%s: got %v, want %v", reader.name, err, trust.ErrFormat)
				}
			}
		})
	}
}

// The oracle: what is canonical to us is exactly what encoding/json writes for the tree it reads.
func FuzzCanonicalJSON(f *testing.F) {
	for _, s := range []string{`{}`, `{"a":[1,true,"x",{}],"b":0}`, `{"a":1,"a":2}`, `{"a":"\u0061"}`, `{"b":1,"a":1}`, `{"a":1e1}`, `{"a":null}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 1<<16 {
			return
		}
		canonical, strict := trust.ParseCanonical(b), trust.ParseStrict(b)
		if canonical != nil {
			return
		}
		if strict != nil {
			t.Fatalf("canonical but not strict: %v", strict)
		}
		var tree any
		d := json.NewDecoder(bytes.NewReader(b))
		d.UseNumber()
		if err := d.Decode(&tree); err != nil {
			t.Fatalf("encoding/json: %v", err)
		}
		again, err := json.Marshal(tree)
		if err != nil || !bytes.Equal(again, b) {
			t.Fatalf("got %q, %v, want %q", again, err, b)
		}
	})
}
