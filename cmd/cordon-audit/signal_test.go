package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestMain lets the test binary be the program, for what concerns a whole process.
func TestMain(m *testing.M) {
	if os.Getenv("CORDON_AUDIT_IS_MAIN") != "" {
		main()
	}
	os.Exit(m.Run())
}

// A named pipe to which nobody writes blocks where no context reaches.
func TestASignalEndsACommandThatWaitsForAPipe(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	c := exec.CommandContext(t.Context(), os.Args[0], "verify", "--trust", pipe, "bundle.tar")
	c.Env = append(os.Environ(), "CORDON_AUDIT_IS_MAIN=1")
	var stderr bytes.Buffer
	c.Stderr = &stderr
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for range 6000 {
		w, err := os.OpenFile(pipe, os.O_WRONLY|syscall.O_NONBLOCK, 0) // goes through once the other end is waiting
		if err == nil {
			defer w.Close()
			break
		}
		<-tick.C
	}
	if err := c.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	err := c.Wait()
	if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != codeFailed || !strings.Contains(stderr.String(), "ended by a signal") {
		t.Errorf("got %v: %s", err, stderr.String())
	}
}
