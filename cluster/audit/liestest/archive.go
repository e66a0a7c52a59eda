package liestest

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"strings"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/audit/audittest"
)

var archiveLies = []Lie{
	{Who: Mirror, Name: "the bundle is cut in the middle of a file", Fails: []string{audit.CheckBundle}, Says: "ends early",
		Build: func(l *audittest.Log) []byte { b := l.Bundle(); return b[:len(b)-4000] }},
	{Who: Mirror, Name: "the bundle is cut between two members", Fails: []string{audit.CheckBundle}, Says: "its end mark is missing",
		Build: func(l *audittest.Log) []byte { b := l.Bundle(); return b[:len(b)-1024] }},
	{Who: Mirror, Name: "the bundle is an archive without members", Fails: []string{audit.CheckBundle}, Says: "bundle is empty",
		Build: func(*audittest.Log) []byte { return pack(nil) }},
	{Who: Mirror, Name: "the bundle is not a tar", Fails: []string{audit.CheckBundle}, Says: "not a well-formed tar",
		Build: func(*audittest.Log) []byte { return bytes.Repeat([]byte("no tar "), 1000) }},
	{Who: Mirror, Name: "the bundle is compressed", Fails: []string{audit.CheckBundle}, Says: "tar",
		Build: func(l *audittest.Log) []byte {
			var b bytes.Buffer
			w := gzip.NewWriter(&b)
			_, _ = w.Write(l.Bundle())
			_ = w.Close()
			return b.Bytes()
		}},
	{Who: Mirror, Name: "a member's path leaves the bundle", Fails: []string{audit.CheckBundle}, Says: `"../../etc/cron.d/x" is not one a bundle may have`,
		Build: insert(part{tar.Header{Name: "../../etc/cron.d/x"}, []byte("x")})},
	{Who: Mirror, Name: "a member's path is absolute", Fails: []string{audit.CheckBundle}, Says: "is not one a bundle may have",
		Build: insert(part{tar.Header{Name: "/files/" + strings.Repeat("ab", 32)}, []byte("x")})},
	{Who: Mirror, Name: "a member is a symbolic link", Fails: []string{audit.CheckBundle}, Says: "is not a plain file",
		Build: insert(part{tar.Header{Name: "files/" + strings.Repeat("ab", 32), Typeflag: tar.TypeSymlink, Linkname: "/etc/passwd"}, nil})},
	{Who: Mirror, Name: "a member's name holds control characters", Fails: []string{audit.CheckBundle}, Says: `\x1b[2J`,
		Build: insert(part{tar.Header{Name: "files/\x1b[2Jevil"}, []byte("x")})},
	{Who: Mirror, Name: "a member is there twice", Fails: []string{audit.CheckBundle}, Says: "is there twice",
		Build: func(l *audittest.Log) []byte {
			return edit(l.Bundle(), func(p []part) []part { return append(p, p[len(p)-1]) })
		}},
	{Who: Mirror, Name: "members are in another order", Fails: []string{audit.CheckBundle}, Says: "where its checkpoint belongs",
		Build: func(l *audittest.Log) []byte {
			return edit(l.Bundle(), func(p []part) []part { p[1], p[2] = p[2], p[1]; return p })
		}},
	{Who: Mirror, Name: "list files are in another order", Fails: []string{audit.CheckBundle}, Says: "not in the order of the log",
		Build: func(l *audittest.Log) []byte {
			return edit(l.Bundle(), func(p []part) []part {
				i := find(p, "files/")
				p[i], p[i+1] = p[i+1], p[i]
				return p
			})
		}},
	{Who: Mirror, Name: "a member claims a giant size", Fails: []string{audit.CheckBundle}, Says: "says it has 1099511627776 bytes",
		Build: func(l *audittest.Log) []byte {
			b := pack(unpack(l.Bundle())[:2])
			var h bytes.Buffer
			check(tar.NewWriter(&h).WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: "tile/entries/000", Size: 1 << 40, Format: tar.FormatGNU}))
			return append(b[:len(b)-1024], h.Bytes()...)
		}},
	{Who: Mirror, Name: "bytes follow the end mark", Fails: []string{audit.CheckBundle}, Says: "after the bundle's end mark",
		Build: func(l *audittest.Log) []byte { return append(l.Bundle(), "more"...) }},
	{Who: Mirror, Name: "bundle.json has a key twice", Fails: []string{audit.CheckBundle}, Says: "there twice",
		Build: func(l *audittest.Log) []byte {
			return edit(l.Bundle(), func(p []part) []part {
				p[0].data = bytes.Replace(p[0].data, []byte(`{"v":2`), []byte(`{"v":2,"v":2`), 1)
				return p
			})
		}},
	{Who: Mirror, Name: "the bundle is of another cluster", Fails: []string{audit.CheckTrust}, Says: "of cluster",
		Build: func(l *audittest.Log) []byte { return audittest.Honest("another").Bundle() }},
}

func insert(p part) func(*audittest.Log) []byte {
	return func(l *audittest.Log) []byte {
		return edit(l.Bundle(), func(parts []part) []part { return append(parts, p) })
	}
}
