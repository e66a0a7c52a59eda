package config

import (
	"bytes"
	"flag"
	"fmt"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write manual.go from the comments in config.go")

// TestTheFileCarriesTheManualOfTheFields holds the comments that Cordon writes into files equal to the comments of
// the fields, so that there is one manual.
func TestTheFileCarriesTheManualOfTheFields(t *testing.T) {
	parsed, err := parser.ParseFile(token.NewFileSet(), "config.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	want := "package config\n\n// Code generated from the field comments in config.go by go test -run Manual -update; DO NOT EDIT.\n"
	for _, name := range []string{"Control", "Edge", "Stop"} {
		want += fmt.Sprintf("\nvar %sManual = map[string]string{\n", strings.ToLower(name))
		ast.Inspect(parsed, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok || spec.Name.Name != name {
				return true
			}
			for _, field := range spec.Type.(*ast.StructType).Fields.List {
				keys, text, ok := strings.Cut(strings.TrimSpace(field.Doc.Text()), ": ")
				if !ok {
					t.Errorf("%s.%s: its comment does not begin with its key", name, field.Names[0])
				}
				first, _, several := strings.Cut(keys, ", ")
				if several {
					text = keys + ": " + text
				} else {
					text = strings.ToUpper(text[:1]) + text[1:]
				}
				want += fmt.Sprintf("%q: %q,\n", first, text)
			}
			return false
		})
		want += "}\n"
	}
	formatted, err := format.Source([]byte(want))
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile("manual.go", formatted, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile("manual.go")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, formatted) {
		t.Errorf("manual.go is not what config.go says; run: go test ./appliance/config -run Manual -update")
	}
}

func TestAWrittenFileExplainsEachOfItsKeys(t *testing.T) {
	for _, file := range []struct {
		name    string
		text    []byte
		manuals []map[string]string
	}{
		{"control", exampleControl().YAML(), []map[string]string{controlManual}},
		{"edge", exampleEdge().YAML(), []map[string]string{edgeManual, stopManual}},
	} {
		for _, manual := range file.manuals {
			for key, text := range manual {
				first, _, _ := strings.Cut(text, "\n")
				if !bytes.Contains(file.text, []byte("# "+first+"\n")) || !bytes.Contains(file.text, []byte(key+":")) {
					t.Errorf("%s: %s is not explained", file.name, key)
				}
			}
		}
	}
}
