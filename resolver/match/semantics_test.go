package match_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/cordon-project/cordon/listsync/list/listtest"
	"github.com/cordon-project/cordon/resolver/canon"
	"github.com/cordon-project/cordon/resolver/match"
)

// What an entry matches: the table of "Entries and matching", word for word, through canonical form, index and set. A row lists entries as an
// analyst writes them ("LIST KIND BASIS EXPRESSION"; the n-th entry of a list has the id n), may take some out ("LIST ID" for good, "LIST ID
// SECOND" until then), asks as a client would, and says what happens:
//
//	451, 403   stopped, by law or order, or by agreement
//	steer      DNS may send the host to the URL filter; it is not blocked
//	pass       untouched
//
// What is asked with a path is a page (the URL filter's question), anything else is a name (the question of DNS).
var semantics = []struct {
	says    string
	listed  []string
	removed []string
	at      uint32 // entries are reviewed by second 200; 0 asks at 150
	ask     string
	want    string
}{
	{says: "url: the page itself", listed: page, ask: "http://page.test/a/b?x=1", want: "451"},
	{says: "url: any scheme", listed: page, ask: "https://page.test/a/b?x=1", want: "451"},
	{says: "url: any scheme", listed: page, ask: "wss://page.test/a/b?x=1", want: "451"},
	{says: "url: no scheme", listed: page, ask: "page.test/a/b?x=1", want: "451"},
	{says: "url: any port", listed: page, ask: "http://page.test:8080/a/b?x=1", want: "451"},
	{says: "url: any user", listed: page, ask: "http://me:pw@page.test/a/b?x=1", want: "451"},
	{says: "url: any fragment", listed: page, ask: "http://page.test/a/b?x=1#y", want: "451"},
	{says: "url: host in any case", listed: page, ask: "http://PAGE.Test/a/b?x=1", want: "451"},
	{says: "url: a trailing dot", listed: page, ask: "http://page.test./a/b?x=1", want: "451"},
	{says: "url: disguised", listed: page, ask: "http://page.test/z/../a/%62?%78=1", want: "451"},
	{says: "url: path in another case", listed: page, ask: "http://page.test/A/b?x=1", want: "pass"},
	{says: "url: another query", listed: page, ask: "http://page.test/a/b?x=2", want: "pass"},
	{says: "url: more of a query", listed: page, ask: "http://page.test/a/b?x=1&y=2", want: "pass"},
	{says: "url: no query", listed: page, ask: "http://page.test/a/b", want: "pass"},
	{says: "url: an empty query is a query", listed: []string{"one url law page.test/a"}, ask: "http://page.test/a?", want: "pass"},
	{says: "url: below", listed: page, ask: "http://page.test/a/b/c?x=1", want: "pass"},
	{says: "url: above", listed: page, ask: "http://page.test/a?x=1", want: "pass"},
	{says: "url: a slash at the end is another page", listed: page, ask: "http://page.test/a/b/?x=1", want: "pass"},
	{says: "url: another host", listed: page, ask: "http://www.page.test/a/b?x=1", want: "pass"},
	{says: "url: its host is steered", listed: page, ask: "page.test", want: "steer"},
	{says: "url: a host below is not", listed: page, ask: "www.page.test", want: "pass"},
	{says: "url: nor one above", listed: []string{"one url law www.page.test/a"}, ask: "page.test", want: "pass"},
	{says: "url: on an address", listed: []string{"one url law http://192.0.2.1/a"}, ask: "http://0xc0000201/a", want: "451"},

	{says: "prefix: the path itself", listed: below, ask: "http://dir.test/a/b", want: "451"},
	{says: "prefix: with a slash", listed: below, ask: "http://dir.test/a/b/", want: "451"},
	{says: "prefix: below", listed: below, ask: "http://dir.test/a/b/c", want: "451"},
	{says: "prefix: far below", listed: below, ask: "http://dir.test/a/b/" + strings.Repeat("c/", 200), want: "451"},
	{says: "prefix: any query", listed: below, ask: "http://dir.test/a/b?x=/y", want: "451"},
	{says: "prefix: any query below", listed: below, ask: "https://dir.test:444/a/b/c?x", want: "451"},
	{says: "prefix: only at a slash", listed: below, ask: "http://dir.test/a/bc", want: "pass"},
	{says: "prefix: above", listed: below, ask: "http://dir.test/a/", want: "pass"},
	{says: "prefix: beside", listed: below, ask: "http://dir.test/b/a/b", want: "pass"},
	{says: "prefix: a way out of it", listed: below, ask: "http://dir.test/a/b/../c", want: "pass"},
	{says: "prefix: a way into it", listed: below, ask: "http://dir.test/x/%2e%2e/a//b/c", want: "451"},
	{says: "prefix: not in the query", listed: below, ask: "http://dir.test/x?/a/b", want: "pass"},
	{says: "prefix: another host", listed: below, ask: "http://www.dir.test/a/b", want: "pass"},
	{says: "prefix: its host is steered", listed: below, ask: "dir.test", want: "steer"},
	{says: "prefix: written with a slash", listed: []string{"one prefix law dir.test/a/b/"}, ask: "http://dir.test/a/b", want: "451"},
	{says: "prefix: a whole host's pages", listed: []string{"one prefix law dir.test/"}, ask: "http://dir.test/x/y?z", want: "451"},
	{says: "prefix: of a whole host never blocks the host", listed: []string{"one prefix law dir.test/"}, ask: "dir.test", want: "steer"},

	{says: "host: itself", listed: host, ask: "host.test", want: "451"},
	{says: "host: in any case, with its dot", listed: host, ask: "HOST.test.", want: "451"},
	{says: "host: not below", listed: host, ask: "www.host.test", want: "pass"},
	{says: "host: not above", listed: []string{"one host order www.host.test"}, ask: "host.test", want: "pass"},
	{says: "host: not a sibling", listed: host, ask: "other.test", want: "pass"},
	{says: "host: not as part of a label", listed: host, ask: "xhost.test", want: "pass"},
	{says: "host: not as a part inside", listed: host, ask: "host.test.example", want: "pass"},
	{says: "host: all its pages", listed: host, ask: "http://host.test/any?page", want: "451"},
	{says: "host: IDN, asked as it is on the wire", listed: []string{"one host law bücher.test"}, ask: "xn--bcher-kva.test", want: "451"},
	{says: "host: IDN, asked in another spelling", listed: []string{"one host law xn--bcher-kva.test"}, ask: "Bu\u0308CHER。test", want: "451"},
	{says: "host: IDN, ß is not ss", listed: []string{"one host law straße.test"}, ask: "strasse.test", want: "pass"},

	{says: "domain: itself", listed: domain, ask: "domain.test", want: "403"},
	{says: "domain: below", listed: domain, ask: "www.domain.test", want: "403"},
	{says: "domain: far below", listed: domain, ask: strings.Repeat("a.", 121) + "domain.test", want: "403"},
	{says: "domain: not above", listed: domain, ask: "test", want: "pass"},
	{says: "domain: not a sibling", listed: domain, ask: "domain2.test", want: "pass"},
	{says: "domain: only at a dot", listed: domain, ask: "my-domain.test", want: "pass"},
	{says: "domain: all pages below", listed: domain, ask: "https://a.b.domain.test:444/x", want: "403"},
	{says: "domain: an underscore below", listed: domain, ask: "_443._tcp.domain.test", want: "403"},

	{says: "canary: a host entry like any other", listed: []string{"one canary voluntary canary.test"}, ask: "canary.test", want: "403"},
	{says: "canary: not below", listed: []string{"one canary voluntary canary.test"}, ask: "www.canary.test", want: "pass"},

	{says: "law beats voluntary", listed: []string{"one host voluntary both.test", "two host law both.test"}, ask: "both.test", want: "451"},
	{says: "whichever list comes first", listed: []string{"one host law both.test", "two host voluntary both.test"}, ask: "both.test", want: "451"},
	{says: "order too", listed: []string{"one domain voluntary both.test", "two host order both.test"}, ask: "both.test", want: "451"},
	{says: "a wider entry by law too", listed: []string{"one host voluntary www.both.test", "two domain law both.test"}, ask: "www.both.test", want: "451"},
	{says: "in one list too", listed: []string{"one host voluntary both.test", "one domain law both.test"}, ask: "both.test", want: "451"},
	{says: "pages alike", listed: []string{"one url voluntary both.test/a", "two prefix law both.test/"}, ask: "http://both.test/a", want: "451"},
	{says: "a page entry and a host entry: the host is blocked", listed: []string{"one url law both.test/a", "two host voluntary both.test"}, ask: "both.test", want: "403"},

	{says: "in force at its last second", listed: host, at: 200, ask: "host.test", want: "451"},
	{says: "dead a second later", listed: host, at: 201, ask: "host.test", want: "pass"},
	{says: "dead: its host is steered no more", listed: page, at: 201, ask: "page.test", want: "pass"},

	{says: "withdrawn", listed: host, removed: []string{"one 1"}, ask: "host.test", want: "pass"},
	{says: "withdrawn: a page, and the steering of its host", listed: page, removed: []string{"one 1"}, ask: "page.test", want: "pass"},
	{says: "withdrawn: one page of two", listed: []string{"one url law page.test/a", "one url law page.test/b"}, removed: []string{"one 1"}, ask: "http://page.test/a", want: "pass"},
	{says: "withdrawn: one page of two, the other stays", listed: []string{"one url law page.test/a", "one url law page.test/b"}, removed: []string{"one 1"}, ask: "page.test", want: "steer"},
	{says: "withdrawn: another entry of the same name stays", listed: []string{"one host law host.test", "one domain voluntary host.test"}, removed: []string{"one 1"}, ask: "host.test", want: "403"},
	{says: "withdrawn in one list, in force in the other", listed: []string{"one host law both.test", "two host voluntary both.test"}, removed: []string{"one 1"}, ask: "both.test", want: "403"},
	{says: "withdrawn in both", listed: []string{"one host law both.test", "two host voluntary both.test"}, removed: []string{"one 1", "two 1"}, ask: "both.test", want: "pass"},
	{says: "withdrawn in a list that is not in force", listed: host, removed: []string{"two 1"}, ask: "host.test", want: "451"},
	{says: "suppressed until a second", listed: host, removed: []string{"one 1 150"}, ask: "host.test", want: "pass"},
	{says: "suppression over", listed: host, removed: []string{"one 1 149"}, ask: "host.test", want: "451"},

	{says: "nothing listed", ask: "host.test", want: "pass"},
	{says: "no name at all", listed: domain, ask: "not a name", want: "pass"},
	{says: "ambiguous: passed", listed: domain, ask: `http://domain.test\@other.test/`, want: "pass"},
}

