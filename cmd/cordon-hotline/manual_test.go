package main

import (
	"os"
	"strings"
	"testing"
)

// What the manual says a line would match is what the command prints.
func TestTheManualShowsWhatCanonPrints(t *testing.T) {
	manual, err := os.ReadFile("../../docs/hotline.md")
	if err != nil {
		t.Fatal(err)
	}
	_, example, ok := strings.Cut(string(manual), "$ echo '")
	line, rest, _ := strings.Cut(example, "' | cordon-hotline canon --expressions | tr '\\t' '\\n'\n")
	want, _, closed := strings.Cut(rest, "```")
	if !ok || !closed {
		t.Fatal("docs/hotline.md shows no canon --expressions")
	}
	var out, errs strings.Builder
	if code := run([]string{"canon", "--expressions"}, strings.NewReader(line+"\n"), &out, &errs); code != 0 {
		t.Fatalf("exit %d: %s", code, errs.String())
	}
	if got := strings.ReplaceAll(out.String(), "\t", "\n"); got != want {
		t.Errorf("canon of %q\n got %q\nthe manual has %q", line, got, want)
	}
}
