package audit_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/audit/audittest"
)

func TestAClusterFileComesBackAsItWas(t *testing.T) {
	c := audittest.New("cluster").Desc
	back, err := audit.ParseCluster(c.Encode())
	if err != nil {
		t.Fatal(err)
	}
	if back.ID() != c.ID() || !bytes.Equal(back.Encode(), c.Encode()) {
		t.Error("another cluster")
	}
	c.Edges, c.Hotlines = nil, nil
	if back, err = audit.ParseCluster(c.Encode()); err != nil || back.ID() != c.ID() {
		t.Errorf("without edges: %v", err)
	}
}

func TestEveryFieldOfAClusterIsInItsID(t *testing.T) {
	seen := map[string]string{audittest.New("cluster").Desc.ID(): "unchanged"}
	for name, change := range map[string]func(*audit.Cluster){
		"name":        func(c *audit.Cluster) { c.Name = "other.example" },
		"origin":      func(c *audit.Cluster) { c.Origin = "isp.example/other" },
		"created":     func(c *audit.Cluster) { c.Created++ },
		"development": func(c *audit.Cluster) { c.Development = true },
		"recipient":   func(c *audit.Cluster) { c.Recipient = "age1xyz" },
		"member":      func(c *audit.Cluster) { c.Members[0].Name = "c9" },
		"member key":  func(c *audit.Cluster) { c.Members[0].Key[0] ^= 1 },
		"order":       func(c *audit.Cluster) { c.Members[0], c.Members[1] = c.Members[1], c.Members[0] },
		"edge key":    func(c *audit.Cluster) { c.Edges[0].Key[0] ^= 1 },
		"policy":      func(c *audit.Cluster) { c.LogWitnesses = "quorum none\n" },
		"edge gone":   func(c *audit.Cluster) { c.Edges = c.Edges[:1] },
		"root":        func(c *audit.Cluster) { c.Hotlines[0].Root = append(c.Hotlines[0].Root, ' ') },
	} {
		c := audittest.New("cluster").Desc
		for i := range c.Members {
			c.Members[i].Key = bytes.Clone(c.Members[i].Key)
		}
		for i := range c.Edges {
			c.Edges[i].Key = bytes.Clone(c.Edges[i].Key)
		}
		change(&c)
		if other, ok := seen[c.ID()]; ok {
			t.Errorf("%s: the same id as %s", name, other)
		}
		seen[c.ID()] = name
	}
}

func TestClusterFilesAreReadStrictly(t *testing.T) {
	good := string(audittest.New("cluster").Desc.Encode())
	replace := func(old, with string) string {
		if !strings.Contains(good, old) {
			t.Fatalf("the cluster file has no %q", old)
		}
		return strings.Replace(good, old, with, 1)
	}
	edited := func(change func(map[string]any)) string {
		var m map[string]any
		if err := json.Unmarshal([]byte(good), &m); err != nil {
			t.Fatal(err)
		}
		change(m)
		b, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	member := func(m map[string]any, i int) map[string]any { return m["members"].([]any)[i].(map[string]any) }
	for _, c := range []struct{ name, file string }{
		{"empty", ""},
		{"not JSON", "cluster"},
		{"bytes behind it", good + "x"},
		{"two values", good + good},
		{"key twice", replace(`"v": 1,`, `"v": 1, "v": 1,`)},
		{"key in capitals", replace(`"origin"`, `"Origin"`)},
		{"key of a member in capitals", replace(`"key"`, `"KEY"`)},
		{"key of a member twice", replace(`"name": "c1",`, `"name": "c1", "name": "c1",`)},
		{"key unknown", replace(`"v": 1,`, `"v": 1, "w": 1,`)},
		{"key missing", replace(`"recipient": "",`, ``)},
		{"null", replace(`"recipient": ""`, `"recipient": null`)},
		{"number as text", replace(`"v": 1,`, `"v": "1",`)},
		{"invalid UTF-8", replace(`isp.example`, "isp\xff.example")},
		{"array for an object", "[]"},
		{"object for text", replace(`"recipient": ""`, `"recipient": {}`)},
		{"deep", strings.Repeat("[", 10000)},
		{"version 2", replace(`"v": 1,`, `"v": 2,`)},
		{"origin without a path", replace(`isp.example/cordon`, `isp.example`)},
		{"origin with a space", replace(`isp.example/cordon`, `isp.example/cor don`)},
		{"no members", edited(func(m map[string]any) { m["members"] = []any{} })},
		{"member twice", edited(func(m map[string]any) { member(m, 1)["name"] = "c1" })},
		{"two members with one key", edited(func(m map[string]any) { member(m, 1)["key"] = member(m, 0)["key"] })},
		{"member and edge with one key", edited(func(m map[string]any) {
			m["edges"].([]any)[0].(map[string]any)["key"] = member(m, 0)["key"]
		})},
		{"short key", edited(func(m map[string]any) { member(m, 0)["key"] = "AAAA" })},
		{"name with a newline", edited(func(m map[string]any) { member(m, 0)["name"] = "c1\nc2" })},
		{"hotline twice", edited(func(m map[string]any) { m["hotlines"] = append(m["hotlines"].([]any), m["hotlines"].([]any)[0]) })},
		{"created before time", edited(func(m map[string]any) { m["created"] = -1 })},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := audit.ParseCluster([]byte(c.file)); !errors.Is(err, audit.ErrFormat) && !errors.Is(err, audit.ErrTooLarge) {
				t.Errorf("got %v, want %v", err, audit.ErrFormat)
			}
		})
	}
}

