package identity

import (
	"errors"
	"fmt"
	"path/filepath"
	"time"
)

// auditorLife is how long an auditor's certificate is good. No log entry ends it earlier: what it opens is a bounded number of lookups a day.
const auditorLife = 366 * 24 * time.Hour

// AddAuditor makes a client certificate for an auditor, below dir, the directory of Init: NAME/auditor.crt, NAME/auditor.key. It returns the
// folder, which is to be handed to the auditor whole. ErrExists when there is one of this name.
func AddAuditor(dir, name string) (string, error) {
	c, err := loadMade(dir)
	if err != nil {
		return "", err
	}
	if err := checkNodeName(name); err != nil {
		return "", fmt.Errorf("add auditor: %w", err)
	}
	ca, err := loadAuthority(filepath.Join(dir, "ca"), c)
	if err != nil {
		return "", err
	}
	cert, key, err := ca.issue(RoleAuditor, name)
	if err != nil {
		return "", err
	}
	home := filepath.Join(dir, "auditor-"+name)
	err = whole(home, func(tmp string) error {
		w := &writer{dir: tmp}
		w.public("auditor.crt", cert)
		w.secret("auditor.key", key)
		return w.err
	})
	if err != nil {
		return "", errors.Join(fmt.Errorf("add auditor %s", name), err)
	}
	return home, nil
}
