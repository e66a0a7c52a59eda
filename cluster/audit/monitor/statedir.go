package monitor

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cordon-project/cordon/cluster/audit"
)

// Names in the directory.
const (
	visitName      = "visit"
	checkpointName = "checkpoint"
	problemsName   = "problems.json"
	evidenceName   = "evidence"

	maxProblems = 1 << 20 // bytes of problems.json
	maxEvidence = 256     // lies that are kept: more of them say nothing new
	unfinished  = ".new-" // begins the name of evidence that is being written
)

// trouble is a problem that has begun: it is said once, and once that it ended, also across restarts.
type trouble struct {
	Node  string    `json:"node"`
	What  string    `json:"what"`
	Text  string    `json:"text"`
	Since time.Time `json:"since"`
}

func (t trouble) compare(o trouble) int {
	return cmp.Or(cmp.Compare(t.Node, o.Node), cmp.Compare(t.What, o.What))
}

// load reads what an earlier run left.
func (m *Monitor) load(cluster string) error {
	if err := os.MkdirAll(m.c.Dir, 0o700); err != nil {
		return err
	}
	b, err := m.read(visitName, audit.MaxVisit)
	if err != nil {
		return err
	}
	if b != nil {
		if m.visit, err = audit.ParseVisit(b); err != nil {
			return fmt.Errorf("%s: %w", filepath.Join(m.c.Dir, visitName), err)
		}
		if m.visit.Cluster != cluster {
			return fmt.Errorf("%s is of cluster %s, the trust file of %s", filepath.Join(m.c.Dir, visitName), m.visit.Cluster, cluster)
		}
		if m.visit.Verified(m.c.Trust) > 0 { // else the trust file is another one: all is verified anew
			if m.roots, err = m.visit.Roots(); err != nil {
				return err
			}
		}
	}
	if m.note, err = m.read(checkpointName, audit.MaxCheckpoint); err != nil {
		return err
	}
	if m.note != nil && m.visit == nil {
		return fmt.Errorf("%s is gone, and with it what was verified; %s beside it is still there: put it back from a backup, or begin anew in an empty directory and keep this one",
			filepath.Join(m.c.Dir, visitName), checkpointName)
	}
	left, err := filepath.Glob(filepath.Join(m.c.Dir, evidenceName, unfinished+"*"))
	if err != nil {
		return err
	}
	more, err := filepath.Glob(filepath.Join(m.c.Dir, tempPrefix+"*"))
	if err != nil {
		return err
	}
	for _, path := range append(left, more...) { // of a crash
		if err := os.RemoveAll(path); err != nil {
			return err
		}
	}
	b, err = m.read(problemsName, maxProblems)
	if err != nil || b == nil {
		return err
	}
	if err := json.Unmarshal(b, &m.open); err != nil {
		return fmt.Errorf("%s is damaged: %w", filepath.Join(m.c.Dir, problemsName), err)
	}
	m.open = slices.DeleteFunc(m.open, func(t trouble) bool { return !slices.Contains(m.c.Nodes, t.Node) })
	slices.SortFunc(m.open, trouble.compare)
	return nil
}

// read reads a file of the directory; nil when it is not there.
func (m *Monitor) read(name string, limit int64) ([]byte, error) {
	f, err := os.Open(filepath.Join(m.c.Dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(b)) > limit {
		err = fmt.Errorf("%s has more than %d bytes", f.Name(), limit)
	}
	return b, err
}

// save keeps the visit first: a checkpoint without one is a visit that somebody took away.
func (m *Monitor) save(v *audit.Visit, note []byte) error {
	if err := write(filepath.Join(m.c.Dir, visitName), v.Encode()); err != nil {
		return err
	}
	return write(filepath.Join(m.c.Dir, checkpointName), note)
}

// settle says which problems begin and which have ended, and remembers those that last.
func (m *Monitor) settle(found []trouble) error {
	slices.SortFunc(found, trouble.compare)
	begins, ends := []trouble{}, []trouble{}
	for i, t := range found {
		if at, ok := slices.BinarySearchFunc(m.open, t, trouble.compare); ok {
			found[i].Since = m.open[at].Since
		} else {
			begins = append(begins, t)
		}
	}
	for _, t := range m.open {
		if _, ok := slices.BinarySearchFunc(found, t, trouble.compare); !ok {
			ends = append(ends, t)
		}
	}
	if len(begins)+len(ends) == 0 {
		return nil
	}
	b, err := json.MarshalIndent(found, "", "  ")
	if err != nil {
		return err
	}
	if err := write(filepath.Join(m.c.Dir, problemsName), append(b, '\n')); err != nil {
		return err
	}
	m.open = found
	for _, t := range ends {
		m.tell(Event{Kind: Ended, Node: t.Node, What: t.What, Text: fmt.Sprintf("%s no more, since %s", t.What, t.Since.UTC().Format(time.RFC3339))})
	}
	for _, t := range begins {
		m.tell(Event{Kind: Problem, Node: t.Node, What: t.What, Text: t.What + ": " + t.Text})
	}
	return nil
}

// evidence keeps both checkpoints and the report in a directory of its own, and gives its path. A lie that is told again, after a restart, has
// its evidence already.
func (m *Monitor) evidence(lie string, note, report []byte) (string, error) {
	base := filepath.Join(m.c.Dir, evidenceName)
	if err := os.MkdirAll(base, 0o700); err != nil {
		return "", err
	}
	sum := sha256.Sum256([]byte(lie))
	id := "-" + hex.EncodeToString(sum[:8])
	kept, err := os.ReadDir(base)
	if err != nil {
		return "", err
	}
	for _, e := range kept {
		if strings.HasSuffix(e.Name(), id) {
			return filepath.Join(base, e.Name()), nil
		}
	}
	if len(kept) >= maxEvidence {
		return base + ", of " + strconv.Itoa(len(kept)) + " lies before this one", nil
	}
	tmp, err := os.MkdirTemp(base, unfinished)
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(tmp)
	for name, b := range map[string][]byte{"verified.checkpoint": m.note, "shown.checkpoint": note, "report.txt": report} {
		if len(b) == 0 {
			continue
		}
		if err := write(filepath.Join(tmp, name), b); err != nil {
			return "", err
		}
	}
	dir := filepath.Join(base, m.c.Clock().UTC().Format("20060102T150405Z")+id)
	return dir, os.Rename(tmp, dir)
}

// tempPrefix begins the name of a file that is being written.
const tempPrefix = ".monitor-"

// write replaces a file whole, so that a crash leaves the old one or the new one.
func write(path string, b []byte) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), tempPrefix+"*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(b)
	if err = errors.Join(err, tmp.Sync(), tmp.Close()); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), path)
}
