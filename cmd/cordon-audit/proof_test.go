package main

import (
	"strings"
	"testing"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/audit/audittest"
)

func TestAProofOfOneRecordIsChecked(t *testing.T) {
	l := audittest.Honest("proof")
	tf := audit.NewTrustFile(l.Desc, "")
	trust := write(t, "trust.json", tf.Encode())
	tf.Witnesses = "witness w w.example/w+e553cd4e+BIqI4910CfGV/VLbLTy6XXLKZwm/HZQSG/N0iAG0D29c\nquorum w\n"
	b, err := audit.NewProof(l.Tree(), l.Checkpoint(), 6)
	if err != nil {
		t.Fatal(err)
	}
	changed := strings.Replace(string(b), "index 6", "index 7", 1)
	good := write(t, "good", b)
	for _, c := range []struct {
		name   string
		args   []string
		code   int
		stdout string
		stderr string
	}{
		{"good", []string{"proof", "--trust", trust, good}, 0, "PASS  leaf 6 of cluster isp.example", ""},
		{"as JSON", []string{"proof", "--json", "--trust", trust, good}, 0, `"leaf": 6`, ""},
		{"of another record", []string{"proof", "--trust", trust, write(t, "changed", []byte(changed))}, 5, "FAIL  open proof", ""},
		{"no proof", []string{"proof", "--trust", trust, trust}, 3, "", "malformed"},
		{"not there", []string{"proof", "--trust", trust, good + "x"}, 3, "", "no such file"},
		{"no trust file", []string{"proof", "--trust", good, good}, 3, "", "trust file"},
		{"no witness", []string{"proof", "--trust", write(t, "strict.json", tf.Encode()), good}, 5, "witness w has not cosigned", ""},
		{"no file", []string{"proof", "--trust", trust}, 2, "", "1 argument is needed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			code, stdout, stderr := tool(t, c.args...)
			if code != c.code || !strings.Contains(stdout, c.stdout) || !strings.Contains(stderr, c.stderr) {
				t.Errorf("exit %d, want %d\n%s\n%s", code, c.code, stdout, stderr)
			}
		})
	}
}
