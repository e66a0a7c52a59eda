package trust

import (
	"crypto/sha256"
	"encoding/hex"
	"net/netip"
	"net/url"
	"strings"
)

// Private is what officers sign about private lookups in a version: the public key of the function (listsync/oprf), where its service
// answers, and the column of outputs that answers are compared with.
type Private struct {
	Key    [32]byte // ristretto255
	URL    string   // https://HOST[:PORT][/PATH]; http for a loopback address only
	Column [32]byte // SHA-256 of the column (listsync/list/FORMAT.md)
	Size   int64    // of the column
}

const maxServiceURL = 256

// CheckServiceURL accepts the address of a hotline's service: https, or http for a loopback address, nothing but host and path.
func CheckServiceURL(s string) bool {
	u, err := url.Parse(s)
	if err != nil || len(s) > maxServiceURL || u.String() != s || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.ForceQuery || strings.HasSuffix(s, "/") {
		return false
	}
	for _, c := range []byte(s) {
		if c <= 0x20 || c > 0x7e {
			return false
		}
	}
	host := u.Hostname()
	ip, err := netip.ParseAddr(host) // 127.hotline.example is no loopback address
	return u.Scheme == "https" || u.Scheme == "http" && (host == "localhost" || err == nil && ip.IsLoopback() && ip.Zone() == "")
}

// readPrivate reads the member of a list target's custom data.
func readPrivate(f *fields, of string) Private {
	p := object(of+" private", f.get("private", kindObject))
	out := Private{URL: p.str("url"), Size: p.int("size", 1, maxListFile)}
	copy(out.Key[:], p.hex("key", len(out.Key)))
	copy(out.Column[:], p.hex("column", len(out.Column)))
	if err := p.end(); err != nil {
		f.err = err
	} else if !CheckServiceURL(out.URL) {
		f.fail("private lookups: no https address of a service (%d bytes)", len(out.URL))
	}
	return out
}

func (p Private) custom() map[string]any {
	return map[string]any{"key": hex.EncodeToString(p.Key[:]), "url": p.URL, "column": hex.EncodeToString(p.Column[:]), "size": p.Size}
}

// Is reports whether b is the column.
func (p Private) Is(b []byte) bool {
	return int64(len(b)) == p.Size && sha256.Sum256(b) == p.Column
}
