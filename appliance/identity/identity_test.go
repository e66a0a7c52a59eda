package identity

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"github.com/cordon-project/cordon/listsync/trust/trusttest"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cordon-project/cordon/appliance/config"
	"github.com/cordon-project/cordon/appliance/stoppage"
	"github.com/cordon-project/cordon/cluster/audit"
)

func place(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

func stop() config.Stop {
	return config.Stop{
		Law:         config.StopAddress{IPv4: netip.MustParseAddr("127.0.0.80")},
		Voluntary:   config.StopAddress{IPv4: netip.MustParseAddr("127.0.0.81")},
		Implementer: "https://isp.example/blocking", Contact: "mailto:blocking@isp.example",
	}
}

func plan() Plan {
	return Plan{
		Name: "isp.example", Created: time.Now(),
		Controls: []Node{
			{"control-1", place("127.0.0.1:7401"), place("127.0.0.1:7501")},
			{"control-2", place("127.0.0.1:7402"), place("127.0.0.1:7502")},
			{"control-3", place("127.0.0.1:7403"), place("[::1]:7503")},
		},
		Edges: []EdgeNode{{Name: "edge-1", DNS: []netip.AddrPort{place("127.0.0.53:5300")}, Upstreams: []netip.AddrPort{place("127.0.0.1:5353")}, Stop: stop()}},
		Hotlines: []Hotline{{ID: "alpha", RootJSON: trusttest.New("identity", "alpha", trusttest.Now).Pinned, URL: "https://hotline.example/repository",
			Mirrors: []string{"file:///srv/mirror"}}},
	}
}

// made is the result of Init in a new folder.
func made(t *testing.T, p Plan) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "operator")
	if err := Init(dir, p); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestEachNodesFolderIsCompleteInItself(t *testing.T) {
	dir := made(t, plan())
	away := t.TempDir() // another machine
	for _, name := range []string{"control-1", "control-2", "control-3", "edge-1"} {
		if err := os.CopyFS(filepath.Join(away, name), os.DirFS(filepath.Join(dir, name))); err != nil {
			t.Fatal(err)
		}
	}
	want, err := LoadCluster(filepath.Join(dir, ClusterFile))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"control-1", "control-2", "control-3"} {
		c, err := config.LoadControl(filepath.Join(away, name, ControlFile))
		if err != nil {
			t.Fatal(err)
		}
		opened(t, want, name, c.Cluster, c.Key, c.CA, c.Certificate, c.CertificateKey)
		chmod(t, c.ClusterKey)
		if k, err := LoadAge(c.ClusterKey); err != nil || k.Recipient != want.Recipient || k.Development {
			t.Errorf("%s: cluster key %v, %v; want the one of %s", name, k, err, want.Recipient)
		}
		if len(c.Members) != 3 || c.Hotlines[0].ID != "alpha" || c.Hotlines[0].Mirrors[0] != "file:///srv/mirror" || !slices.Contains(c.NeverBlock, "isp.example") {
			t.Errorf("%s: %+v", name, c)
		}
	}
	c1, err := config.LoadControl(filepath.Join(away, "control-1", ControlFile))
	if err != nil {
		t.Fatal(err)
	}
	e, err := config.LoadEdge(filepath.Join(away, "edge-1", EdgeFile))
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(e.NeverBlock, c1.NeverBlock) || len(e.NeverBlock) < 2 || e.NeverBlock[0] != "isp.example" {
		t.Errorf("names that no list may stop: edge %v, control %v", e.NeverBlock, c1.NeverBlock)
	}
	opened(t, want, "edge-1", e.Cluster, e.Key, e.CA, e.Certificate, e.CertificateKey)
	chmod(t, e.Identity)
	if k, err := LoadAge(e.Identity); err != nil || k.Recipient != want.Edges[0].Recipient {
		t.Errorf("edge identity: %v; want the one of %s", err, want.Edges[0].Recipient)
	}
	if want := []string{"https://127.0.0.1:7501", "https://127.0.0.1:7502", "https://[::1]:7503"}; !slices.Equal(e.Control, want) {
		t.Errorf("control: got %v, want %v", e.Control, want)
	}
}

