package operator

import (
	"fmt"
	"os"
	"strings"
)

// Memory of the edge that Start started, in bytes: what no file stands behind (RssAnon), and what of mapped files is resident (RssFile).
func (o *Operator) Memory() (anon, file int64, ok bool) {
	if o.edge == nil {
		return 0, 0, false
	}
	return MemoryOf(o.edge.Process.Pid)
}

// MemoryOf is the same of any process.
func MemoryOf(pid int) (anon, file int64, ok bool) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, 0, false
	}
	for l := range strings.Lines(string(status)) {
		var kb int64
		if _, err := fmt.Sscanf(l, "RssAnon: %d kB", &kb); err == nil {
			anon = kb << 10
		}
		if _, err := fmt.Sscanf(l, "RssFile: %d kB", &kb); err == nil {
			file = kb << 10
		}
	}
	return anon, file, anon > 0
}
