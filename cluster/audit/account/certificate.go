package account

import (
	"bytes"
	"fmt"
	"io"
	"strings"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/cluster/audit/certificate"
)

// Certificate is a scope certificate on a page: what an auditor found when he made it again, and what it says.
type Certificate struct {
	Document certificate.Document
	Pass     bool          // the log makes it, and officers have signed it
	Checks   []audit.Check // what was held against the log
}

// WriteHTML writes the page. It has no more in it than the document and the checks, needs nothing else, and prints.
func (c Certificate) WriteHTML(w io.Writer) error {
	var text bytes.Buffer
	if err := c.Document.WriteText(&text); err != nil {
		return fmt.Errorf("write certificate: %w", err)
	}
	_, words, _ := strings.Cut(text.String(), "\n") // its first line is the page's heading
	facts := writer{d: &Document{}, f: &c.Document.Facts}
	return write(certificatePage, w, struct {
		Certificate
		Failed []audit.Check
		Hash   string
		Words  []string
		Tables []Table
	}{c, (&Document{Checks: c.Checks}).Failed(), fmt.Sprintf("%x", c.Document.Hash()), paragraphs(words),
		[]Table{facts.charters(), facts.kinds(), facts.versionTable(), facts.refusals(), facts.removals(), facts.alarms(), facts.nodes(), facts.leaves()}})
}

// paragraphs are what empty lines part.
func paragraphs(text string) (out []string) {
	for p := range strings.SplitSeq(text, "\n\n") {
		if p = strings.TrimSpace(p); p != "" {
			out = append(out, p)
		}
	}
	return out
}
