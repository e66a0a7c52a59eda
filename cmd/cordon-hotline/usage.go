package main

import (
	"regexp"
	"strings"

	"github.com/spf13/cobra"
)

// What the library that reads the command line says is for programmers; these are the same things for everyone else.
var usageWords = []struct {
	library *regexp.Regexp
	plain   func(parts []string) string
}{
	{regexp.MustCompile(`^required flag\(s\) (.*) not set$`), func(p []string) string {
		names := regexp.MustCompile(`"([^"]*)"`).ReplaceAllString(p[1], "--$1")
		if i := strings.LastIndex(names, ", "); i >= 0 {
			return names[:i] + " and " + names[i+2:] + " are missing"
		}
		return names + " is missing"
	}},
	{regexp.MustCompile(`^invalid argument (".*") for "(?:-., )?(--[a-z-]+)" flag: strconv\..*$`), func(p []string) string {
		return p[2] + " takes a number, and " + p[1] + " is none"
	}},
	{regexp.MustCompile(`^accepts (?:at most )?(\d+) arg\(s\), received (\d+)$`), func(p []string) string {
		switch {
		case p[2] == "0":
			return "something is missing after the command: see how it is used"
		}
		return p[2] + " things are named after the command, which takes " + p[1] + "; put a name with spaces in quotes"
	}},
	{regexp.MustCompile(`^unknown command (".*") for ".* .*"$`), func(p []string) string {
		return "this command takes flags only, and " + p[1] + " is none"
	}},
	{regexp.MustCompile(`^requires at least (\d+) arg\(s\), only received (\d+)$`), func([]string) string {
		return "something is missing after the command: see how it is used"
	}},
}

// plainUsage puts an error of the command line in plain words. A group's unknown command has them already.
func plainUsage(c *cobra.Command, err error) string {
	if c.HasSubCommands() && strings.HasPrefix(err.Error(), "unknown command ") {
		return err.Error()
	}
	for _, w := range usageWords {
		if parts := w.library.FindStringSubmatch(err.Error()); parts != nil {
			return w.plain(parts)
		}
	}
	return err.Error()
}
