package audit

import (
	"fmt"
	"strings"

	"github.com/cordon-project/cordon/listsync/trust"
	"github.com/cordon-project/cordon/resolver/match"
)

// checkListOf holds a list id to its form and to its hotline: "hotline/list".
func checkListOf(h trust.HotlineID, l match.ListID) error {
	if err := checkHotline(h); err != nil {
		return err
	}
	if _, err := match.ParseListID(string(l)); err != nil {
		return fmt.Errorf("list id %q: %w", clip(string(l)), ErrFormat)
	}
	if of, _, _ := strings.Cut(string(l), "/"); of != string(h) {
		return fmt.Errorf("list %q is not of hotline %q: %w", clip(string(l)), string(h), ErrMismatch)
	}
	return nil
}

// checkHotline accepts [a-z0-9][a-z0-9-]{0,30}, the first half of a list id.
func checkHotline(h trust.HotlineID) error {
	if len(h) == 0 || len(h) > 31 {
		return fmt.Errorf("hotline id %q: %w", clip(string(h)), ErrFormat)
	}
	for i := 0; i < len(h); i++ {
		if c := h[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && (c != '-' || i == 0) {
			return fmt.Errorf("hotline id %q: %w", clip(string(h)), ErrFormat)
		}
	}
	return nil
}

// checkName holds a node's name to what certificates, notes and the log can all carry: lower-case
// letters, digits, dots and hyphens, at most 64, beginning and ending with a letter or digit.
func checkName(what, name string) error {
	ok := name != "" && len(name) <= 64
	for i := 0; ok && i < len(name); i++ {
		switch c := name[i]; {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9':
		case (c == '-' || c == '.') && i > 0 && i < len(name)-1:
		default:
			ok = false
		}
	}
	if !ok {
		return fmt.Errorf("%s name %q: %w", what, clip(name), ErrFormat)
	}
	return nil
}

// checkRecipient accepts an age recipient's shape (or none); age itself is listsync/trust's business.
func checkRecipient(r string) error {
	if r == "" {
		return nil
	}
	if !strings.HasPrefix(r, "age1") || len(r) > 4096 {
		return fmt.Errorf("age recipient: %w", ErrFormat)
	}
	for i := 0; i < len(r); i++ {
		if c := r[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return fmt.Errorf("age recipient: %w", ErrFormat)
		}
	}
	return nil
}
