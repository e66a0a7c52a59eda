// Package program says which program this process runs: the digest of the very file that was started, so that it can be compared with what
// anybody builds from the same source (docs/auditor.md, "The same program from source").
package program

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync"
)

// Program is one executable.
type Program struct {
	Name    string   // of its command, without a folder
	Version string   // that the build stamped into it; empty when unknown
	Digest  [32]byte // SHA-256 of the file
}

// String is two lines: name and version, and the digest.
func (p Program) String() string {
	return fmt.Sprintf("%s %s\nSHA-256 %x\n", p.Name, cmp.Or(p.Version, "unknown"), p.Digest)
}

// Self is the running program. The file is read once, at the first call; it may be called concurrently.
var Self = sync.OnceValues(self)

func self() (Program, error) {
	// The link leads to what was started, also when another file has its name by now.
	f, err := os.Open("/proc/self/exe")
	if err != nil {
		path, perr := os.Executable()
		if perr != nil {
			return Program{}, fmt.Errorf("read own program: %w", perr)
		}
		if f, err = os.Open(path); err != nil {
			return Program{}, fmt.Errorf("read own program: %w", err)
		}
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return Program{}, fmt.Errorf("read own program: %w", err)
	}
	p := Program{Name: "cordon", Digest: [32]byte(h.Sum(nil))}
	if info, ok := debug.ReadBuildInfo(); ok {
		p.Version = info.Main.Version
		if info.Path != "" {
			p.Name = strings.TrimSuffix(filepath.Base(info.Path), ".test")
		}
	}
	return p, nil
}
