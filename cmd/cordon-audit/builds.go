package main

import (
	"encoding/hex"
	"fmt"
	"strings"
)

// maxBuilds bounds the file of known programs: 20,000 lines of 100 bytes.
const maxBuilds = 2 << 20

const namesBuilds = "--builds names a file as sha256sum writes it: a digest of 64 hex digits, two spaces, a name, a line each; make repro writes one"

// readBuilds reads the digests of programs that the auditor knows; nil when no file is named.
func readBuilds(path string) (map[[32]byte]bool, error) {
	if path == "" {
		return nil, nil
	}
	b, err := readBounded("list of builds", path, maxBuilds)
	if err != nil {
		return nil, unreadable(err, namesBuilds)
	}
	known := map[[32]byte]bool{}
	for i, line := range strings.Split(string(b), "\n") {
		line = strings.TrimRight(line, "\r")
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		text, _, _ := strings.Cut(line, " ")
		sum, err := hex.DecodeString(text)
		if err != nil || len(sum) != 32 {
			return nil, unreadable(fmt.Errorf("list of builds %s, line %d: %.80q does not begin with a SHA-256", path, i+1, line), namesBuilds)
		}
		known[[32]byte(sum)] = true
	}
	if len(known) == 0 {
		return nil, unreadable(fmt.Errorf("list of builds %s names no program", path), namesBuilds)
	}
	return known, nil
}
