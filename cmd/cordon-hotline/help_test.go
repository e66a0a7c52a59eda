package main

import (
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// commands are those that do something, with their whole names.
func commands(c *cobra.Command) (all []*cobra.Command) {
	if !c.HasSubCommands() || c.Name() == "officer" { // officer makes a key, and holds sign
		all = append(all, c)
	}
	for _, sub := range c.Commands() {
		all = append(all, commands(sub)...)
	}
	return all
}

func TestEveryCommandHasAnExampleThatIsOne(t *testing.T) {
	for _, c := range commands(rootCommand()) {
		if c.Example == "" {
			t.Errorf("%s --help has no example", c.CommandPath())
		}
		for line := range strings.SplitSeq(strings.ReplaceAll(c.Example, "\\\n", ""), "\n") {
			words := example(line)
			if len(words) == 0 {
				continue
			}
			found, rest, err := rootCommand().Find(words)
			if err != nil || found.CommandPath() != c.CommandPath() {
				t.Errorf("%s: the example %q is not of this command", c.CommandPath(), line)
				continue
			}
			if err := found.ParseFlags(rest); err != nil {
				t.Errorf("%s: the example %q: %v", c.CommandPath(), line, err)
			} else if err := found.ValidateArgs(found.Flags().Args()); err != nil {
				t.Errorf("%s: the example %q: %v", c.CommandPath(), line, err)
			} else if err := found.ValidateRequiredFlags(); err != nil {
				t.Errorf("%s: the example %q: %v", c.CommandPath(), line, err)
			}
		}
	}
}

// example gives the arguments of a line that runs cordon-hotline, as a shell would cut it; nothing for other lines.
func example(line string) []string {
	line, _, _ = strings.Cut(line, " > ")
	line, _, _ = strings.Cut(line, "   #")
	if _, after, ok := strings.Cut(line, " | "); ok {
		line = after
	}
	rest, ok := strings.CutPrefix(strings.TrimSpace(line), "cordon-hotline ")
	if !ok {
		return nil
	}
	var words []string
	for i, part := range strings.Split(rest, `"`) {
		switch {
		case i%2 == 0:
			words = append(words, strings.Fields(part)...)
			if strings.HasSuffix(part, "=") {
				words[len(words)-1] += "\x00" // the quoted part belongs to it
			}
		case len(words) > 0 && strings.HasSuffix(words[len(words)-1], "\x00"):
			words[len(words)-1] = strings.TrimSuffix(words[len(words)-1], "\x00") + part
		default:
			words = append(words, part)
		}
	}
	return words
}
