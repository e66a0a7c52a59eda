package main

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/cordon-project/cordon/cluster/audit"
	"github.com/cordon-project/cordon/listsync/list"
	"github.com/cordon-project/cordon/listsync/trust"
)

// A sample's directory: sample.json says what it is and keeps the verdicts; entries.csv has what was shown.
const (
	sampleFile  = "sample.json"
	entriesFile = "entries.csv"
)

type sample struct {
	V        int               `json:"v"`
	Request  string            `json:"request"`
	List     string            `json:"list"`
	Seq      uint64            `json:"seq"`
	Of       int               `json:"of"` // entries in the version
	Records  []uint32          `json:"records"`
	Verdicts map[uint32]string `json:"verdicts"`
	By       map[uint32]string `json:"by"`
}

// verdicts is the closed set of what a reviewer can say of an entry.
var verdicts = []string{"csam", "not_csam", "gone", "unsure"}

func newSample(d audit.Drawing, e *list.Edge, s trust.Sample) *sample {
	x := &sample{
		V: 1, Request: fmt.Sprintf("%x", d.Request), List: string(d.List), Seq: d.Seq, Of: len(list.Sampled(e)), Records: []uint32{}, Verdicts: map[uint32]string{}, By: map[uint32]string{},
	}
	for _, r := range s.Shown {
		x.Records = append(x.Records, r.Record)
	}
	return x
}

func (s *sample) save(dir string, shown trust.Sample, e *list.Edge) error {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return unwritten(dir, err)
	}
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	_ = w.Write([]string{"record", "kind", "expression", "basis", "since", "review_by", "verdict", "reviewer"})
	for _, x := range shown.Shown {
		r := e.Record(int(x.Record))
		day := func(t uint32) string { return time.Unix(int64(t), 0).UTC().Format("2006-01-02") }
		_ = w.Write([]string{strconv.FormatUint(uint64(x.Record), 10), x.Kind.String(), x.Expression, r.Basis.String(), day(r.Since), day(r.ReviewBy), "", ""})
	}
	w.Flush()
	if err := writeNew(filepath.Join(dir, entriesFile), b.Bytes()); err != nil {
		return err
	}
	return s.write(dir)
}

// write replaces sample.json whole.
func (s *sample) write(dir string) error {
	b, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return unwritten(sampleFile, err)
	}
	tmp, err := os.CreateTemp(dir, ".sample-*") // 0600
	if err != nil {
		return unwritten(sampleFile, err)
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(append(b, '\n'))
	err = errors.Join(err, tmp.Sync(), tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), filepath.Join(dir, sampleFile))
	}
	return unwritten(sampleFile, err)
}

const maxSampleDoc = 1 << 20

func openSample(dir string) (*sample, error) {
	b, err := readBounded("sample", filepath.Join(dir, sampleFile), maxSampleDoc)
	var s sample
	if err == nil {
		dec := json.NewDecoder(bytes.NewReader(b))
		dec.DisallowUnknownFields()
		err = dec.Decode(&s)
	}
	if err == nil && (s.V != 1 || len(s.Records) == 0 || len(s.Records) > trust.MaxSample || s.Of < len(s.Records)) {
		err = errors.New("it is damaged")
	}
	for r, v := range s.Verdicts {
		if err == nil && (!slices.Contains(s.Records, r) || !slices.Contains(verdicts, v)) {
			err = errors.New("it is damaged")
		}
	}
	if err != nil {
		return nil, unreadable(err, "--dir names the directory that sample check made")
	}
	if s.Verdicts == nil {
		s.Verdicts = map[uint32]string{}
	}
	if s.By == nil {
		s.By = map[uint32]string{}
	}
	return &s, nil
}

func sampleRecordCommand() *cobra.Command {
	var dir string
	c := &cobra.Command{
		Use:   "record --dir DIR VERDICTS.csv",
		Short: "Take the reviewer's verdicts: a CSV with the columns record, verdict, reviewer",
		Long: `The first line names the columns; record, verdict and reviewer must be there, others are passed over, so entries.csv itself, filled in, will do. A verdict is one
of csam, not_csam, gone (nothing is there any more) and unsure. A later verdict on the same record replaces the earlier one; empty ones are passed over. All lines are taken or none.`,
		Args: exactly(1),
		RunE: func(c *cobra.Command, args []string) error {
			s, err := openSample(dir)
			if err != nil {
				return err
			}
			b, err := readBounded("verdicts", args[0], 16<<20)
			if err != nil {
				return unreadable(err, "name a CSV file")
			}
			n, err := s.take(b)
			if err != nil {
				return unreadable(fmt.Errorf("%s: %w", args[0], err), "mend that line; nothing was taken")
			}
			if err := s.write(dir); err != nil {
				return err
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "%d verdicts taken, %d of %d entries have one\n", n, len(s.Verdicts), len(s.Records))
			return unwritten("output", err)
		},
	}
	c.Flags().StringVar(&dir, "dir", "", "the sample's directory (required)")
	return must(c, "dir")
}

