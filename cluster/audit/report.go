package audit

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/cordon-project/cordon/listsync/trust"
)

// The checks of a report, in the order they are made.
const (
	CheckBundle      = "bundle"      // a well-formed archive
	CheckTrust       = "trust"       // of the cluster that is trusted
	CheckCheckpoint  = "checkpoint"  // cosigned by a quorum, fresh enough
	CheckConsistency = "consistency" // continues what the last visit saw (only with a last visit)
	CheckLog         = "log"         // the leaves are the checkpoint's
	CheckReplay      = "replay"      // each leaf's in-force hash is what replay yields
	CheckMetadata    = "metadata"    // hotlines signed what the leaves say
	CheckCharter     = "charter"     // scope csam, valid at that time, filter the charter's
	CheckPublicLog   = "publiclog"   // each version is in its hotline's public log, and that only ever grew
	CheckVerdicts    = "verdicts"    // a quorum of members had checked each version
	CheckWithdrawals = "withdrawals" // each removal is a hotline's
	CheckOrders      = "orders"      // what the operator decided was signed by two officers, and nothing held came into force without them
	CheckLists       = "lists"       // files are the signed and logged ones
	CheckVersions    = "versions"    // nothing hidden, nothing rolled back
	CheckReceipts    = "receipts"    // edges serve what the lists compile to
)

// maxCauses is how many causes of one check are kept; the rest is counted.
const maxCauses = 20

// Check is one line of a report.
type Check struct {
	Name    string   `json:"name"`
	Pass    bool     `json:"pass"`
	Skipped bool     `json:"skipped,omitempty"` // not made, because an earlier one failed; not a pass
	Detail  string   `json:"detail"`            // what was found true, or the first cause
	Causes  []string `json:"causes,omitempty"`  // of a FAIL
}

// Report is what a verification found. Text in it that came from the input is escaped: it has no
// control characters.
type Report struct {
	Pass       bool              `json:"pass"`
	Cluster    string            `json:"cluster"` // the trusted one
	Checkpoint *ReportCheckpoint `json:"checkpoint,omitempty"`
	Checks     []Check           `json:"checks"`
	Notes      []string          `json:"notes,omitempty"` // worth knowing, not wrong

	visit   *Visit
	note    []byte
	leaves  []Leaf
	served  *Served
	moments []Moment
	logged  []Logged
	logKeys map[trust.HotlineID]string // of the public logs that charters named, the newest of each hotline

	uncertified int
}

// ReportCheckpoint is the verified checkpoint.
type ReportCheckpoint struct {
	Origin   string    `json:"origin"`
	Size     uint64    `json:"size"`
	Root     string    `json:"root"` // hex
	SignedBy []string  `json:"signed_by"`
	Fresh    time.Time `json:"fresh"`
	Age      string    `json:"age"`
}

// Visit is what the tool remembers of the log between visits, when consistency and log passed; else nil.
func (r *Report) Visit() *Visit { return r.visit }

// Note is the checkpoint as it is signed, nil when the bundle has none.
func (r *Report) Note() []byte { return r.note }

// Leaves are the log's records, once they are known to be the checkpoint's; else nil.
func (r *Report) Leaves() []Leaf { return r.leaves }

// Check finds a check by name.
func (r *Report) Check(name string) (Check, bool) {
	for _, c := range r.Checks {
		if c.Name == name {
			return c, true
		}
	}
	return Check{}, false
}

// WriteText prints a line for each check and one for the whole.
func (r *Report) WriteText(w io.Writer) error {
	var b strings.Builder
	failed := 0
	for _, c := range r.Checks {
		word := "FAIL"
		switch {
		case c.Pass:
			word = "PASS"
		case c.Skipped:
			word = "----"
		default:
			failed++
		}
		fmt.Fprintf(&b, "%s  %-12s %s\n", word, c.Name, c.Detail)
		for i, cause := range c.Causes {
			if i > 0 {
				fmt.Fprintf(&b, "%19s%s\n", "", cause)
			}
		}
	}
	for _, n := range r.Notes {
		fmt.Fprintf(&b, "note  %s\n", n)
	}
	of := ""
	if r.Cluster != "" {
		of = "cluster " + r.Cluster + ": "
	}
	if r.Pass {
		fmt.Fprintf(&b, "\nPASS  %sall %d checks\n", of, len(r.Checks))
	} else {
		fmt.Fprintf(&b, "\nFAIL  %s%d of %d checks failed\n", of, failed, len(r.Checks))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// WriteJSON prints the report as one JSON object.
func (r *Report) WriteJSON(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(r)
}

// Escape makes text from outside fit for a terminal and a log: control characters, text direction
// marks and invalid UTF-8 become escapes, and it ends after 400 characters.
func Escape(s string) string {
	var b strings.Builder
	n := 0
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		if n++; n > 400 {
			b.WriteString("…")
			break
		}
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case !strconv.IsPrint(r):
			q := strconv.QuoteRuneToASCII(r)
			b.WriteString(q[1 : len(q)-1])
		default:
			b.WriteRune(r)
		}
		i += size
	}
	return b.String()
}

// clip bounds a hostile string inside of an error.
func clip(s string) string {
	if len(s) > 100 {
		return s[:100] + "..."
	}
	return s
}
