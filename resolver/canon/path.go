package canon

import (
	"bytes"
	"strings"
)

// cleanPath resolves "." and ".." and runs of slashes in an unescaped path and returns it with a slash in front.
//
// Runs of slashes are joined before ".." is resolved, as servers and google/safebrowsing do: /a//../b is /b. A path that
// ends in a dot segment names a directory and keeps its slash, as in browsers: /a/b/.. is /a/.
func cleanPath(path string) string {
	if isCleanPath(path) {
		return path
	}
	out := make([]byte, 1, len(path)+1)
	out[0] = '/'
	for len(path) > 0 {
		part, rest, slash := strings.Cut(path, "/")
		path = rest
		switch part {
		case "", ".":
			continue // out ends in a slash already
		case "..":
			// Out is "/" or "/x/…/y/": drop the last part, keep the slash before it.
			if len(out) > 1 {
				out = out[:bytes.LastIndexByte(out[:len(out)-1], '/')+1]
			}
			continue
		}
		out = append(out, part...)
		if slash {
			out = append(out, '/')
		}
	}
	return string(out)
}

// isCleanPath reports whether cleanPath would return path as it is.
func isCleanPath(path string) bool {
	if path == "" || path[0] != '/' {
		return false
	}
	return !strings.Contains(path, "//") && !strings.Contains(path, "/.")
}

// pathDepth counts the parts of a clean path without a slash at its end; "/" has none.
func pathDepth(path string) int {
	if path == "/" {
		return 0
	}
	return strings.Count(path, "/")
}
