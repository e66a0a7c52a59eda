package config

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func TestAWrittenControlFileLoadsToTheSameValue(t *testing.T) {
	want := exampleControl()
	path := folder(t, "control.yaml", want.YAML())
	got, err := LoadControl(path)
	if err != nil {
		t.Fatalf("%v\n%s", err, want.YAML())
	}
	resolved(filepath.Dir(path), &want.Dir, &want.Cluster, &want.Key, &want.Certificate, &want.CertificateKey, &want.CA, &want.ClusterKey, &want.Popularity,
		&want.Witness.Policy, &want.Witness.CA, &want.Gossip[0].CA)
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestAWrittenEdgeFileLoadsToTheSameValue(t *testing.T) {
	want := exampleEdge()
	path := folder(t, "edge.yaml", want.YAML())
	got, err := LoadEdge(path)
	if err != nil {
		t.Fatalf("%v\n%s", err, want.YAML())
	}
	resolved(filepath.Dir(path), &want.Dir, &want.Cluster, &want.Key, &want.Certificate, &want.CertificateKey, &want.CA, &want.Identity, &want.Analysts,
		&want.Encrypted.Certificate, &want.Encrypted.CertificateKey, &want.UpstreamTLS.CA)
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if again := got.YAML(); len(again) == 0 {
		t.Error("a loaded file writes nothing")
	}
}

func TestARecursiveEdgeFileLoadsToTheSameValue(t *testing.T) {
	want := exampleEdge()
	want.Upstreams, want.Recursive, want.UpstreamTLS, want.ClientSubnets = nil, true, UpstreamTLS{}, nil
	want.Recursion = Recursion{Listen: place("127.0.0.1:5335"), Program: "/usr/sbin/unbound", TrustAnchor: "node.key", RootHints: "tls.crt", User: "resolver", Threads: 3, CacheMB: 99}
	path := folder(t, "edge.yaml", want.YAML())
	got, err := LoadEdge(path)
	if err != nil {
		t.Fatalf("%v\n%s", err, want.YAML())
	}
	resolved(filepath.Dir(path), &want.Recursion.TrustAnchor, &want.Recursion.RootHints)
	if got.Recursion != want.Recursion || !got.Recursive || got.Upstreams != nil {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	bare := exampleEdge()
	bare.UpstreamTLS, bare.ClientSubnets = UpstreamTLS{}, nil
	text := strings.Replace(string(bare.YAML()), "upstreams:\n  - 127.0.0.1:5353", "upstream: recursive", 1)
	got, err = LoadEdge(folder(t, "edge.yaml", []byte(text)))
	if want := (Recursion{Threads: 1, CacheMB: 32}); err != nil || got.Recursion != want {
		t.Errorf("without the section: %+v, %v", got, err)
	}
}

func TestMistakesAboutWitnessesAreNamed(t *testing.T) {
	c := exampleControl()
	c.Witness, c.Gossip = Witness{}, nil
	text := string(c.YAML()) + `witness:
  logs: [nokey]
  ca: others.pem
  polycy: policy
gossip:
  - url: http://192.0.2.99:7443
  - url: https://192.0.2.99:7443
  - url: https://192.0.2.99:7443
    ca: missing.pem
`
	_, err := LoadControl(folder(t, "control.yaml", []byte(text)))
	if err == nil {
		t.Fatal("accepted")
	}
	for _, part := range []string{`"nokey" is no verifier key name+hash+base64`, "witness.ca: it is for the servers of policy", "did you mean policy?",
		"write a URL like https://192.0.2.10:7443", "https://192.0.2.99:7443 is there twice", "missing.pem does not exist"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("nothing says %q:\n%v", part, err)
		}
	}
}

func TestEveryMistakeOfAFileIsReportedAtOnceWithItsLine(t *testing.T) {
	path := folder(t, "control.yaml", []byte(`name: Control_1
dir: data
cluster: nowhere.json
key: node.key
key: node.key
certificate: tls.crt
certificate_key: 7
ca:
raft_listen: control.example:7400
api_listen: 192.0.2.10
members:
  - name: control-1
    raft: 192.0.2.10:7400
    api: 192.0.2.10:7400
    weight: 2
hotlines: []
pol: 10s
poll: 30
never_block: ["isp.example/x", "a b", 192.0.2.1]
log_level: loud
accept_key_on_disk: yes
`))
	_, err := LoadControl(path)
	var problems Errors
	if !errors.As(err, &problems) {
		t.Fatalf("got %v, want Errors", err)
	}
	want := []struct {
		line int
		part string
	}{
		{1, "cluster_key is missing; add"},
		{1, "cannot name a node"},
		{3, "nowhere.json does not exist; cordon init"},
		{5, "key is given twice, first on line 4"},
		{7, "certificate_key: 7 is a number"},
		{8, "ca has no value"},
		{9, "raft_listen: \"control.example:7400\" is not an IP address with a port"},
		{10, "api_listen: \"192.0.2.10\" is not an IP address with a port"},
		{12, "192.0.2.10:7400 is used twice"},
		{15, "weight is not a key"},
		{16, "hotlines is empty"},
		{17, "pol is not a key of this file; did you mean poll?"},
		{18, "poll: 30 has no unit; write 30s"},
		{19, "192.0.2.1"}, {19, "isp.example/x"}, {19, "\"a b\""},
		{20, "log_level: loud is not a level"},
		{21, "accept_key_on_disk is not true"},
		{21, "accept_key_on_disk: yes is neither true nor false"},
	}
	for _, w := range want {
		if !slices.ContainsFunc(problems, func(p Problem) bool { return p.Line == w.line && strings.Contains(p.What, w.part) }) {
			t.Errorf("line %d: nothing says %q", w.line, w.part)
		}
	}
	if len(problems) != len(want) {
		t.Errorf("got %d problems, want %d:\n%v", len(problems), len(want), err)
	}
	if !slices.IsSortedFunc(problems, func(a, b Problem) int { return a.Line - b.Line }) {
		t.Errorf("not in the order of the file:\n%v", err)
	}
	for _, p := range problems {
		if p.File != path || !strings.Contains(p.What, ";") {
			t.Errorf("%s: names no file or no remedy", p)
		}
	}
	for range 20 {
		if _, again := LoadControl(path); again.Error() != err.Error() {
			t.Fatalf("two readings differ:\n%v\n%v", again, err)
		}
	}
}

// TestBrakesOfAControlFileAreRefused changes one line of a good file for each case.
func TestBrakesOfAControlFileAreRefused(t *testing.T) {
	for _, c := range []struct{ old, new, want string }{
		{"popularity: popular.names", "popularity: gone.names", "gone.names does not exist"},
		{"popularity: popular.names", "popularity: credential:popular", "only keys come as credentials or sealed to the TPM"},
		{"popularity_keys:", "# popularity_keys:", "the file counts only with a signature"},
		{popularityLine, "popularity.vkey", "it is not a key; copy the line"},
		{"max_broad: 10", "max_broad: 101", "from 1 to 100"},
		{"max_broad: 10", "max_brod: 10", "did you mean max_broad?"},
		{"min_change: 500", "min_change: 0", "from 1 to"},
	} {
		text := strings.Replace(string(exampleControl().YAML()), c.old, c.new, 1)
		if c.new == "# popularity_keys:" {
			text = strings.Replace(text, "  - "+popularityLine, "", 1)
		}
		if _, err := LoadControl(folder(t, "control.yaml", []byte(text))); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %s", c.new, err, c.want)
		}
	}
}

