package terminal

import (
	"bytes"
	"encoding/json"
	"testing"
)

func TestNothingSteersATerminal(t *testing.T) {
	for _, x := range []struct{ name, in, want string }{
		{"plain", "PASS  log\t15 leaves\n", "PASS  log\t15 leaves\n"},
		{"other scripts", "Ελληνικά 日本語 العربية é\n", "Ελληνικά 日本語 العربية é\n"},
		{"clears the screen", "a\x1b[2Jb", `a\u001b[2Jb`},
		{"sets the title", "\x1b]0;root\x07", `\u001b]0;root\u0007`},
		{"one byte CSI as UTF-8", "\u009b2J", `\u009b2J`},
		{"one byte CSI alone", "\x9b2J", "\uFFFD2J"},
		{"goes back over a line", "FAIL\rPASS", `FAIL\u000dPASS`},
		{"deletes", "FAIL\b\b\b\b\x7f", `FAIL\u0008\u0008\u0008\u0008\u007f`},
		{"turns letters", "a\u202eb", `a\u202eb`},
		{"hides letters beyond 16 bits", "a\U000e0041", `a\udb40\udc41`},
		{"no rune", "\xff\xfe", "\uFFFD\uFFFD"},
	} {
		var b bytes.Buffer
		if n, err := Safe(&b).Write([]byte(x.in)); err != nil || n != len(x.in) || b.String() != x.want {
			t.Errorf("%s: %d, %v, %q, want %q", x.name, n, err, b.String(), x.want)
		}
	}
}

// What is made visible in JSON means the same as before.
func TestJSONStaysTheSame(t *testing.T) {
	in := "x\x1b\u009b\u202e\U000e0041\x7fé\n"
	var b bytes.Buffer
	if err := json.NewEncoder(Safe(&b)).Encode(in); err != nil {
		t.Fatal(err)
	}
	if bytes.ContainsAny(b.Bytes(), "\x1b\x7f\u009b\u202e\U000e0041") {
		t.Errorf("%q steers a terminal", b.String())
	}
	var out string
	if err := json.Unmarshal(b.Bytes(), &out); err != nil || out != in {
		t.Errorf("%v, %q, want %q", err, out, in)
	}
}
