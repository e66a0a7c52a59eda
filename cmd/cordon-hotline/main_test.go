package main

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"cordon-hotline": main})
}

// TestStories runs the command as analysts, officers and an authority do. The scripts know seven commands more:
//
//	exits CODE cordon-hotline ARG...   run it and want this exit code
//	hotline [NAME]                     an accredited hotline in NAME (default hotline) with officer-1..3 and authority
//	review FILE...                     replace REVIEW in the files by a day in 100 days
//	token                              build cordon-pkcs11 and set HELPER to its path
//	subst FILE...                      put the script's variables into files
//	rsakey FILE                        a key that no officer can use
//	manual HEADING                     run a section of docs/hotline.md and want the output it shows
func TestStories(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"exits": exits, "hotline": hotline, "review": review, "manual": manual,
			"token": token, "subst": subst, "rsakey": rsaKey,
		},
	})
}

// exits is here because testscript tells only failed from not.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE command [args...]")
	}
	// A shell gives the code away that Exec keeps to itself.
	quoted := make([]string, 0, len(args))
	for _, a := range args[1:] {
		quoted = append(quoted, "'"+strings.ReplaceAll(a, "'", `'\''`)+"'")
	}
	script := strings.Join(quoted, " ") + `; test $? -eq ` + args[0]
	ts.Check(ts.Exec("sh", "-c", script))
}

func hotline(ts *testscript.TestScript, neg bool, args []string) {
	name := "hotline"
	if len(args) == 1 {
		name = args[0]
	}
	do := func(args ...string) {
		ts.Check(ts.Exec("cordon-hotline", args...))
	}
	do("authority", "init", "--dir", "authority", "--development")
	for _, o := range []string{"officer-1", "officer-2", "officer-3"} {
		if _, err := os.Stat(ts.MkAbs(o)); err != nil { // else the script has made it
			do("officer", "--dir", o)
		}
	}
	do("init", "--dir", name, "--id", "hotline-one", "--name", "Hotline One", "--list", "hotline-one/main", "--canary", "canary.hotline-one.test",
		"--officer", "officer-1/officer.pub", "--officer", "officer-2/officer.pub", "--officer", "officer-3/officer.pub")
	do("authority", "accredit", "--dir", "authority", "--request", name+"/request.json", "--jurisdiction", "XA", "--basis", "law,order,voluntary",
		"--kind", "url,prefix,host,domain", "--valid-days", "365", "--out", "accredited")
	for _, k := range []string{"root-1", "root-2", "root-3"} {
		do("authority", "sign", "--key", "authority/"+k, "accredited/1.root.json")
	}
	for _, k := range []string{"accreditation-1", "accreditation-2"} {
		do("authority", "sign", "--key", "authority/"+k, "accredited/1.targets.json")
	}
	do("accept", "--dir", name, "accredited")
}

func review(ts *testscript.TestScript, neg bool, args []string) {
	day := time.Now().UTC().AddDate(0, 0, 100).Format(time.DateOnly)
	for _, f := range args {
		path := ts.MkAbs(f)
		text := strings.ReplaceAll(ts.ReadFile(f), "REVIEW", day)
		ts.Check(os.WriteFile(path, []byte(text), 0o600))
	}
}

func TestWhatOthersWriteIsOnlyText(t *testing.T) {
	hostile := "no\x1b[2J\u009b1m\u202esuch"
	for _, args := range [][]string{{"status", "--dir", hostile}, {"receipts", "--dir", hostile, hostile}, {"canon", hostile}, {hostile}, {"authority", hostile}} {
		var stdout, stderr bytes.Buffer
		run(args, strings.NewReader(hostile+"\n"), &stdout, &stderr)
		if out := stdout.String() + stderr.String(); strings.ContainsAny(out, "\x1b\u009b\u202e") {
			t.Errorf("%q prints %q", args, out)
		}
	}
}