func TestKeysFromSystemdNeedNoAcceptance(t *testing.T) {
	credentials := t.TempDir()
	for _, f := range []string{"node", "tls", "list"} {
		if err := os.WriteFile(filepath.Join(credentials, f), nil, 0o400); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("CREDENTIALS_DIRECTORY", credentials)
	c := exampleControl()
	c.Key, c.CertificateKey, c.ClusterKey, c.AcceptKeyOnDisk = "credential:node", "credential:tls", "credential:list", false
	got, err := LoadControl(folder(t, "control.yaml", c.YAML()))
	if err != nil {
		t.Fatal(err)
	}
	if got.Key != "credential:node" || got.AcceptKeyOnDisk {
		t.Errorf("got key %q, accepted %v", got.Key, got.AcceptKeyOnDisk)
	}
	c.Key = "node.key"
	if _, err := LoadControl(folder(t, "control.yaml", c.YAML())); err == nil || !strings.Contains(err.Error(), "a stolen disk is a stolen key") {
		t.Errorf("one key on disk: got %v", err)
	}
}

func TestAControlNodeMustBeAmongItsMembers(t *testing.T) {
	c := exampleControl()
	c.Name = "control-9"
	if _, err := LoadControl(folder(t, "control.yaml", c.YAML())); err == nil || !strings.Contains(err.Error(), "control-9, the name of this node, is not among them") {
		t.Errorf("got %v", err)
	}
}

func TestAMissingFileSaysWhatWritesOne(t *testing.T) {
	path := filepath.Join(t.TempDir(), "edge.yaml")
	if _, err := LoadEdge(path); err == nil || !strings.Contains(err.Error(), path+": there is no such file; cordon init") {
		t.Errorf("got %v", err)
	}
}

func TestAnOversizedFileIsRefused(t *testing.T) {
	path := folder(t, "edge.yaml", []byte(strings.Repeat("#", MaxFile+1)))
	if _, err := LoadEdge(path); err == nil || !strings.Contains(err.Error(), "larger than") {
		t.Errorf("got %v", err)
	}
}

func TestAFileOfNothingButMistakesHasABoundedReport(t *testing.T) {
	path := folder(t, "edge.yaml", []byte(strings.Repeat("a:\n", 50000)))
	_, err := LoadEdge(path)
	var problems Errors
	if !errors.As(err, &problems) || len(problems) > maxProblems {
		t.Errorf("got %d problems", len(problems))
	}
}

// FuzzLoad: any bytes give a value or Errors, soon, without touching the disk; what loads loads again when written.
func FuzzLoad(f *testing.F) {
	f.Add(exampleControl().YAML())
	f.Add(exampleEdge().YAML())
	f.Add([]byte("a: &a [*a]\nb: {<<: *a}\n? [x]\n: y\n"))
	f.Add([]byte("name: \"\\u202e\"\nstop: {law: {ipv4: 192.0.2.1, listen: []}}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		load := func(data []byte) (*Control, *Edge, *file, *file) {
			nowhere := func(string, bool, string) string { return "" }
			fc := &file{name: "c", base: "/", disk: nowhere}
			fe := &file{name: "e", base: "/", disk: nowhere}
			return fc.control(data), fe.edge(data), fc, fe
		}
		c, e, fc, fe := load(data)
		if err := fc.report(); err == nil {
			again, _, f2, _ := load(c.YAML())
			if err := f2.report(); err != nil || !reflect.DeepEqual(c, again) {
				t.Errorf("written again: %v\ngot  %+v\nwant %+v", err, again, c)
			}
		} else if len(err.(Errors)) == 0 || len(err.(Errors)) > maxProblems {
			t.Errorf("%d problems", len(err.(Errors)))
		}
		if err := fe.report(); err == nil {
			_, again, _, f2 := load(e.YAML())
			if err := f2.report(); err != nil || !reflect.DeepEqual(e, again) {
				t.Errorf("written again: %v\ngot  %+v\nwant %+v", err, again, e)
			}
		}
	})
}
