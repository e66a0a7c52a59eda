package dev

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/cordon-project/cordon/listsync/publish"
)

const (
	hotlineID = "dev-hotline"
	moreName  = "one-more.test" // in the file that a person imports while the picture runs
	moreFile  = "one-more.csv"
)

// hotline is a throw-away hotline, made through the very calls that cordon-hotline makes.
type hotline struct {
	dir, repository string
	root            string // path of its pinned root.json
	officers        []string
	canary          string
	listed          []string // names that DNS stops: law first, voluntary last
	unlisted        []string
	urls            []string // page entries, which DNS alone must let pass
	hotline         *publish.Hotline
}

// newHotline makes authority, officers and hotline below dir and has the hotline accredited.
func newHotline(dir string) (*hotline, error) {
	h := &hotline{
		dir:      filepath.Join(dir, "hotline"),
		canary:   "canary.dev-hotline.test",
		listed:   []string{"listed-by-law.test", "www.listed-by-law.test", "listed-by-order.test", "listed-voluntarily.test"},
		unlisted: []string{"allowed.test", "www.allowed.test", "pages.test"},
		urls:     []string{"http://pages.test/album/one.html?picture=7", "http://pages.test/gallery/"},
	}
	var c publish.Config
	authority := filepath.Join(dir, "authority")
	if _, err := publish.InitAuthority(c, authority, true); err != nil {
		return nil, err
	}
	var pubs []string
	for i := range 3 {
		home := filepath.Join(dir, fmt.Sprintf("officer-%d", i+1))
		if _, err := publish.NewOfficer(c, home, ""); err != nil {
			return nil, err
		}
		h.officers = append(h.officers, home)
		pubs = append(pubs, filepath.Join(home, "officer.pub"))
	}
	var err error
	h.hotline, err = publish.Init(c, publish.InitOptions{
		Dir: h.dir, ID: hotlineID, Name: "Development hotline", List: hotlineID + "/main", Canary: h.canary, Officers: pubs, Threshold: 2,
	})
	if err != nil {
		return nil, err
	}
	h.repository = filepath.Join(h.dir, "repository")
	accredited := filepath.Join(dir, "accreditation")
	unsigned, err := publish.Accredit(c, publish.AccreditOptions{
		Dir: authority, Request: filepath.Join(h.dir, "request.json"), Out: accredited, ValidDays: 365,
		Jurisdictions: []string{"XA"}, Bases: []string{"law", "order", "voluntary"}, Kinds: []string{"url", "prefix", "host", "domain"},
	})
	if err != nil {
		return nil, err
	}
	h.root = unsigned.Sign[0]
	for _, signer := range []string{"root-1", "root-2", "root-3"} {
		if _, err := publish.SignMetadata(c, filepath.Join(authority, signer), unsigned.Sign[0]); err != nil {
			return nil, err
		}
	}
	for _, signer := range []string{"accreditation-1", "accreditation-2"} {
		if _, err := publish.SignMetadata(c, filepath.Join(authority, signer), unsigned.Sign[1]); err != nil {
			return nil, err
		}
	}
	if _, err := h.hotline.Accept(accredited); err != nil {
		return nil, err
	}
	return h, h.writeMore(dir)
}

// row is a line of an import as two assessors would write it.
func row(expression, kind, basis string, review time.Time) string {
	reason := ""
	if kind == "host" || kind == "domain" {
		reason = "synthetic entry of the development picture"
	}
	return strings.Join([]string{expression, kind, "csam-baseline", basis, "XA", review.Format(time.DateOnly), "assessor-a", "assessor-b", reason}, ",")
}

func reviewDate() time.Time { return time.Now().AddDate(0, 0, 170).UTC() }

// writeMore leaves a file with one more entry for a person to import.
func (h *hotline) writeMore(dir string) error {
	text := publish.Header + "\n" + row(moreName, "host", "law", reviewDate()) + "\n"
	return os.WriteFile(filepath.Join(dir, moreFile), []byte(text), 0o600)
}

// publishFor signs and publishes the first version, with its keys wrapped for the operator of clusterPub.
func (h *hotline) publishFor(clusterPub string) error {
	if _, err := h.hotline.AddOperator(clusterPub); err != nil {
		return err
	}
	review := reviewDate()
	rows := []string{
		publish.Header,
		row(h.listed[0], "domain", "law", review), // www. below it is covered
		row(h.listed[2], "host", "order", review),
		row(h.listed[3], "host", "voluntary", review),
		row(h.urls[0], "url", "law", review),
		row(h.urls[1], "prefix", "voluntary", review),
	}
	if _, err := h.hotline.Import(strings.NewReader(strings.Join(rows, "\n") + "\n")); err != nil {
		return err
	}
	for _, officer := range h.officers[:2] {
		if _, err := h.hotline.Sign(officer); err != nil {
			return err
		}
	}
	_, err := h.hotline.Publish("")
	return err
}
