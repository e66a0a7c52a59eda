package trust

import (
	"strings"
	"testing"

	"github.com/cordon-project/cordon/resolver/match"
)

// A target name that is read is one that is written: no second spelling of a file exists.
func FuzzTargetName(f *testing.F) {
	for _, s := range []string{"csam/north/main.1.edge", "csam/north/main.12.audit", "csam/north/keys.main.3.00112233445566778899aabbccddeeff.age", "csam/north/../main.1.edge",
		"csam/north/main.01.edge", "csam/south/main.1.edge", "csam/north/main.1.edge.edge", "csam/north/keys.1.edge", "charter.json", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, path string) {
		n, err := parseTargetName("north", path)
		if err != nil {
			if Reason(err) != "path" {
				t.Errorf("%q: %v", path, err)
			}
			return
		}
		list := match.ListID("north/" + n.list)
		again := map[string]string{"edge": EdgePath(list, n.number), "audit": AuditPath(list, n.number)}[n.suffix]
		if n.suffix == "age" && n.number < 1<<32 {
			again = KeysPath(list, uint32(n.number), n.cluster)
		}
		if again != path && again != "" {
			t.Errorf("%q is written %q", path, again)
		}
		if _, err := match.ParseListID(string(list)); err != nil || strings.ContainsAny(path, "\\ %") || strings.Contains(path, "..") {
			t.Errorf("%q was read: %v", path, err)
		}
	})
}

func FuzzParseRecipient(f *testing.F) {
	for _, s := range []string{"age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p", "age1pq1", "AGE-SECRET-KEY-1", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, err := ParseRecipient(s)
		if (r == nil) != (err != nil) {
			t.Errorf("%q: %v, %v", s, r, err)
		}
	})
}
