package main

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// token builds the officers' helper, which is a module of its own and needs a C compiler.
func token(ts *testscript.TestScript, neg bool, args []string) {
	dir, err := os.Getwd()
	ts.Check(err)
	helper := filepath.Join(ts.Getenv("WORK"), "cordon-pkcs11")
	build := exec.Command("go", "build", "-C", filepath.Join(dir, "..", "cordon-pkcs11"), "-o", helper, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=1")
	out, err := build.CombinedOutput()
	if err != nil {
		ts.Fatalf("build cordon-pkcs11: %v\n%s", err, out)
	}
	ts.Setenv("HELPER", helper)
}

func subst(ts *testscript.TestScript, neg bool, args []string) {
	for _, f := range args {
		ts.Check(os.WriteFile(ts.MkAbs(f), []byte(os.Expand(ts.ReadFile(f), ts.Getenv)), 0o600))
	}
}

func rsaKey(ts *testscript.TestScript, neg bool, args []string) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	ts.Check(err)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(strings.Join(args, "")), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600))
}