func TestTrustFilesNeedAMajority(t *testing.T) {
	c := audittest.New("cluster").Desc
	tf := audit.NewTrustFile(c, "")
	if _, err := audit.ParseTrustFile(tf.Encode()); err != nil || tf.Need != 2 {
		t.Fatalf("need %d: %v", tf.Need, err)
	}
	for _, c := range []struct {
		name   string
		change func(*audit.TrustFile)
	}{
		{"a minority", func(t *audit.TrustFile) { t.Need = 1 }},
		{"more than there are", func(t *audit.TrustFile) { t.Need = 4 }},
		{"witnesses that are no policy", func(t *audit.TrustFile) { t.Witnesses = "# mine\nwitness w\n" }},
		{"witnesses of logs without a quorum", func(t *audit.TrustFile) { t.LogWitnesses = "# nobody\n" }},
		{"a cluster with half a policy", func(t *audit.TrustFile) { t.Cluster.LogWitnesses = "quorum none" }},
		{"a CA that is none", func(t *audit.TrustFile) { t.CA = "cert" }},
		{"a CA of another type", func(t *audit.TrustFile) { t.CA = "-----BEGIN X-----\nAAAA\n-----END X-----\n" }},
		{"another version", func(t *audit.TrustFile) { t.V = 2 }},
	} {
		t.Run(c.name, func(t *testing.T) {
			bad := tf
			c.change(&bad)
			if _, err := audit.ParseTrustFile(bad.Encode()); !errors.Is(err, audit.ErrFormat) {
				t.Errorf("got %v, want %v", err, audit.ErrFormat)
			}
		})
	}
}

func TestAWrongPolicyIsNamedByItsLine(t *testing.T) {
	tf := audit.NewTrustFile(audittest.New("cluster").Desc, "")
	tf.Witnesses = "# ours\n\nwitness one isp.example/w+00000000+AAAA\nquorum one\n"
	_, err := audit.ParseTrustFile(tf.Encode())
	if err == nil || !strings.Contains(err.Error(), "witnesses: ") || !strings.Contains(err.Error(), "witness policy line 3") {
		t.Errorf("got %v", err)
	}
	tf.Witnesses = "quorum none\n" + strings.Repeat("#\n", audit.MaxPolicy)
	if _, err := audit.ParseTrustFile(tf.Encode()); !errors.Is(err, audit.ErrTooLarge) {
		t.Errorf("a long one: %v", err)
	}
}

func TestEachTrustFileFaultIsATrustFailure(t *testing.T) {
	l := audittest.Honest("honest")
	r := verifyWith(t, l, []byte("{}"))
	if c, _ := r.Check(audit.CheckTrust); c.Pass || r.Pass || !strings.Contains(c.Detail, "parse trust file") {
		t.Errorf("got %+v", c)
	}
}
