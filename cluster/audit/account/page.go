package account

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
)

var (
	//go:embed page.html
	pageHTML string
	//go:embed page.css
	pageCSS string

	//go:embed certificate.html
	certificateHTML string

	layout          = template.Must(template.New("page").Parse(pageHTML))
	certificatePage = template.Must(template.New("certificate").Parse(certificateHTML))
)

// WriteHTML writes the page.
func (d *Document) WriteHTML(w io.Writer) error { return write(layout, w, d) }

// write fills a page in. The only style that a browser takes is the one in it.
func write(page *template.Template, w io.Writer, d any) error {
	sum := sha256.Sum256([]byte(pageCSS))
	err := page.Execute(w, struct {
		D         any
		Style     template.CSS
		StyleHash string
	}{d, template.CSS(pageCSS), base64.StdEncoding.EncodeToString(sum[:])})
	if err != nil {
		return fmt.Errorf("write %s: %w", page.Name(), err)
	}
	return nil
}

// WriteJSON writes the document as one JSON object.
func (d *Document) WriteJSON(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(d)
}
