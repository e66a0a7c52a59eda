package operator

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Line of what a program said.
type Line struct {
	At   time.Time
	text string
}

// Field is the value of a key, up to the next space; empty without the key.
func (l Line) Field(key string) string { return field(l.text, key) }

func field(text, key string) string {
	_, rest, _ := strings.Cut(" "+text, " "+key+"=")
	value, _, _ := strings.Cut(rest, " ")
	return value
}

// Said are the lines with a message in a file with a program's output, in their order.
func Said(path, message string) (lines []Line, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	for l := range strings.Lines(string(text)) {
		if !strings.Contains(l, `msg="`+message+`"`) {
			continue
		}
		l = strings.TrimSpace(l)
		at, err := time.Parse(time.RFC3339Nano, field(l, "time"))
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", path, err)
		}
		lines = append(lines, Line{at, l})
	}
	return lines, nil
}

// Change of an edge's lists.
type Change struct {
	Active time.Time     // since when it is in force there
	Took   time.Duration // from the manifest that named it to answers from it
}

// Step of an edge's change.
type Step struct {
	Name string
	Took []time.Duration // in each change, in their order
}

// Steps are what an edge tells of the making of lists from deltas: all but taking the manifest, and the checks of the whole.
func Steps(output string) ([]Step, error) {
	lines, err := Said(output, "list made from deltas")
	if err != nil {
		return nil, err
	}
	steps := []Step{{Name: "fetching"}, {Name: "applying"}, {Name: "indexing"}, {Name: "pinning"}}
	for _, l := range lines {
		for i, s := range steps {
			took, err := time.ParseDuration(l.Field(s.Name))
			if err != nil {
				return nil, fmt.Errorf("edge does not say how long %s took: %w", s.Name, err)
			}
			steps[i].Took = append(steps[i].Took, took)
		}
	}
	return steps, nil
}

// Changes are those that an edge tells of in its output.
func Changes(output string) (changes []Change, err error) {
	lines, err := Said(output, "lists active")
	if err != nil {
		return nil, err
	}
	for _, l := range lines {
		took, err := time.ParseDuration(l.Field("took"))
		if err != nil {
			return nil, fmt.Errorf("edge does not say how long a change took: %w", err)
		}
		changes = append(changes, Change{Active: l.At, Took: took})
	}
	return changes, nil
}

// Output is the file with what the edge says.
func (o *Operator) Output() string { return filepath.Join(filepath.Dir(o.Edge()), "output") }
