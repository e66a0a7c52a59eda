package canon

import (
	"strings"
	"testing"
)

// The hostile inputs are the ones that cost more than linear time in a simpler implementation.
func BenchmarkURL(b *testing.B) {
	var han strings.Builder // all different: punycode walks the label once for each
	for r := rune(0x4e00); han.Len()+3 <= maxRaw; r++ {
		han.WriteRune(r)
		if (r-0x4e00)%maxRunes == maxRunes-1 {
			han.WriteByte('.')
		}
	}
	for name, in := range map[string]string{
		"plain":          "http://www.x.test/a/b.html?c=d",
		"idn":            "http://www.bücher.test/a",
		"nested escapes": "http://x.test/%" + strings.Repeat("25", MaxLength/2-20),
		"up and up":      "http://x.test/" + strings.Repeat("a/", 1000) + strings.Repeat("../", 1000),
		"long idn":       "http://" + han.String() + "/",
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _ = URL(in)
			}
		})
	}
}

func BenchmarkHost(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		_, _ = Host("WWW.x.test")
	}
}

func BenchmarkExpressions(b *testing.B) {
	for name, in := range map[string]string{
		"plain": "http://www.x.test/a/b.html?c=d",
		"deep":  "http://x.test" + strings.Repeat("/a", 4000),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _ = Expressions(in)
			}
		})
	}
}
