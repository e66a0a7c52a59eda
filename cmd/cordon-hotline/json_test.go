package main

import (
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/cordon-project/cordon/listsync/publish"
)

// printed is what --json prints, by command.
var printed = map[string]any{
	"import": publish.Imported{}, "import, bad rows": publish.RowErrors{}, "remove": publish.Removed{}, "review": publish.Review{}, "reattest": publish.Reattested{},
	"holdback": publish.HeldBack{}, "check": publish.CheckReport{}, "diff": publish.Diff{}, "sign": publish.Signed{}, "publish": publish.Published{}, "refresh": publish.Refreshed{},
	"withdraw": publish.Withdrawn{}, "status": publish.Status{}, "operator": publish.Operator{}, "trace": publish.Traced{}, "trace --marks": publish.Marks{},
	"receipts": receipts{}, "canon": publish.CanonLine{},
}

// Programs read these names: one may be added, none may go or change. A name that goes must be taken out of testdata/json-names.txt by
// hand, with its reason in the release's notes.
func TestJSONNamesStay(t *testing.T) {
	var now []string
	for command, v := range printed {
		for _, name := range jsonNames(reflect.TypeOf(v), "", nil) {
			now = append(now, command+": "+name)
		}
	}
	slices.Sort(now)
	if os.Getenv("UPDATE") != "" {
		if err := os.WriteFile("testdata/json-names.txt", []byte(strings.Join(now, "\n")+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	b, err := os.ReadFile("testdata/json-names.txt")
	if err != nil {
		t.Fatal(err)
	}
	for name := range strings.SplitSeq(strings.TrimSpace(string(b)), "\n") {
		if _, found := slices.BinarySearch(now, name); !found {
			t.Errorf("--json has lost %s", name)
		}
	}
}

// jsonNames are the paths of all members of a type, such as entries[].id.
func jsonNames(t reflect.Type, at string, above []reflect.Type) (all []string) {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice || t.Kind() == reflect.Map {
		if t.Kind() != reflect.Pointer {
			at += "[]"
		}
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct || t.NumField() == 0 || slices.Contains(above, t) || t.PkgPath() == "time" {
		return nil
	}
	above = append(slices.Clone(above), t)
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case !f.IsExported(), name == "-":
			continue
		case f.Anonymous && name == "":
			all = append(all, jsonNames(f.Type, at, above)...)
			continue
		case name == "":
			name = f.Name
		}
		path := strings.TrimPrefix(at+"."+name, ".")
		all = append(append(all, path), jsonNames(f.Type, path, above)...)
	}
	return all
}