var (
	page   = []string{"one url law page.test/a/b?x=1"}
	below  = []string{"one prefix order dir.test/a/b"}
	host   = []string{"one host order host.test"}
	domain = []string{"one domain voluntary domain.test"}
)

func TestEntriesMatchWhatTheFormatSays(t *testing.T) {
	for _, row := range semantics {
		t.Run(row.says+": "+row.ask[:min(len(row.ask), 60)], func(t *testing.T) {
			if row.at == 0 {
				row.at = 150
			}
			s := setOf(t, removals(t, row.removed), written(t, row.listed)...)
			if got := happens(s, row.ask, row.at); got != row.want {
				t.Errorf("%q listed, %q out, %q asked at %d: got %s, want %s", row.listed, row.removed, row.ask, row.at, got, row.want)
			}
		})
	}
}

// written makes lists of entries as an analyst writes them.
func written(t *testing.T, lines []string) []match.Member {
	t.Helper()
	var order []match.ListID
	records := map[match.ListID][]match.Record{}
	ids := map[match.ListID]byte{}
	keys := map[match.ListID]*match.Keys{}
	for _, line := range lines {
		field := strings.SplitN(line, " ", 4)
		list := match.ListID(field[0] + "/main")
		if keys[list] == nil {
			order, keys[list] = append(order, list), listtest.Keys(int64(len(order)+1))
		}
		ids[list]++
		word, flags := field[1], match.Flags(0)
		if word == "canary" {
			word, flags = "host", match.FlagCanary
		}
		kind, err := canon.ParseKind(word)
		if err != nil {
			t.Fatal(err)
		}
		basis, err := match.ParseBasis(field[2])
		if err != nil {
			t.Fatal(err)
		}
		expr, err := canon.Expression(kind, field[3])
		if err != nil {
			t.Fatalf("entry %q: %v", line, err)
		}
		add := func(kind canon.Kind, flags match.Flags, expr string) {
			r := recordsOf(keys[list], list, text{kind, expr, basis, flags})[0]
			r.EntryID = match.EntryID{15: ids[list]}
			records[list] = append(records[list], r)
		}
		add(kind, flags, expr)
		if kind.Class() == canon.ClassPage {
			add(canon.KindSteer, 0, canon.HostOf(expr))
		}
	}
	var members []match.Member
	for _, list := range order {
		members = append(members, memberFrom(t, match.Header{List: list, Seq: 1}, records[list], keys[list]))
	}
	return members
}

