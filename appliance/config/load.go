package config

import (
	"errors"
	"fmt"
	"strings"
)

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

// LoadControl reads the file of a control node. The error is Errors when the file could be read at all.
func LoadControl(path string) (*Control, error) { return nil, errors.New("config: unbuilt") }

// LoadEdge reads the file of an edge. The error is Errors when the file could be read at all.
func LoadEdge(path string) (*Edge, error) { return nil, errors.New("config: unbuilt") }

// YAML writes c as a file with the manual in comments. Loading it gives c again, its relative paths resolved.
func (c *Control) YAML() []byte { return nil }

// YAML writes e as a file with the manual in comments. Loading it gives e again, its relative paths resolved.
func (e *Edge) YAML() []byte { return nil }
