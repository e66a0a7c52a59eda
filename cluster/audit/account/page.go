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

	layout = template.Must(template.New("page").Parse(pageHTML))
)

// WriteHTML writes the page.
func (d *Document) WriteHTML(w io.Writer) error {
	sum := sha256.Sum256([]byte(pageCSS))
	err := layout.Execute(w, struct {
		D         *Document
		Style     template.CSS
		StyleHash string
	}{d, template.CSS(pageCSS), base64.StdEncoding.EncodeToString(sum[:])})
	if err != nil {
		return fmt.Errorf("write account: %w", err)
	}
	return nil
}

// WriteJSON writes the document as one JSON object.
func (d *Document) WriteJSON(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(d)
}
