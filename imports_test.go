package cordon_test

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"path"
	"strings"
	"testing"
)

const module = "github.com/cordon-project/cordon"

// layer says what a package may import of this module: folders, each with everything below it.
// ARCHITECTURE.md draws the same picture.
var layers = []struct {
	under string   // packages in this folder
	only  []string // may import these folders of the module (and their own folder); with /. behind it a folder is its own package alone
}{
	{"resolver/canon", nil},
	{"resolver/match", []string{"resolver/canon", "resolver/prefetch"}},
	{"resolver/prefetch", nil},
	{"resolver", []string{"resolver"}},
	{"listsync/publiclog", []string{"listsync/trust", "listsync/witness", "resolver/match"}},
	{"listsync/witness", nil},
	{"listsync", []string{"listsync", "resolver/canon", "resolver/match"}},
	{"cluster/audit", []string{"cluster/audit", "listsync/list", "listsync/publiclog", "listsync/trust", "listsync/witness", "resolver/canon", "resolver/match", "resolver/wire"}},
	{"cluster", []string{"cluster", "listsync/brake", "listsync/list", "listsync/publiclog", "listsync/trust", "listsync/fetch", "listsync/witness", "resolver/canon", "resolver/match"}},
	{"appliance/stoppage", []string{"resolver/limit"}},
	{"appliance/config", []string{"resolver/match", "resolver/canon", "resolver/dns64", "resolver/guard", "listsync/brake", "listsync/trust", "listsync/witness"}},
	{"appliance/metrics", []string{"resolver"}},
	{"appliance/identity", []string{"appliance/config", "cluster", "listsync/trust", "resolver/canon", "resolver/match"}},
	{"appliance/api", []string{"cluster", "listsync", "resolver/limit", "resolver/match"}},
	{"appliance/analysts", []string{"cluster/audit/order"}},
	{"appliance/control", []string{"appliance/.", "appliance/api", "appliance/config", "appliance/identity", "cluster", "listsync", "resolver/match"}},
	{"appliance/edge", []string{"appliance/.", "appliance/analysts", "appliance/api", "appliance/config", "appliance/identity", "appliance/metrics", "appliance/stoppage", "cluster/audit", "listsync", "resolver"}},
	{"appliance/operator/report", []string{"appliance/api", "appliance/operator/.", "cluster", "listsync", "resolver/match"}},
	{"appliance/operator", []string{"appliance/.", "appliance/analysts", "appliance/api", "appliance/identity", "cluster", "listsync", "resolver/match"}},
	{"appliance/dev", []string{"appliance", "listsync/publish", "resolver/upstream/devupstream"}},
	{"appliance/.", []string{"appliance/api", "appliance/config", "cluster/audit", "resolver/canon", "resolver/match"}},
	{"appliance", []string{"appliance", "cluster", "listsync", "resolver"}},
	{"bench", []string{"bench", "resolver/upstream/devupstream", "listsync", "resolver/canon", "resolver/match"}},
	{"cmd/cordon-bench", []string{"bench"}},
	{"cmd/progress", nil},
	{"cmd/terminal", nil},
	// receipts of operators are read with the auditor's verifier
	{"cmd/cordon-hotline", []string{"cmd/progress", "cmd/terminal", "listsync", "resolver/canon", "resolver/limit", "resolver/match", "cluster/audit"}},
	{"cmd/cordon-audit", []string{"cluster/audit", "cmd/terminal", "listsync/list", "listsync/lookup", "listsync/oprf", "listsync/publiclog", "listsync/trust", "listsync/witness", "resolver/canon", "resolver/limit", "resolver/match", "resolver/probe", "resolver/wire"}},
	{"cmd/cordon", []string{"appliance", "cmd/terminal"}},
}

// reach limits what a package pulls in at all, directly or not: the auditor's tool must stay small enough to be read.
var reach = []struct {
	pkg  string
	only []string
}{
	{"cmd/cordon-audit", []string{"cmd/cordon-audit", "cmd/terminal", "cluster/audit", "listsync/list", "listsync/lookup", "listsync/oprf", "listsync/publiclog", "listsync/trust", "listsync/witness", "resolver/canon", "resolver/limit", "resolver/match", "resolver/prefetch", "resolver/probe", "resolver/wire"}},
	{"cmd/cordon-hotline", []string{"cmd/cordon-hotline", "cmd/progress", "cmd/terminal", "listsync", "resolver/canon", "resolver/limit", "resolver/match", "resolver/prefetch", "resolver/wire", "cluster/audit"}},
}

