package liestest

import (
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"strings"
	"time"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/audit/audittest"
	"github.com/cordon-project/cordon/listsync/witness"
)

// outside is a witness of the auditor's policy.
func outside(n int) *witness.Signer {
	seed := sha256.Sum256(fmt.Appendf(nil, "witness %d", n))
	s, err := witness.NewSigner(fmt.Sprintf("w%d.example/w", n), ed25519.NewKeyFromSeed(seed[:]))
	if err != nil {
		panic(err)
	}
	return s
}

// askTwo is the auditor's policy: two of three witnesses, and what stands before.
func askTwo(before string) func(*Case, *audittest.Log) {
	return func(c *Case, _ *audittest.Log) {
		tf, err := audit.ParseTrustFile(c.Trust)
		if err != nil {
			panic(err)
		}
		tf.Witnesses = before
		for n := range 3 {
			tf.Witnesses += fmt.Sprintf("witness w%d %s\n", n, outside(n).Keys()[0])
		}
		tf.Witnesses += "group g 2 w0 w1 w2\nquorum g\n"
		c.Trust = tf.Encode()
	}
}

// seenBy adds the cosignatures of these witnesses to the bundle's checkpoint, over the text that lie makes of it.
func seenBy(b []byte, at time.Time, lie func(text string) string, by ...int) []byte {
	return edit(b, func(p []part) []part {
		text, _, _ := strings.Cut(string(p[1].data), "\n\n")
		text += "\n"
		if lie != nil {
			text = lie(text)
		}
		for _, n := range by {
			lines, err := outside(n).Cosign(text, at)
			if err != nil {
				panic(err)
			}
			p[1].data = append(p[1].data, lines...)
		}
		return p
	})
}

// witnessLies are about who outside has seen the log.
var witnessLies = []Lie{
	{Who: Operator, Name: "a log that no witness was shown", Look: askTwo(""), Fails: []string{audit.CheckWitnesses}, Says: "0 of 3 members of group g cosigned, 2 are needed",
		Build: func(l *audittest.Log) []byte { return l.Bundle() }},
	{Who: Minority, Name: "one witness of three goes along", Look: askTwo(""), Fails: []string{audit.CheckWitnesses}, Says: "missing: w0, w1",
		Build: func(l *audittest.Log) []byte { return seenBy(l.Bundle(), l.Now, nil, 2) }},
	{Who: Operator, Name: "cosignatures of another log's checkpoint", Look: askTwo(""), Fails: []string{audit.CheckWitnesses}, Says: "signature under the name \"w0.example/w\" is wrong",
		Build: func(l *audittest.Log) []byte {
			return seenBy(l.Bundle(), l.Now, func(text string) string { return strings.Replace(text, "\n", "x\n", 1) }, 0, 1)
		}},
	{Who: Operator, Name: "witnesses saw the log last week", Fails: []string{audit.CheckWitnesses}, Says: "witnesses cosigned this log ",
		Build: func(l *audittest.Log) []byte { return seenBy(l.Bundle(), l.Now.Add(-7*24*time.Hour), nil, 0, 1) },
		Look: func(c *Case, l *audittest.Log) {
			askTwo("")(c, l)
			c.MaxAge = time.Hour
		}},
	{Who: Operator, Name: "witnesses that were asked for another log", Fails: []string{audit.CheckWitnesses}, Says: "the policy names other logs",
		Look:  askTwo("log log.example/other+49f33ad1+AYqI4910CfGV/VLbLTy6XXLKZwm/HZQSG/N0iAG0D29c\n"),
		Build: func(l *audittest.Log) []byte { return seenBy(l.Bundle(), l.Now, nil, 0, 1) }},
}
