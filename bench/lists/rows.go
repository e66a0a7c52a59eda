package lists

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/cordon-project/cordon/listsync/publish"
)

// kinds is the mix of a synthetic list: half of it pages, as on lists that hotlines have described in public.
var kinds = [10]string{"url", "host", "url", "domain", "url", "prefix", "host", "url", "domain", "host"}

// row is row i of a synthetic list in no order that sorting could profit from: every i gives another kind and expression, and pages
// come several to a host. All names end in .test.
func row(i int) (expression, kind string) {
	h := scatter(uint64(i))
	kind = kinds[i%len(kinds)]
	switch kind {
	case "url", "prefix":
		host := scatter(uint64(i)/8) & 0xffffffffff // eight rows, some pages of them, share a host
		path := "/gallery/" + strconv.FormatUint(h&0xffff, 36) + "/" + strconv.Itoa(i)
		if kind == "url" {
			path += "?page=" + strconv.FormatUint(h>>16&7, 10)
		}
		return "http://www." + strconv.FormatUint(host, 36) + ".pages.test" + path, kind
	case "host":
		return "img" + strconv.FormatUint(h&3, 10) + "." + strconv.FormatUint(h>>24, 36) + "-" + strconv.Itoa(i) + ".test", kind
	}
	return strconv.FormatUint(h>>24, 36) + "-" + strconv.Itoa(i) + ".test", kind
}

// scatter is a bijection of 64 bits (the finalizer of splitmix64).
func scatter(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// WriteRows writes an import of the rows from first up to, and without, last: synthetic, mixed kinds, all of them good until reviewBy.
func WriteRows(w io.Writer, first, last int, reviewBy time.Time) error {
	out := bufio.NewWriterSize(w, 1<<20)
	fmt.Fprintln(out, publish.Header)
	day := reviewBy.UTC().Format(time.DateOnly)
	for i := first; i < last; i++ {
		expr, kind := row(i)
		reason := ""
		if kind == "host" || kind == "domain" {
			reason = "synthetic, for measuring"
		}
		a := i % 7
		fmt.Fprintf(out, "%s,%s,csam-baseline,law,XA,%s,analyst-%d,analyst-%d,%q\n", expr, kind, day, a, a+2, reason)
	}
	return out.Flush()
}
