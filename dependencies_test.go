package cordon_test

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

var writeDependencies = flag.Bool("write-dependencies", false, "write cmd/cordon-audit/DEPENDENCIES.md anew")

// What an auditor's tool may link besides the standard library. Raise a bound only together with a reason in docs/decisions: each module is one
// more that an auditor has to trust or read.
const (
	maxAuditModules  = 28
	maxAuditPackages = 110
)

const dependenciesHead = `# What cordon-audit links

Every module and package from outside of this project and of Go's standard library that is in the program, in the version that ` + "`go.sum`" + ` pins. A test compares this
page with what the compiler would link (` + "`go test -run TestTheAuditorsDependenciesAreListed . -write-dependencies`" + ` writes it) and bounds their number.
`

// TestTheAuditorsDependenciesAreListed compares the page with what the compiler links.
func TestTheAuditorsDependenciesAreListed(t *testing.T) {
	cmd := exec.Command("go", "list", "-deps", "-json=ImportPath,Standard,Module", "./cmd/cordon-audit")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	modules := map[string][]string{}
	packages := 0
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p struct {
			ImportPath string
			Standard   bool
			Module     *struct {
				Path, Version string
				Main          bool
			}
		}
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("go list: %v", err)
		}
		if p.Standard || p.Module == nil || p.Module.Main {
			continue
		}
		name := p.Module.Path + " " + p.Module.Version
		modules[name] = append(modules[name], p.ImportPath)
		packages++
	}
	var b strings.Builder
	b.WriteString(dependenciesHead)
	fmt.Fprintf(&b, "\n%d modules, %d packages.\n", len(modules), packages)
	names := make([]string, 0, len(modules))
	for name := range modules {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		slices.Sort(modules[name])
		fmt.Fprintf(&b, "\n**%s**\n", name)
		for _, p := range modules[name] {
			fmt.Fprintf(&b, "- %s\n", p)
		}
	}
	const page = "cmd/cordon-audit/DEPENDENCIES.md"
	if *writeDependencies {
		if err := os.WriteFile(page, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(page)
	if err != nil || string(have) != b.String() {
		t.Errorf("%s (%v) is not what cordon-audit links; it has\n%s", page, err, &b)
	}
	if len(modules) > maxAuditModules || packages > maxAuditPackages {
		t.Errorf("cordon-audit links %d modules and %d packages from outside, at most %d and %d", len(modules), packages, maxAuditModules, maxAuditPackages)
	}
}
