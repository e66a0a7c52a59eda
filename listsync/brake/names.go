package brake

import (
	"bufio"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/cordon-project/cordon/resolver/canon"
)

//go:embed never-block.txt
var shipped string

// Category says why a name is on the never-block list.
type Category string

// The closed set of categories.
const (
	Special  Category = "special"  // special-use names
	Help     Category = "help"     // help lines
	Appeal   Category = "appeal"   // where owners of blocked sites complain
	Hotline  Category = "hotline"  // hotlines' own hosts
	Operator Category = "operator" // operators' own hosts
	Own      Category = "own"      // of who asks, without a category
)

var categories = []Category{Special, Help, Appeal, Hotline, Operator, Own}

// MaxProtected bounds the never-block lists together. Popular names go into a popularity file.
const MaxProtected = 5_000_000

// maxLine bounds a line of a never-block file.
const maxLine = 1024

type protected struct {
	name     string
	category Category
}

// Names are the names that no list may stop as a whole. Build it with NewNames and Add before it is asked; from then on any number
// of goroutines may read it.
type Names struct {
	protected  []protected
	shipped    int // how many of protected came with the program
	popularity *Popularity
}

// NewNames are the shipped categories, and the popularity file when there is one.
func NewNames(p *Popularity) *Names {
	n := &Names{popularity: p}
	if err := n.Read(strings.NewReader(shipped)); err != nil {
		panic("brake: the shipped never-block list: " + err.Error())
	}
	n.shipped = len(n.protected)
	return n
}

// Add protects names, which are canonical, in one category.
func (n *Names) Add(c Category, names ...string) {
	for _, name := range names {
		n.protected = append(n.protected, protected{name, c})
	}
}

// LineError is a line of a file that cannot be used.
type LineError struct {
	Line int
	Err  error
}

func (e *LineError) Error() string { return fmt.Sprintf("line %d: %v", e.Line, e.Err) }

// Unwrap gives the cause.
func (e *LineError) Unwrap() error { return e.Err }

var (
	errLong     = fmt.Errorf("longer than %d bytes", maxLine)
	errTooMany  = fmt.Errorf("more than %d names", MaxProtected)
	errCategory = fmt.Errorf("no such category; write one of [%s]", strings.Join(categoryWords(), "] ["))
)

func categoryWords() []string {
	var out []string
	for _, c := range categories {
		out = append(out, string(c))
	}
	return out
}

// Read adds the names of a never-block file: one name a line, "#" begins a comment, "[category]" heads the names below it. Its error
// is a *LineError, or r's.
func (n *Names) Read(r io.Reader) error {
	in := bufio.NewScanner(r)
	in.Buffer(make([]byte, 0, maxLine), maxLine)
	category, line := Own, 0
	for in.Scan() {
		line++
		text, _, _ := strings.Cut(in.Text(), "#")
		if text = strings.TrimSpace(text); text == "" {
			continue
		}
		if word, ok := strings.CutPrefix(text, "["); ok {
			word, closed := strings.CutSuffix(word, "]")
			if category = Category(word); !closed || !slices.Contains(categories, category) {
				return &LineError{line, errCategory}
			}
			continue
		}
		name, err := canon.Host(text)
		if err != nil {
			return &LineError{line, err}
		}
		if len(n.protected) >= MaxProtected {
			return &LineError{line, errTooMany}
		}
		n.Add(category, name)
	}
	if errors.Is(in.Err(), bufio.ErrTooLong) {
		return &LineError{line + 1, errLong}
	}
	return in.Err()
}

// Len is how many names people have chosen: those added, and those of the popularity file.
func (n *Names) Len() int {
	popular, shared := n.popularity.Counts()
	return len(n.protected) - n.shipped + popular + shared
}

// Popularity is the popularity file, or nil.
func (n *Names) Popularity() *Popularity { return n.popularity }

// Hash names what people have chosen: SHA-256 over the names added, in order, a line "category name" each, and the hash of the
// popularity file (zero when there is none). Verdicts, approvals and policies carry it: people decide against the names they know. What
// ships with the program is not in it, so that an update does not undo a decision.
func (n *Names) Hash() [32]byte {
	all := slices.Clone(n.protected[n.shipped:])
	slices.SortFunc(all, func(a, b protected) int {
		if c := strings.Compare(a.name, b.name); c != 0 {
			return c
		}
		return strings.Compare(string(a.category), string(b.category))
	})
	h := sha256.New()
	io.WriteString(h, "cordon/never-block/v2\n")
	for _, p := range slices.Compact(all) {
		fmt.Fprintf(h, "%s %s\n", p.category, p.name)
	}
	popularity := n.popularity.Hash()
	h.Write(popularity[:])
	return [32]byte(h.Sum(nil))
}

// Version is a short text that names the version of what ships and the hash, at most 64 bytes: what a hotline signs that it has asked.
func (n *Names) Version() string {
	first, _, _ := strings.Cut(shipped, "\n")
	sum := n.Hash()
	return strings.TrimPrefix(first, "# ") + " " + hex.EncodeToString(sum[:8])
}
