package canon

import (
	_ "embed"
	"iter"
	"strings"
)

// The names of the public suffix list that golang.org/x/net/publicsuffix was made of: that package answers about a name and
// does not tell its names. suffix_test.go holds the two together and writes the file anew with -update.
//
//go:embed suffixes.txt
var suffixes string

// Suffixes are the public suffixes that have a name in the public suffix list, and for each rule "*.name" the name, whose
// every child is a suffix: about ten thousand, canonical, in ascending order, each once. They are for asking an index, where
// there is no name to give to PublicSuffix; the children of the second sort can be asked by nobody who does not know them.
func Suffixes() iter.Seq[string] {
	_, names, _ := strings.Cut(suffixes, "\n")
	return func(yield func(string) bool) {
		for name := range strings.Lines(names) {
			if !yield(strings.TrimSuffix(name, "\n")) {
				return
			}
		}
	}
}
