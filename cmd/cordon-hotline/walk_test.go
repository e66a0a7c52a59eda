package main

import (
	"os"
	"regexp"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// manual runs what a section of docs/hotline.md ("### " and the words given) shows in its console blocks: every line after "$ " as a person
// types it, and wants the output that the manual has below. Times, days and ids count as equal; a line "..." stands for any lines.
func manual(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: manual 'HEADING'")
	}
	text, err := os.ReadFile("../../docs/hotline.md")
	ts.Check(err)
	_, section, ok := strings.Cut(string(text), "\n### "+args[0]+"\n")
	if !ok {
		ts.Fatalf("docs/hotline.md has no section %q", args[0])
	}
	section, _, _ = strings.Cut(section, "\n### ")
	section, _, _ = strings.Cut(section, "\n## ")
	steps := consoleSteps(section)
	if len(steps) == 0 {
		ts.Fatalf("section %q of docs/hotline.md shows no command", args[0])
	}
	for _, s := range steps {
		// A command of the story may fail; what it says is in the output. One that is not there says so too, and not what the manual has.
		_ = ts.Exec("sh", "-c", "exec 2>&1\n"+s.command)
		got := ts.ReadFile("stdout")
		if !sameOutput(s.output, got) {
			ts.Fatalf("$ %s\ngot\n%s\nthe manual, section %q, has\n%s", s.command, got, args[0], s.output)
		}
	}
}

type consoleStep struct{ command, output string }

// consoleSteps cuts console blocks into commands and what they print.
func consoleSteps(section string) (steps []consoleStep) {
	for {
		_, rest, ok := strings.Cut(section, "```console\n")
		if !ok {
			return steps
		}
		block, after, _ := strings.Cut(rest, "```")
		section = after
		for line := range strings.Lines(block) {
			n := len(steps)
			switch command, ok := strings.CutPrefix(line, "$ "); {
			case ok:
				steps = append(steps, consoleStep{command: command})
			case n > 0 && steps[n-1].output == "" && strings.HasSuffix(steps[n-1].command, "\\\n"):
				steps[n-1].command += line
			case n > 0:
				steps[n-1].output += line
			}
		}
	}
}

var changing = []struct {
	what *regexp.Regexp
	word string
}{
	{regexp.MustCompile(`\d{4}-\d\d-\d\d \d\d:\d\d(:\d\d)? UTC`), "TIME"},
	{regexp.MustCompile(`\d{4}-\d\d-\d\d`), "DAY"},
	{regexp.MustCompile(`\b[0-9a-f]{32}\b`), "ID"},
	{regexp.MustCompile(`\(\d+ (days|hours?)\)`), "(LEFT)"},
}

// sameOutput compares line by line what is shown with what was printed.
func sameOutput(shown, printed string) bool {
	lines := func(s string) []string {
		for _, c := range changing {
			s = c.what.ReplaceAllString(s, c.word)
		}
		return strings.Split(strings.TrimRight(s, "\n"), "\n")
	}
	want, got := lines(shown), lines(printed)
	for len(want) > 0 {
		if want[0] != "..." {
			if len(got) == 0 || got[0] != want[0] {
				return false
			}
			want, got = want[1:], got[1:]
			continue
		}
		if want = want[1:]; len(want) == 0 {
			return true
		}
		for len(got) > 0 && got[0] != want[0] {
			got = got[1:]
		}
	}
	return len(got) == 0
}
