// Package machine says what a measurement ran on: processor, load, commit.
package machine

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
)

// Describe says what this ran on.
func Describe() string {
	model := "unknown processor"
	sha := "without"
	if f, err := os.Open("/proc/cpuinfo"); err == nil {
		defer f.Close()
		for lines := bufio.NewScanner(f); lines.Scan(); {
			name, value, _ := strings.Cut(lines.Text(), ":")
			switch strings.TrimSpace(name) {
			case "model name":
				model = strings.TrimSpace(value)
			case "flags", "Features":
				if strings.Contains(value+" ", " sha_ni ") || strings.Contains(value+" ", " sha2 ") {
					sha = "with"
				}
			}
		}
	}
	return fmt.Sprintf("%s, %d cores, %s SHA instructions, %s, %s", model, runtime.NumCPU(), sha, runtime.GOOS+"/"+runtime.GOARCH, runtime.Version())
}

// Load is the load average of the last minute.
func Load() string {
	b, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	one, _, _ := strings.Cut(string(b), " ")
	return one
}

// Commit is what git says, in the directory this runs in.
func Commit() string {
	out, err := exec.Command("git", "describe", "--always", "--dirty").Output()
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(out))
}