// chmod gives a copied key the mode it had: os.CopyFS widens it.
func chmod(t *testing.T, paths ...string) {
	t.Helper()
	for _, p := range paths {
		if err := os.Chmod(p, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// opened checks what every node opens at start against the cluster file.
func opened(t *testing.T, want audit.Cluster, name, clusterFile, key, ca, cert, certKey string) {
	t.Helper()
	chmod(t, key, certKey)
	c, err := LoadCluster(clusterFile)
	if err != nil || c.ID() != want.ID() {
		t.Errorf("%s: cluster %s, %v; want %s", name, c.ID(), err, want.ID())
	}
	k, err := LoadSigningKey(key)
	if err != nil || k.Development {
		t.Fatalf("%s: key development %v, %v", name, k.Development, err)
	}
	public := k.Private.Public().(ed25519.PublicKey)
	named := slices.ContainsFunc(c.Members, func(m audit.MemberKey) bool { return m.Name == name && public.Equal(m.Key) }) ||
		slices.ContainsFunc(c.Edges, func(e audit.EdgeKey) bool { return e.Name == name && public.Equal(e.Key) })
	if !named {
		t.Errorf("%s: the cluster file does not hold its key", name)
	}
	if _, err := ServerTLS(ca, cert, certKey, c.ID()); err != nil {
		t.Errorf("%s: %v", name, err)
	}
}

func TestPublicFilesFitTheirReaders(t *testing.T) {
	dir := made(t, plan())
	c, err := LoadCluster(filepath.Join(dir, ClusterFile))
	if err != nil {
		t.Fatal(err)
	}
	if c.Name != "isp.example" || c.Origin != "isp.example/cordon" || c.Development || len(c.Members) != 3 || !bytes.Equal(c.Hotlines[0].Root, plan().Hotlines[0].RootJSON) {
		t.Errorf("cluster %s of %s, %d members", c.Name, c.Origin, len(c.Members))
	}
	text, err := os.ReadFile(filepath.Join(dir, TrustFile))
	if err != nil {
		t.Fatal(err)
	}
	trusted, err := audit.ParseTrustFile(text)
	if err != nil || trusted.Cluster.ID() != c.ID() || trusted.Need != 2 {
		t.Errorf("trust file: need %d, %v", trusted.Need, err)
	}
	if roots, err := trusted.Roots(); err != nil || roots == nil {
		t.Errorf("trust file's authority: %v", err)
	}
	text, err = os.ReadFile(filepath.Join(dir, HotlineFile))
	if err != nil {
		t.Fatal(err)
	}
	var pub map[string]string
	if err := json.Unmarshal(text, &pub); err != nil || len(pub) != 3 || pub["cluster"] != c.ID() || pub["name"] != "isp.example" || pub["recipient"] != c.Recipient {
		t.Errorf("%s: %v, %v", HotlineFile, pub, err)
	}
}

func TestOnlyPublicFilesCanBeReadByOthers(t *testing.T) {
	dir := made(t, plan())
	secret := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		text, _ := os.ReadFile(path)
		private := bytes.Contains(text, []byte("PRIVATE KEY")) || bytes.Contains(text, []byte("AGE-SECRET-KEY"))
		if private {
			secret++
		}
		if want := fs.FileMode(0o600); private && info.Mode().Perm() != want {
			t.Errorf("%s has mode %v, want %v", path, info.Mode().Perm(), want)
		}
		if d.IsDir() && info.Mode().Perm() != 0o700 {
			t.Errorf("%s has mode %v, want 0700", path, info.Mode().Perm())
		}
		return nil
	})
	if want := 2 + 3*3 + 3; err != nil || secret != want {
		t.Errorf("%d key files, want %d; %v", secret, want, err)
	}
}

func TestAFolderInUseIsLeftAsItIs(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "letter.txt")
	if err := os.WriteFile(file, []byte("dear"), 0o600); err != nil {
		t.Fatal(err)
	}
	err := Init(dir, plan())
	if !errors.Is(err, ErrExists) || strings.Count(err.Error(), "\n") != 0 {
		t.Errorf("got %v, want ErrExists in one line", err)
	}
	if left, _ := os.ReadDir(dir); len(left) != 1 {
		t.Errorf("left %v", left)
	}
}