func removals(t *testing.T, lines []string) (out []match.Removal) {
	t.Helper()
	for i, line := range lines {
		var list string
		var id byte
		r := match.Removal{Kind: match.RemovalSuppress, Number: uint64(i + 1)}
		if n, _ := fmt.Sscan(line, &list, &id, &r.Until); n == 2 {
			r.Kind = match.RemovalWithdraw
		} else if n != 3 {
			t.Fatalf("removal %q", line)
		}
		r.List, r.Entry = match.ListID(list+"/main"), match.EntryID{15: id}
		out = append(out, r)
	}
	return out
}

// happens is what happens to a client that asks for a name, or for a page (the host first, as DNS does).
func happens(s *match.Set, ask string, at uint32) string {
	isPage := strings.Contains(ask, "/")
	name := ask
	if isPage {
		expr, err := canon.Expression(canon.KindURL, ask)
		if err != nil {
			return "pass"
		}
		if v := s.Page([]byte(expr), at); v.Listed {
			return stop(v)
		}
		name = canon.HostOf(expr)
	}
	host, err := canon.Host(name)
	if err != nil {
		return "pass"
	}
	switch v := s.Name([]byte(host), at); {
	case v.Listed:
		return stop(v)
	case v.Steer && !isPage:
		return "steer"
	}
	return "pass"
}

func stop(v match.Verdict) string {
	if v.Basis.Binding() {
		return "451"
	}
	return "403"
}
