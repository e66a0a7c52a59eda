package trust

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"github.com/cordon-project/cordon/resolver/match"
)

// HotlineID names a hotline: [a-z0-9][a-z0-9-]{0,30}, the part of a list id before the slash.
type HotlineID string

// ParseHotlineID reads a hotline id; anything else is ErrFormat.
func ParseHotlineID(s string) (HotlineID, error) {
	if !isName(s, 31) {
		return "", fmt.Errorf("%w: hotline id (%d bytes) is not [a-z0-9][a-z0-9-]{0,30}", ErrFormat, len(s))
	}
	return HotlineID(s), nil
}

// isName reports [a-z0-9][a-z0-9-]* of at most high characters.
func isName(s string, high int) bool {
	for i := range len(s) {
		c := s[i]
		if !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' && i > 0) {
			return false
		}
	}
	return len(s) >= 1 && len(s) <= high
}

// CharterPath is the target path of the charter, the one target of the top-level role.
const CharterPath = "charter.json"

// maxClusterName bounds the cluster part of a wrapped key's file name; cluster ids are 32 hexadecimal digits.
const maxClusterName = 64

// RoleName is the name of the role that the accreditation delegates to a hotline's officers.
func RoleName(h HotlineID) string { return "csam-" + string(h) }

func delegatedPattern(h HotlineID) string { return delegatedPrefix(h) + "*" }

func delegatedPrefix(h HotlineID) string { return "csam/" + string(h) + "/" }

// EdgePath is the target path of the edge list of a version.
func EdgePath(list match.ListID, seq uint64) string { return listPath(list, seq, "edge") }

// AuditPath is the target path of the auditor list of a version.
func AuditPath(list match.ListID, seq uint64) string { return listPath(list, seq, "audit") }

func listPath(list match.ListID, seq uint64, suffix string) string {
	hotline, name, _ := strings.Cut(string(list), "/")
	return fmt.Sprintf("csam/%s/%s.%d.%s", hotline, name, seq, suffix)
}

// DeltaPath is the target path of the delta between two versions.
func DeltaPath(list match.ListID, from, to uint64) string {
	hotline, name, _ := strings.Cut(string(list), "/")
	return fmt.Sprintf("csam/%s/%s.%d.%d.delta", hotline, name, from, to)
}

// KeysPath is the target path of the keys of a list's epoch, wrapped for a cluster.
func KeysPath(list match.ListID, epoch uint32, cluster string) string {
	hotline, name, _ := strings.Cut(string(list), "/")
	return fmt.Sprintf("csam/%s/keys.%s.%d.%s.age", hotline, name, epoch, cluster)
}

// The files of a repository, relative to its base. All but timestamp.json never change once they are there.

// TimestampName is the one file that is replaced: metadata/timestamp.json.
const TimestampName = "metadata/timestamp.json"

// RootName is the file of a root version.
func RootName(version int64) string { return fmt.Sprintf("metadata/%d.root.json", version) }

// SnapshotName is the file of a snapshot version.
func SnapshotName(version int64) string { return fmt.Sprintf("metadata/%d.snapshot.json", version) }

// TargetsName is the file of a version of the top-level targets role.
func TargetsName(version int64) string { return fmt.Sprintf("metadata/%d.targets.json", version) }

// ListName is the file of a version of a hotline's delegated role.
func ListName(h HotlineID, version int64) string {
	return fmt.Sprintf("metadata/%d.%s.json", version, RoleName(h))
}

// TargetName is the file of a target: its path with the SHA-256 before the last part (TUF consistent snapshots).
func TargetName(f File) string {
	dir, base := "", f.Path
	if i := strings.LastIndexByte(f.Path, '/'); i >= 0 {
		dir, base = f.Path[:i+1], f.Path[i+1:]
	}
	return "targets/" + dir + hex.EncodeToString(f.SHA256[:]) + "." + base
}

// WithdrawalName is the file of a withdrawal statement.
func WithdrawalName(list match.ListID, number uint64) string {
	return fmt.Sprintf("withdrawals/%s/%d.cbor", list, number)
}

// targetName is a path of a hotline's delegated role, taken apart.
type targetName struct {
	list    string // the part after the slash of the list id
	suffix  string // edge, audit, delta or age
	from    uint64 // seq that a delta starts at
	number  uint64 // seq, or epoch of wrapped keys
	cluster string // of wrapped keys
}

// parseTargetName takes a target path of the hotline's role apart. Only the four flat forms exist; any other is ErrPath.
func parseTargetName(h HotlineID, path string) (targetName, error) {
	bad := fmt.Errorf("%w: target name (%d bytes)", ErrPath, len(path))
	rest, ok := strings.CutPrefix(path, delegatedPrefix(h))
	if !ok {
		return targetName{}, bad
	}
	part := strings.Split(rest, ".")
	var n targetName
	from, number := "0", ""
	switch {
	case len(part) == 3 && (part[2] == "edge" || part[2] == "audit"):
		n, number = targetName{list: part[0], suffix: part[2]}, part[1]
	case len(part) == 4 && part[3] == "delta":
		n, from, number = targetName{list: part[0], suffix: part[3]}, part[1], part[2]
	case len(part) == 5 && part[0] == "keys" && part[4] == "age":
		n, number = targetName{list: part[1], suffix: part[4], cluster: part[3]}, part[2]
		if !isName(n.cluster, maxClusterName) {
			return targetName{}, bad
		}
	default:
		return targetName{}, bad
	}
	var okFrom, okNumber bool
	n.from, okFrom = plainNumber(from)
	n.number, okNumber = plainNumber(number)
	if !okFrom || !okNumber || !isName(n.list, 31) {
		return targetName{}, bad
	}
	return n, nil
}

// plainNumber reads a number in the one way to write it.
func plainNumber(s string) (uint64, bool) {
	v, err := strconv.ParseUint(s, 10, 64)
	return v, err == nil && strconv.FormatUint(v, 10) == s
}
