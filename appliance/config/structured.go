package config

import (
	"fmt"
	"regexp"
	"strconv"

	"go.yaml.in/yaml/v4"
)

// StructuredErrors is the text with the signal for clients that ask for it: the section structured_errors. The zero value: none.
type StructuredErrors struct {
	Option         int    // option: number of the EDNS option that asks for it: 15 (an EDE with code 0 and no text), 26 as in later drafts, or 65001 to 65534 in an experiment
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
		Option:    must(in, "option", "15, or 26 for clients of later drafts", asksForText),
		Law:       read(in, "law", DefaultLawText, sentence(120)),
		Voluntary: read(in, "voluntary", DefaultVoluntaryText, sentence(120)), Organization: read(in, "organization", "", sentence(60)),
		Language: read(in, "language", "en", languageTag),
	}
	in.done()
	return e
}

// asksForText reads an option that no client sends for something else: the two of the drafts, and RFC 6891's range for experiments. With any other
// number, such as that of cookies, who never asked would be given a text.
func asksForText(n *yaml.Node) (int, string) {
	v, wrong := number(1, 65535)(n)
	if wrong == "" && v != 15 && v != 26 && (v < 65001 || v > 65534) {
		wrong = fmt.Sprintf("%d is not an option that asks for a text; write 15, 26 for clients of later drafts, or one from 65001 to 65534 for an experiment", v)
	}
	return v, wrong
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
