package config

import (
	"fmt"
	"regexp"
	"strconv"

	"go.yaml.in/yaml/v4"
)

// StructuredErrors is the text with the signal for clients that ask for it: the section structured_errors. The zero value: none.
type StructuredErrors struct {
	Option         int    // option: number of the EDNS option that asks for it: 15 (an empty EDE), or 26 as in later drafts
	Law, Voluntary string // law, voluntary: why, by the entry's basis; at most 120 characters each
	Organization   string // organization: who runs this block, at most 60 characters
	Language       string // language: of these texts, like en or pt-BR
}

// What the texts say when the file does not. They name no site, and no more than the stop page.
const (
	DefaultLawText       = "child sexual abuse material, assessed by a hotline; blocked by law or order"
	DefaultVoluntaryText = "child sexual abuse material, assessed by a hotline; blocked voluntarily"
)

func (s *section) structuredErrors() (e StructuredErrors) {
	n := s.take("structured_errors")
	if n == nil {
		return e
	}
	in := s.f.section(n, "structured_errors")
	e = StructuredErrors{
		Option:    must(in, "option", "15, or 26 for clients of later drafts", number(1, 65535)),
		Law:       read(in, "law", DefaultLawText, sentence(120)),
		Voluntary: read(in, "voluntary", DefaultVoluntaryText, sentence(120)), Organization: read(in, "organization", "", sentence(60)),
		Language: read(in, "language", "en", languageTag),
	}
	in.done()
	return e
}

var tag = regexp.MustCompile(`^[a-zA-Z]{2,8}(-[a-zA-Z0-9]{1,8}){0,4}$`)

func languageTag(n *yaml.Node) (string, string) {
	s, wrong := scalar(n)
	if wrong == "" && !tag.MatchString(s) {
		wrong = fmt.Sprintf("%q is not a language tag; write one like en or pt-BR", shorten(s))
	}
	return s, wrong
}

func (w *writer) structuredErrors(e StructuredErrors) {
	if e.Option == 0 {
		w.set("structured_errors", "")
		return
	}
	w.open("structured_errors")
	w.line("  option: " + strconv.Itoa(e.Option))
	for _, one := range []struct{ key, text string }{
		{"law", e.Law}, {"voluntary", e.Voluntary}, {"organization", e.Organization}, {"language", e.Language},
	} {
		if one.text != "" {
			w.line("  " + one.key + ": " + quote(one.text))
		}
	}
}
