package config

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// maxProblems bounds a report: beyond it a file is not a configuration with mistakes but something else.
const maxProblems = 100

// Problem is one thing wrong in a file.
type Problem struct {
	File string // as given to LoadControl or LoadEdge
	Line int    // from 1
	What string // what is wrong; what to do
}

func (p Problem) String() string { return fmt.Sprintf("%s:%d: %s", p.File, p.Line, p.What) }

// Errors is everything wrong in a file, by line. It is never empty when returned as an error.
type Errors []Problem

// Error prints one problem a line.
func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i, p := range e {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// LoadControl reads and checks the file of a control node. Once the file could be read, an error is of type Errors.
func LoadControl(path string) (*Control, error) {
	f, data, err := open(path)
	if err != nil {
		return nil, err
	}
	c := f.control(data)
	if err := f.report(); err != nil {
		return nil, err
	}
	return c, nil
}

// LoadEdge reads and checks the file of an edge. Once the file could be read, an error is of type Errors.
func LoadEdge(path string) (*Edge, error) {
	f, data, err := open(path)
	if err != nil {
		return nil, err
	}
	e := f.edge(data)
	if err := f.report(); err != nil {
		return nil, err
	}
	return e, nil
}

func open(path string) (*file, []byte, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, nil, fmt.Errorf("read config %s: %w", path, err)
	}
	r, err := os.Open(path)
	if os.IsNotExist(err) {
		return nil, nil, fmt.Errorf("read config %s: there is no such file; cordon init writes one for each node", path)
	} else if err != nil {
		return nil, nil, fmt.Errorf("read config %s: %w", path, err)
	}
	defer r.Close()
	data, err := io.ReadAll(io.LimitReader(r, MaxFile+1))
	if err != nil {
		return nil, nil, fmt.Errorf("read config %s: %w", path, err)
	}
	return &file{name: path, base: filepath.Dir(abs), disk: look}, data, nil
}

// file collects what is wrong in one configuration file while it is decoded.
type file struct {
	name     string // as the user gave it
	base     string // folder that relative paths start from
	disk     func(path string, dir bool, source string) string
	problems Errors
}

// bad notes a problem. Notes beyond maxProblems are dropped: the file is refused all the same.
func (f *file) bad(line int, format string, args ...any) {
	if len(f.problems) < maxProblems {
		f.problems = append(f.problems, Problem{File: f.name, Line: max(line, 1), What: fmt.Sprintf(format, args...)})
	}
}

// report returns all problems in the order of the file, or nil.
func (f *file) report() error {
	if len(f.problems) == 0 {
		return nil
	}
	slices.SortStableFunc(f.problems, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), strings.Compare(a.What, b.What))
	})
	return slices.Compact(f.problems)
}

// look says what is wrong with a path as a file (or folder) on this machine, or "". source is where to get a file that is not there.
func look(path string, dir bool, source string) string {
	store, name := StoreOf(path)
	if store == TPM {
		path = name
	}
	if store == Credential {
		folder := os.Getenv("CREDENTIALS_DIRECTORY")
		if folder == "" {
			return fmt.Sprintf("%s needs systemd, which has not set CREDENTIALS_DIRECTORY; add LoadCredentialEncrypted=%s to the unit", path, name)
		}
		path = filepath.Join(folder, name)
	}
	info, err := os.Stat(path)
	switch {
	case os.IsNotExist(err) && dir:
		return "" // made at start
	case os.IsNotExist(err):
		return fmt.Sprintf("%s does not exist; %s", path, source)
	case err != nil:
		return fmt.Sprintf("%s cannot be looked at (%v); give the user that runs Cordon access to it", path, err)
	case dir && !info.IsDir():
		return fmt.Sprintf("%s is not a folder; name one that this process may fill", path)
	case !dir && !info.Mode().IsRegular():
		return fmt.Sprintf("%s is not a plain file; name the file itself", path)
	}
	return ""
}
