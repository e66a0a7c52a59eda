package canon

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/publicsuffix"
)

var update = flag.Bool("update", false, "write suffixes.txt anew from the library's sources")

// The library's own test table is the only place where its names stand in the clear.
func TestSuffixesAreThoseOfTheLibrary(t *testing.T) {
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "golang.org/x/net").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	source, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(dir)), "publicsuffix", "table_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	_, rules, found := strings.Cut(string(source), "var rules = [...]string{")
	rules, _, closed := strings.Cut(rules, "\n}")
	if !found || !closed {
		t.Fatal("the library's table looks different now: read it another way")
	}
	wildcard := map[string]bool{}
	var names []string
	for line := range strings.Lines(rules) {
		rule := strings.Trim(line, "\t\",\n")
		name, wild := strings.CutPrefix(rule, "*.")
		if rule == "" || strings.HasPrefix(rule, "!") {
			continue
		}
		wildcard[name] = wildcard[name] || wild
		names = append(names, name)
	}
	slices.Sort(names)
	names = slices.Compact(names)
	text := "# " + pslRevision(publicsuffix.List.String()) + "\n" + strings.Join(names, "\n") + "\n"
	if *update {
		if err := os.WriteFile("suffixes.txt", []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		suffixes = text
	}
	if suffixes != text {
		t.Errorf("suffixes.txt is not of the library's list; write it anew: go test ./resolver/canon -run Suffixes -update")
	}
	if n := len(names); n < 9000 {
		t.Errorf("only %d names", n)
	}
	for name := range Suffixes() {
		if c, err := Host(name); err != nil || c != name {
			t.Errorf("%q is not canonical: %q, %v", name, c, err)
		}
		if child := "x." + name; !PublicSuffix(name) && !wildcard[name] || wildcard[name] && !PublicSuffix(child) {
			t.Errorf("%q is no suffix to the library", name)
		}
	}
}