// take reads verdicts; an error names the line and repeats nothing of what was shown.
func (s *sample) take(b []byte) (int, error) {
	r := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(b, []byte("\xef\xbb\xbf"))))
	head, err := r.Read()
	if err != nil {
		return 0, errors.New("line 1: it is no CSV")
	}
	col := func(name string) int {
		return slices.IndexFunc(head, func(h string) bool { return strings.EqualFold(strings.TrimSpace(h), name) })
	}
	record, verdict, by := col("record"), col("verdict"), col("reviewer")
	if record < 0 || verdict < 0 || by < 0 {
		return 0, errors.New("line 1: the columns record, verdict and reviewer must be named there")
	}
	n := 0
	for {
		row, err := r.Read()
		if errors.Is(err, io.EOF) {
			return n, nil
		}
		line, _ := r.FieldPos(0)
		if err != nil {
			return 0, fmt.Errorf("line %d: it has other columns than the first line, or a quote that does not end", line)
		}
		said := strings.TrimSpace(row[verdict])
		if said == "" {
			continue
		}
		number, err := strconv.ParseUint(strings.TrimSpace(row[record]), 10, 32)
		if err != nil || !slices.Contains(s.Records, uint32(number)) {
			return 0, fmt.Errorf("line %d: the record is none of this sample", line)
		}
		if !slices.Contains(verdicts, said) {
			return 0, fmt.Errorf("line %d: a verdict is one of %s", line, strings.Join(verdicts, ", "))
		}
		who := strings.TrimSpace(row[by])
		if who == "" || len(who) > 200 {
			return 0, fmt.Errorf("line %d: the reviewer's name is missing, or too long", line)
		}
		s.Verdicts[uint32(number)], s.By[uint32(number)] = said, who
		n++
	}
}

// boundText is the bound to quote, first: what is in doubt counts as wrong in it.
func boundText(low, high, confidence float64, doubt int) string {
	if doubt == 0 {
		return fmt.Sprintf("at most %.2f %% of the entries are wrong, with %g %% confidence\n", 100*low, confidence)
	}
	return fmt.Sprintf("at most %.2f %% of the entries are wrong, with %g %% confidence; the %d in doubt are counted as wrong\n"+
		"at most %.2f %% if none of these turns out to be\n", 100*high, confidence, doubt, 100*low)
}

func sampleBoundCommand() *cobra.Command {
	var dir string
	var confidence float64
	var asJSON bool
	c := &cobra.Command{
		Use:   "bound --dir DIR",
		Short: "Say what share of the list's entries is wrong at most",
		Long: `bound counts not_csam as wrong and prints the exact one-sided Clopper-Pearson upper bound of the share of wrong entries in the whole version, at the given
confidence. unsure and entries without a verdict are in doubt and counted as wrong, and a second line says the bound if none of them turns out to be; gone is not wrong: a page can
vanish after it was listed rightly.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if !(confidence > 50 && confidence < 100) {
				return fmt.Errorf("--confidence %v is not between 50 and 100", confidence)
			}
			s, err := openSample(dir)
			if err != nil {
				return err
			}
			counts := map[string]int{}
			for _, v := range s.Verdicts {
				counts[v]++
			}
			n, open := len(s.Records), len(s.Records)-len(s.Verdicts)
			doubt := counts["unsure"] + open
			low, high := audit.UpperBound(counts["not_csam"], n, confidence/100), audit.UpperBound(counts["not_csam"]+doubt, n, confidence/100)
			if asJSON {
				return unwritten("output", json.NewEncoder(c.OutOrStdout()).Encode(map[string]any{
					"list": s.List, "seq": s.Seq, "entries": s.Of, "sample": n, "verdicts": counts, "without_verdict": open, "confidence": confidence,
					"wrong_at_most": low, "wrong_at_most_counting_doubt": high,
				}))
			}
			w := c.OutOrStdout()
			fmt.Fprintf(w, "%s sequence %d: %d of %d entries were drawn: %d csam, %d not_csam, %d gone, %d unsure, %d without a verdict\n",
				s.List, s.Seq, n, s.Of, counts["csam"], counts["not_csam"], counts["gone"], counts["unsure"], open)
			_, err = fmt.Fprint(w, boundText(low, high, confidence, doubt))
			return unwritten("output", err)
		},
	}
	c.Flags().StringVar(&dir, "dir", "", "the sample's directory (required)")
	c.Flags().Float64Var(&confidence, "confidence", 95, "in percent")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return must(c, "dir")
}