func TestAnEmptyFolderIsTaken(t *testing.T) {
	dir := t.TempDir()
	if err := Init(dir, plan()); err != nil {
		t.Fatal(err)
	}
	if err := Init(dir, plan()); !errors.Is(err, ErrExists) {
		t.Errorf("a second time: got %v, want ErrExists", err)
	}
}

func TestAPlanThatDoesNotHoldLeavesNothingBehind(t *testing.T) {
	tests := []struct {
		name string
		edit func(*Plan)
		want string
	}{
		{"no time", func(p *Plan) { p.Created = time.Time{} }, "time of making"},
		{"a cluster that is no DNS name", func(p *Plan) { p.Name = "My ISP" }, "name the cluster like isp.example"},
		{"an origin that is none", func(p *Plan) { p.Origin = "x" }, "origin"},
		{"no control node", func(p *Plan) { p.Controls = nil }, "0 members"},
		{"a node named like another folder", func(p *Plan) { p.Controls[0].Name = "ca" }, "another folder"},
		{"a node that climbs", func(p *Plan) { p.Edges[0].Name = "../edge" }, "cannot name a node"},
		{"two nodes of one name", func(p *Plan) { p.Edges[0].Name = "control-1" }, "two nodes"},
		{"one address twice", func(p *Plan) { p.Controls[1].API = p.Controls[0].API }, "used twice"},
		{"no hotline", func(p *Plan) { p.Hotlines = nil }, "hotlines is empty"},
		{"a hotline without a root", func(p *Plan) { p.Hotlines[0].RootJSON = nil }, "is not a root.json"},
		{"a hotline with another file for its root", func(p *Plan) { p.Hotlines[0].RootJSON = []byte(`{"signed":{}}`) }, "is not a root.json"},
		{"a hotline at no place", func(p *Plan) { p.Hotlines[0].URL = "hotline" }, "hotlines.url"},
		{"no stop address", func(p *Plan) { p.Edges[0].Stop.Law = config.StopAddress{} }, "stop.law"},
		{"no upstream", func(p *Plan) { p.Edges[0].Upstreams = nil }, "upstreams"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := plan()
			tt.edit(&p)
			parent := t.TempDir()
			err := Init(filepath.Join(parent, "operator"), p)
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), ".cordon-identity") {
				t.Errorf("got %v, want an error with %q", err, tt.want)
			}
			if left, _ := os.ReadDir(parent); len(left) != 0 {
				t.Errorf("left %v", left)
			}
		})
	}
}

func TestALaterEdgeGetsItsFolderAndEnrolment(t *testing.T) {
	dir := made(t, plan())
	before, err := LoadCluster(filepath.Join(dir, ClusterFile))
	if err != nil {
		t.Fatal(err)
	}
	e := plan().Edges[0]
	e.Name = "edge-2"
	got, err := AddEdge(dir, e)
	if err != nil {
		t.Fatal(err)
	}
	saved, err := LoadEnrolment(filepath.Join(dir, "edge-2", EnrolmentFile))
	if err != nil || saved.Name != got.Name || !saved.Key.Equal(got.Key) || saved.Recipient != got.Recipient {
		t.Errorf("edge.pub %+v, %v; want %+v", saved, err, got)
	}
	c, err := config.LoadEdge(filepath.Join(dir, "edge-2", EdgeFile))
	if err != nil {
		t.Fatal(err)
	}
	if k, err := LoadSigningKey(c.Key); err != nil || !got.Key.Equal(k.Private.Public()) {
		t.Errorf("signing key is not the enrolled one: %v", err)
	}
	if k, err := LoadAge(c.Identity); err != nil || k.Recipient != got.Recipient {
		t.Errorf("age identity is not the enrolled one: %v", err)
	}
	if tls, err := ClientTLS(c.CA, c.Certificate, c.CertificateKey, before.ID()); err != nil {
		t.Error(err)
	} else if p, err := ParsePeer(tls.Certificates[0].Leaf); err != nil || p != (Peer{before.ID(), RoleEdge, "edge-2"}) {
		t.Errorf("certificate names %+v, %v", p, err)
	}
	after, err := LoadCluster(filepath.Join(dir, ClusterFile))
	if err != nil || after.ID() != before.ID() {
		t.Errorf("the cluster's id changed from %s to %s, %v", before.ID(), after.ID(), err)
	}
	for _, name := range []string{"edge-1", "edge-2", "control-1"} {
		e.Name = name
		if _, err := AddEdge(dir, e); !errors.Is(err, ErrExists) {
			t.Errorf("again %s: got %v, want ErrExists", name, err)
		}
	}
	e.Name = "operator"
	if _, err := AddEdge(dir, e); err == nil {
		t.Error("an edge named operator was made")
	}
}