// homes are the only folders that may import a library: one room to look in when it changes.
var homes = []struct {
	library string
	in      []string
}{
	{"github.com/hashicorp/raft", []string{"cluster"}},
	{"go.etcd.io/bbolt", []string{"cluster/store"}},
	{"github.com/bits-and-blooms/bloom", []string{"resolver/match"}},
	{"github.com/dchest/siphash", []string{"resolver/match"}},
	{"github.com/miekg/dns", []string{"resolver", "appliance/rpz"}},
	{"github.com/quic-go/quic-go", []string{"resolver/serve", "bench/load"}},
	{"github.com/google/gopacket", []string{"appliance/tap"}},
	{"github.com/theupdateframework/go-tuf", []string{"listsync/trust", "listsync/publish"}},
	{"github.com/sigstore/sigstore", []string{"listsync/trust", "listsync/publish"}},
	{"filippo.io/age", []string{"listsync/trust", "listsync/publish", "appliance/identity", "cluster"}},
	{"filippo.io/edwards25519", []string{"appliance/identity"}},                     // signatures with a key that never leaves locked memory
	{"filippo.io/mldsa", []string{"appliance/identity", "cluster/audit/audittest"}}, // a second, quantum-safe half of nodes' keys; verifying is transparency-dev/formats'
	{"github.com/cloudflare/circl", []string{"listsync/oprf"}},
	{"github.com/google/go-tpm", []string{"appliance/identity/seal"}},
	{"golang.org/x/mod/sumdb/tlog", []string{"cluster/audit", "listsync/list", "listsync/publiclog", "listsync/publish/ledger", "listsync/witness"}},
	{"golang.org/x/mod/sumdb/note", []string{"cluster/audit", "listsync/brake", "listsync/publish/ledger", "listsync/witness"}}, // checkpoints; signed popularity files
	{"github.com/transparency-dev/formats", []string{"cluster/audit", "listsync/witness"}},
	{"github.com/transparency-dev/tessera", []string{"listsync/publish/ledger"}}, // the hotline's own log; never inside Raft: it is not deterministic
	{"k8s.io/klog", []string{"listsync/publish/ledger"}},                         // Tessera's, kept silent
	{"go.yaml.in/yaml", []string{"appliance/config"}},
	{"github.com/spf13/cobra", []string{"cmd"}},
	{"github.com/miekg/pkcs11", []string{"cmd/cordon-pkcs11"}}, // a module of its own: C code never gets into the static programs
	{"golang.org/x/net/idna", []string{"resolver/canon"}},
	{"golang.org/x/net/publicsuffix", []string{"resolver/canon"}},
	{"golang.org/x/net/dns", []string{"resolver/probe"}}, // a second codec: what probes edges must not be wrong where they are
	{"github.com/nlnwa/whatwg-url", nil},                 // the second opinion of resolver/canon's tests: no program has it
	{"github.com/prometheus/client_golang", []string{"appliance/metrics"}},
}

type pkg struct {
	ImportPath string
	Imports    []string
	Deps       []string
}

func packages(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports,Deps", "./...")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []pkg
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatalf("go list: %v", err)
		}
		all = append(all, p)
	}
}

// isTestHelper reports packages that only tests import (listtest, trusttest, clustertest ...).
func isTestHelper(importPath string) bool { return strings.HasSuffix(path.Base(importPath), "test") }

func within(p string, folders ...string) bool {
	for _, f := range folders {
		if own, alone := strings.CutSuffix(f, "/."); p == own || !alone && strings.HasPrefix(p, f+"/") {
			return true
		}
	}
	return false
}

func ours(p string) (string, bool) { return strings.CutPrefix(p, module+"/") }

func TestImportsRunOneWay(t *testing.T) {
	for _, p := range packages(t) {
		from, _ := ours(p.ImportPath)
		if isTestHelper(p.ImportPath) {
			continue
		}
		for _, l := range layers {
			if !within(from, l.under) {
				continue
			}
			for _, imp := range p.Imports {
				to, ok := ours(imp)
				if !ok {
					continue
				}
				if isTestHelper(imp) {
					t.Errorf("%s imports the test helper %s", from, to)
				} else if !within(to, append(l.only, l.under)...) {
					t.Errorf("%s imports %s: packages in %s may only import %s", from, to, l.under, strings.Join(append(l.only, l.under), ", "))
				}
			}
			break // the first, most exact layer decides
		}
	}
}

func TestSmallToolsStaySmall(t *testing.T) {
	for _, p := range packages(t) {
		from, _ := ours(p.ImportPath)
		for _, r := range reach {
			if from != r.pkg {
				continue
			}
			for _, dep := range p.Deps {
				if to, ok := ours(dep); ok && !within(to, r.only...) {
					t.Errorf("%s reaches %s: it may only reach %s", from, to, strings.Join(r.only, ", "))
				}
			}
		}
	}
}

func TestEachLibraryHasOneHome(t *testing.T) {
	for _, p := range packages(t) {
		from, _ := ours(p.ImportPath)
		for _, h := range homes {
			for _, imp := range p.Imports {
				if within(imp, h.library) || strings.HasPrefix(imp, h.library) {
					if !within(from, h.in...) {
						t.Errorf("%s imports %s: its home is %s", from, imp, strings.Join(h.in, ", "))
					}
				}
			}
		}
	}
}
