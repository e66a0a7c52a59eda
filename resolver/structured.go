package resolver

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/cordon-project/cordon/resolver/wire"
)

// Structured says what a client is told beside the Extended DNS Error of a listed name, when it asks (draft-ietf-dnsop-structured-dns-error). The
// zero value is silence.
type Structured struct {
	// Option is the EDNS option whose presence in a query asks for it: 15 (an EDE with code 0) in the drafts up to 2025, 26 in later ones.
	Option uint16
	// Contact is where complaints go, a mailto: or tel: URL.
	Contact string
	// Law and Voluntary say why, by the entry's basis; Organization who keeps the name from being found; Language is theirs (BCP 47).
	Law, Voluntary, Organization, Language string
}

// maxStructured bounds an answer with a text: one block of padding (RFC 8467), so that over encrypted transports it is as long as any other,
// with room for the padding option itself.
const maxStructured = 468 - 4

// subOperator is the sub-error for what the operator of the resolver decided, which is right for a voluntary list and for nothing else.
const subOperator = 6

// structured is Structured as JSON.
type structured struct {
	option         uint16
	law, voluntary [][]byte // the longest first
}

// extra is the JSON in EXTRA-TEXT.
type extra struct {
	Contact       []string `json:"c"`
	Justification string   `json:"j,omitempty"`
	SubError      int      `json:"s,omitempty"`
	Organization  string   `json:"o,omitempty"`
	Language      string   `json:"l,omitempty"`
}

func newStructured(c Structured) (*structured, error) {
	if c == (Structured{}) {
		return nil, nil
	}
	if c.Option == 0 || !strings.HasPrefix(c.Contact, "mailto:") && !strings.HasPrefix(c.Contact, "tel:") {
		return nil, errors.New("structured errors need the number of an option, and a mailto: or tel: URL as contact")
	}
	out := &structured{option: c.Option}
	var err error
	if out.law, err = c.texts(c.Law, 0); err == nil { // Censored never has a sub-error
		out.voluntary, err = c.texts(c.Voluntary, subOperator)
	}
	return out, err
}

// texts are the JSON of one basis: whole, without the organization, and without the justification as well.
func (c *Structured) texts(why string, sub int) (all [][]byte, err error) {
	for _, x := range []extra{
		{[]string{c.Contact}, why, sub, c.Organization, c.Language}, {[]string{c.Contact}, why, sub, "", c.Language}, {[]string{c.Contact}, "", sub, "", ""},
	} {
		if x.Justification == "" && x.Organization == "" {
			x.Language = "" // of nothing
		}
		var b bytes.Buffer
		enc := json.NewEncoder(&b)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(x); err != nil {
			return nil, fmt.Errorf("structured errors: %w", err)
		}
		text := bytes.TrimSpace(b.Bytes())
		if len(all) == 0 || len(text) < len(all[len(all)-1]) {
			all = append(all, text)
		}
	}
	return all, nil
}

// optionEDE in a query asks only when it is empty and its code is 0.
const optionEDE = 15

// asked is whether a client wants a text.
func (s *structured) asked(q *wire.Query, query []byte) bool {
	data, ok := q.Option(query, s.option)
	return ok && (s.option != optionEDE || len(data) == 2 && data[0] == 0 && data[1] == 0)
}

// fitting is the longest text that fits into room, nil for none.
func (s *structured) fitting(law bool, room int) []byte {
	all := s.voluntary
	if law {
		all = s.law
	}
	for _, text := range all {
		if len(text) <= room {
			return text
		}
	}
	return nil
}
