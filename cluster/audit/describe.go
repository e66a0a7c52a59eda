package audit

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
)

// Describe says in one line of words what a leaf records. Text from the leaf is escaped.
func (l Leaf) Describe() string {
	body, err := l.Body()
	if err != nil {
		return Escape(err.Error())
	}
	return Escape(describe(body))
}

func describe(body Body) string {
	switch b := body.(type) {
	case Publish:
		return fmt.Sprintf("list %s follows %d: %s; by basis %s; %d added, %d removed; edge list %x, index %x; verdicts of %s%s",
			listSeq(b.List, b.Seq), b.Prev, counts(b.Counts), bases(b.Bases), b.Added, b.Removed, b.Edge[:8], b.Index[:8], signers(b.Verdicts), sayLogged(b))
	case Reject:
		var what string
		switch {
		case b.List != "" && b.Seq != 0:
			what = "list " + listSeq(b.List, b.Seq) + " "
		case b.List != "":
			what = "list " + string(b.List) + " "
		case b.Hotline != "":
			what = "from hotline " + string(b.Hotline) + " "
		}
		s := fmt.Sprintf("%srefused at %s", what, b.Stage)
		if b.Node != "" {
			s += " by " + string(b.Node)
		}
		s += ": " + b.Reason
		if b.Detail != "" {
			s += " (" + b.Detail + ")"
		}
		return s
	case Withdraw:
		s := fmt.Sprintf("list %s: %d entries withdrawn from sequences %d to %d, statement %d signed by %d officers",
			b.List, len(b.Entries), b.SeqFrom, b.SeqTo, b.Number, len(b.Signers))
		if b.Owed {
			s += ", a second signature is owed"
		}
		return s
	case Member:
		role, action := "control node", "added"
		if b.Role == RoleEdge {
			role = "edge"
		}
		if b.Action == ActionDrop {
			action = "removed"
		}
		s := fmt.Sprintf("%s %s %s, key %x", role, b.Name, action, b.Key[:8])
		if b.By != "" {
			s += ", by " + b.By
		}
		return s
	case Receipts:
		parts := make([]string, 0, len(b.Items))
		for _, item := range b.Items {
			if r, err := item.Receipt(); err == nil {
				parts = append(parts, fmt.Sprintf("%s counter %d state %s at size %d", r.Edge, r.Counter, r.State.String()[:16], r.Size))
			}
		}
		return strings.Join(parts, "; ")
	case Trust:
		if b.Metadata == ([32]byte{}) {
			return fmt.Sprintf("hotline %s pinned by root %x", b.Hotline, b.Root[:8])
		}
		return fmt.Sprintf("hotline %s renewed its metadata, versions %s", b.Hotline, b.Versions)
	case Alarm:
		return fmt.Sprintf("%s at node %s since %s", b.What, b.Node, stamp(b.Since))
	case Ordered:
		return b.Order.Describe()
	case Returned:
		return b.Order.Describe()
	case Open:
		return b.describe()
	case Fork:
		return b.describe()
	case Rekey:
		return b.describe()
	case Hold:
		return fmt.Sprintf("list %s, edge list %x, held back by the brake %s: the last version stays in force", listSeq(b.List, b.Seq), b.Edge[:8], b.Brake)
	case Admin:
		return b.describe()
	case Unknown:
		return fmt.Sprintf("%d bytes that this version cannot read", len(b.Raw))
	}
	return ""
}

func counts(c []KindCount) string {
	if len(c) == 0 {
		return "no entries"
	}
	parts := make([]string, len(c))
	for i, k := range c {
		parts[i] = fmt.Sprintf("%d %s", k.N, k.Kind)
	}
	return strings.Join(parts, ", ")
}

func bases(c []BasisCount) string {
	parts := make([]string, len(c))
	for i, b := range c {
		parts[i] = fmt.Sprintf("%d %s", b.N, b.Basis)
	}
	return strings.Join(parts, ", ")
}

// signers are the nodes that verdicts name. Whether they signed is the verifier's question.
func signers(verdicts []SignedVerdict) string {
	var names []string
	for _, s := range verdicts {
		if v, err := s.Verdict(); err == nil {
			names = append(names, v.Node)
		}
	}
	if len(names) == 0 {
		return "nobody"
	}
	return strings.Join(names, ", ")
}

// MarshalJSON writes the leaf with the field names of LEAF.md, byte strings in hex, and its description.
func (l Leaf) MarshalJSON() ([]byte, error) {
	var raw any
	if err := decMode.Unmarshal(l.B, &raw); err != nil {
		return nil, fmt.Errorf("leaf %d: %w: %v", l.N, ErrFormat, err)
	}
	return json.Marshal(struct {
		N       uint64 `json:"n"`
		T       string `json:"t"`
		K       Kind   `json:"k"`
		F       string `json:"f"`
		Text    string `json:"text"`
		B       any    `json:"b"`
		Version int    `json:"v"`
	}{l.N, stamp(l.T), l.K, hex.EncodeToString(l.F[:]), l.Describe(), plain(raw), l.V})
}

// plain turns decoded CBOR into what encoding/json can write.
func plain(v any) any {
	switch v := v.(type) {
	case []byte:
		return hex.EncodeToString(v)
	case string:
		return Escape(v)
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = plain(v[i])
		}
		return out
	case map[any]any:
		out := make(map[string]any, len(v))
		for k, item := range v {
			out[Escape(fmt.Sprint(k))] = plain(item)
		}
		return out
	}
	return v
}