func TestAnotherClustersAuthorityAddsNoEdge(t *testing.T) {
	dir, other := made(t, plan()), made(t, plan())
	for _, f := range []string{AuthorityFile, authorityKey} {
		text, err := os.ReadFile(filepath.Join(other, "ca", f))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "ca", f), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	e := plan().Edges[0]
	e.Name = "edge-2"
	if _, err := AddEdge(dir, e); err == nil || !strings.Contains(err.Error(), "another cluster") {
		t.Errorf("got %v", err)
	}
}

func TestDevelopmentIsMarkedEverywhere(t *testing.T) {
	p := plan()
	p.Development = true
	dir := made(t, p)
	c, err := LoadCluster(filepath.Join(dir, ClusterFile))
	if err != nil || !c.Development {
		t.Errorf("cluster file: development %v, %v", c.Development, err)
	}
	for _, f := range []string{"control-1/node.key", "edge-1/node.key"} {
		if k, err := LoadSigningKey(filepath.Join(dir, f)); err != nil || !k.Development {
			t.Errorf("%s: development %v, %v", f, k.Development, err)
		}
	}
	for _, f := range []string{"control-1/cluster.agekey", "edge-1/edge.agekey"} {
		if k, err := LoadAge(filepath.Join(dir, f)); err != nil || !k.Development {
			t.Errorf("%s: development %v, %v", f, k.Development, err)
		}
	}
	e := plan().Edges[0]
	e.Name = "edge-2"
	if _, err := AddEdge(dir, e); err != nil {
		t.Fatal(err)
	}
	if k, err := LoadSigningKey(filepath.Join(dir, "edge-2/node.key")); err != nil || !k.Development {
		t.Errorf("a later edge: development %v, %v", k.Development, err)
	}
}

// TestTheFilesLanguagesAreThePages holds config's list of languages equal to the stop page's.
func TestTheFilesLanguagesAreThePages(t *testing.T) {
	p := plan()
	p.Edges[0].Stop.Languages = stoppage.Languages()
	e, err := config.LoadEdge(filepath.Join(made(t, p), "edge-1", EdgeFile))
	if err != nil || !slices.Equal(e.Stop.Languages, stoppage.Languages()) {
		t.Errorf("got %v, %v", e, err)
	}
}

func TestAnAuditorsCertificateIsOfItsRoleAndForAYear(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "operator")
	p := plan()
	if err := Init(dir, p); err != nil {
		t.Fatal(err)
	}
	home, err := AddAuditor(dir, "review")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(home, "auditor.crt"))
	if err != nil {
		t.Fatal(err)
	}
	cert, err := oneCertificate(text)
	if err != nil {
		t.Fatal(err)
	}
	who, err := ParsePeer(cert)
	if left := time.Until(cert.NotAfter); err != nil || who.Role != RoleAuditor || who.Name != "review" || left > auditorLife || left < auditorLife-time.Hour {
		t.Errorf("got %+v for %v, %v", who, left, err)
	}
	if _, err := AddAuditor(dir, "review"); err == nil {
		t.Error("a second one of the same name")
	}
	if _, err := AddAuditor(dir, "../x"); err == nil {
		t.Error("a name with a way out")
	}
}
