// Package sealtest runs TPMs in software (swtpm) for tests.
package sealtest

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport/linuxudstpm"
)

// TPM is one TPM. Its methods are for the test's goroutine.
type TPM struct {
	Device string // what seal.Seal takes

	t   testing.TB
	dir string
	cmd *exec.Cmd
}

// Start makes a new TPM that runs until the test ends. tools/deps installs swtpm.
func Start(t testing.TB) *TPM {
	t.Helper()
	dir, err := os.MkdirTemp("", "tpm") // t.TempDir is too long for a socket's name
	if err != nil {
		t.Fatal(err)
	}
	tpm := &TPM{Device: filepath.Join(dir, "sock"), t: t, dir: dir}
	t.Cleanup(func() { tpm.Stop(); os.RemoveAll(dir) })
	tpm.Restart()
	return tpm
}

// Restart starts the machine anew: PCRs as at the start, the same seeds.
func (m *TPM) Restart() {
	m.t.Helper()
	m.Stop()
	state := filepath.Join(m.dir, "state")
	if err := os.MkdirAll(state, 0o700); err != nil {
		m.t.Fatal(err)
	}
	m.cmd = exec.Command("swtpm", "socket", "--tpm2", "--tpmstate", "dir="+state, "--server", "type=unixio,path="+m.Device,
		"--flags", "not-need-init,startup-clear")
	m.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := m.cmd.Start(); err != nil {
		m.t.Fatalf("start a software TPM (run make deps): %v", err)
	}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for begun := time.Now(); time.Since(begun) < time.Minute; <-tick.C {
		if c, err := net.Dial("unix", m.Device); err == nil {
			c.Close()
			return
		}
	}
	m.t.Fatal("the software TPM does not answer")
}

// Stop ends it, as pulling it out would.
func (m *TPM) Stop() {
	if m.cmd != nil {
		m.cmd.Process.Kill()
		m.cmd.Wait()
		m.cmd = nil
	}
	os.Remove(m.Device)
}

// Clear is what a person does in the firmware's menu: new seeds, all that was sealed is lost.
func (m *TPM) Clear() {
	m.t.Helper()
	tpm, err := linuxudstpm.Open(m.Device)
	if err != nil {
		m.t.Fatal(err)
	}
	defer tpm.Close()
	if _, err := (tpm2.Clear{AuthHandle: tpm2.AuthHandle{Handle: tpm2.TPMRHPlatform, Auth: tpm2.PasswordAuth(nil)}}).Execute(tpm); err != nil {
		m.t.Fatal(err)
	}
}

// Measure extends a PCR, as firmware does with what it starts.
func (m *TPM) Measure(pcr uint, what string) {
	m.t.Helper()
	tpm, err := linuxudstpm.Open(m.Device)
	if err != nil {
		m.t.Fatal(err)
	}
	defer tpm.Close()
	_, err = tpm2.PCREvent{
		PCRHandle: tpm2.AuthHandle{Handle: tpm2.TPMHandle(pcr), Auth: tpm2.PasswordAuth(nil)}, EventData: tpm2.TPM2BEvent{Buffer: []byte(what)},
	}.Execute(tpm)
	if err != nil {
		m.t.Fatal(err)
	}
}
