package config

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
	"go.yaml.in/yaml/v4/plugin/loaderlimits"
)

// maxDepth is how deep a file may nest; ours nest four levels (stop: law: listen: -).
const maxDepth = 16

// root parses the file into its one mapping. It returns nil after noting why it cannot.
func (f *file) root(data []byte) *section {
	switch {
	case len(data) > MaxFile:
		f.bad(1, "the file is larger than %d bytes; a configuration is a few KiB", MaxFile)
		return nil
	case !utf8.Valid(data):
		f.bad(1, "the file is not UTF-8 text; save it as UTF-8")
		return nil
	}
	var doc yaml.Node
	if err := yaml.Load(data, &doc, yaml.WithPlugin(loaderlimits.New(loaderlimits.DepthValue(maxDepth)))); err != nil {
		line, what := syntax(err)
		f.bad(line, "%s", what)
		return nil
	}
	if doc.Kind != yaml.DocumentNode || len(doc.Content) != 1 {
		f.bad(1, "the file holds no settings; cordon init writes a complete one")
		return nil
	}
	f.plain(doc.Content[0])
	return f.section(doc.Content[0], "")
}

// syntax turns the parser's error into a line and one sentence.
func syntax(err error) (int, string) {
	text, line := err.Error(), 1
	var at *yaml.LoadError
	switch {
	case strings.Contains(text, "found multiple"):
		return 1, "the file holds several documents; keep one and remove the lines ---"
	case strings.Contains(text, "no documents"):
		return 1, "the file holds no settings; cordon init writes a complete one"
	case errors.As(err, &at):
		text, line = at.Message, cmp.Or(at.Mark.Line, at.ContextMark.Line)
	}
	return line, fmt.Sprintf("this is not YAML: %s; mind indentation (spaces, no tabs), quotes (an IPv6 address needs them) and colons", text)
}

// plain notes what YAML allows and a configuration never needs: anchors and aliases (they can blow a small file up
// to gigabytes), explicit tags and merge keys.
func (f *file) plain(n *yaml.Node) {
	switch {
	case n.Kind == yaml.AliasNode:
		f.bad(n.Line, "*%s is an alias; aliases are not allowed, write the value itself", shorten(n.Value))
	case n.Anchor != "":
		f.bad(n.Line, "&%s is an anchor; anchors are not allowed, remove it", shorten(n.Anchor))
	case n.Tag == "!!merge":
		f.bad(n.Line, "<< merges are not allowed; write the keys themselves")
	case n.Style&yaml.TaggedStyle != 0:
		f.bad(n.Line, "the tag %s is not allowed; remove it", shorten(n.Tag))
	}
	for _, c := range n.Content {
		f.plain(c)
	}
}

// section is a mapping whose keys are asked for one by one; what was never asked for is unknown.
type section struct {
	f      *file
	line   int
	path   string // "stop.law." before its keys; "" at the top
	values map[string]*yaml.Node
	lines  map[string]int // line of each key
	asked  map[string]bool
}

// section reads a mapping. It notes anything else and then returns nil; all methods of a nil section do nothing.
func (f *file) section(n *yaml.Node, path string) *section {
	if n.Kind != yaml.MappingNode {
		if n.Kind != yaml.AliasNode {
			f.bad(n.Line, "%s is %s; write keys with values below it", or(path, "the file"), kind(n))
		}
		return nil
	}
	s := &section{f: f, line: n.Line, values: map[string]*yaml.Node{}, lines: map[string]int{}, asked: map[string]bool{}}
	if path != "" {
		s.path = path + "."
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		switch {
		case k.Kind != yaml.ScalarNode || k.Tag != "!!str":
			if k.Tag != "!!merge" && k.Kind != yaml.AliasNode {
				f.bad(k.Line, "a key of %s is %s; write a word", or(path, "the file"), kind(k))
			}
		case s.values[k.Value] != nil:
			f.bad(k.Line, "%s%s is given twice, first on line %d; keep one", s.path, shorten(k.Value), s.lines[k.Value])
		default:
			s.values[k.Value], s.lines[k.Value] = v, k.Line
		}
	}
	return s
}

// take hands out the value of a key: nil when it is missing or left empty.
func (s *section) take(key string) *yaml.Node {
	if s == nil {
		return nil
	}
	s.asked[key] = true
	n := s.values[key]
	if n == nil || n.Kind == yaml.AliasNode {
		return nil
	}
	if n.Kind == yaml.ScalarNode && n.Tag == "!!null" {
		s.f.bad(n.Line, "%s has no value; write one or remove the line", s.path+key)
		return nil
	}
	return n
}

// has reports whether the key is in the file, whatever its value.
func (s *section) has(key string) bool { return s != nil && s.values[key] != nil }

// at is the line of a key, or of the section when the key is missing.
func (s *section) at(key string) int {
	if s == nil {
		return 1
	}
	if line, ok := s.lines[key]; ok {
		return line
	}
	return s.line
}

// missing notes a required key that is not there.
func (s *section) missing(key, todo string) {
	if s != nil && !s.has(key) {
		s.f.bad(s.line, "%s is missing; add %s: %s", s.path+key, key, todo)
	}
}

// need notes a list that is missing or empty.
func (s *section) need(key, todo string) {
	s.missing(key, todo)
	if s != nil && s.has(key) && s.values[key].Kind == yaml.SequenceNode && len(s.values[key].Content) == 0 {
		s.f.bad(s.at(key), "%s is empty; write %s", s.path+key, todo)
	}
}

// done notes every key that nothing asked for.
func (s *section) done() {
	if s == nil {
		return
	}
	known := slices.Sorted(maps.Keys(s.asked))
	for key, line := range s.lines {
		if s.asked[key] {
			continue
		}
		if near := nearest(key, known); near != "" {
			s.f.bad(line, "%s is not a key of this file; did you mean %s?", s.path+shorten(key), near)
		} else {
			s.f.bad(line, "%s is not a key of this file; remove it (known here: %s)", s.path+shorten(key), strings.Join(known, ", "))
		}
	}
}

// list reads a sequence, item by item. A missing or wrong one has no items.
func (s *section) list(key string, most int) []*yaml.Node {
	n := s.take(key)
	switch {
	case n == nil:
		return nil
	case n.Kind != yaml.SequenceNode:
		s.f.bad(n.Line, "%s is %s; write a list, one \"- item\" a line", s.path+key, kind(n))
		return nil
	case len(n.Content) > most:
		s.f.bad(n.Line, "%s has %d items; at most %d are allowed", s.path+key, len(n.Content), most)
		return nil
	}
	return n.Content
}

// kind says in words what a node is.
func kind(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a set of keys"
	case yaml.SequenceNode:
		return "a list"
	}
	switch n.Tag {
	case "!!int", "!!float":
		return "a number"
	case "!!bool":
		return "true or false"
	case "!!null":
		return "empty"
	case "!!timestamp":
		return "a date"
	}
	return "text"
}

// shorten quotes a piece of the file for a message: no control characters, no flood.
func shorten(s string) string {
	const most = 60
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "..."
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 || r >= 0x2028 && r <= 0x202e || r >= 0x2066 && r <= 0x2069 {
			return '?'
		}
		return r
	}, s)
}

func or(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

// nearest finds the known key that a mistyped one most likely meant: at most two edits away.
func nearest(key string, known []string) string {
	best, most := "", 3
	if len(key) > 64 {
		return ""
	}
	for _, k := range known {
		if d := edits(key, k); d < most && d < len(k) {
			best, most = k, d
		}
	}
	return best
}

// edits is the Levenshtein distance of two short words.
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
