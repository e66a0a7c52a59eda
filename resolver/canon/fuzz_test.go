package canon

import (
	"slices"
	"strings"
	"testing"
)

func seed(f *testing.F) {
	v := readOwnVectors(f)
	for _, set := range [][]ownCase{v.URL, v.Host, v.Expression} {
		for _, c := range set {
			f.Add(c.In)
		}
	}
}

// printable fails when s holds anything but visible ASCII within the bound.
func printable(t *testing.T, s string) {
	t.Helper()
	if s == "" || len(s) > MaxLength {
		t.Fatalf("%d bytes, want 1 to %d", len(s), MaxLength)
	}
	for i := 0; i < len(s); i++ {
		if s[i] <= ' ' || s[i] >= 0x7f || s[i] == '#' {
			t.Fatalf("%q holds %q", s, s[i])
		}
	}
}

func FuzzURL(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, raw string) {
		got, err := URL(raw)
		if err != nil {
			if strings.Contains(err.Error(), raw) && len(raw) > 12 {
				t.Fatalf("the error of %q repeats it: %v", raw, err)
			}
			return
		}
		printable(t, got)
		if again, err := URL(got); err != nil || again != got {
			t.Fatalf("URL(%q) = %q is not stable\n got %q, %v", raw, got, again, err)
		}
		if want, same := sameHostAsStandardLibrary(raw, got); !same {
			t.Fatalf("URL(%q) = %q, net/url reads host %q", raw, got, want)
		}
	})
}

func FuzzHost(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, raw string) {
		PublicSuffix(raw)
		got, err := Host(raw)
		if err != nil {
			return
		}
		printable(t, got)
		if again, err := Host(got); err != nil || again != got {
			t.Fatalf("Host(%q) = %q is not stable\n got %q, %v", raw, got, again, err)
		}
		if u, err := URL("http://" + got + "/"); err != nil || u != "http://"+got+"/" {
			t.Fatalf("URL of host %q = %q, %v", got, u, err)
		}
		if steer, err := Expression(KindSteer, got); err != nil || steer != got {
			t.Fatalf("steer of host %q = %q, %v", got, steer, err)
		}
		if host, err := Expression(KindHost, got); isAddress(got) != (err != nil) || err == nil && host != got {
			t.Fatalf("host entry of %q = %q, %v", got, host, err)
		}
	})
}

func FuzzExpression(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, raw string) {
		exprs, err := Expressions(raw)
		if len(exprs) > 3+maxName+MaxDepth+1 {
			t.Fatalf("%q has %d expressions", raw, len(exprs))
		}
		for k := KindURL; k <= KindSteer; k++ {
			text, refused := Expression(k, raw)
			if refused != nil {
				continue
			}
			if err != nil {
				t.Fatalf("%s %q is an entry but %q has no expressions: %v", k, text, raw, err)
			}
			printable(t, text)
			if again, err := Expression(k, text); err != nil || again != text {
				t.Fatalf("%s %q = %q is not stable\n got %q, %v", k, raw, text, again, err)
			}
			if !slices.Contains(exprs, Expr{k.Class(), k, text}) {
				t.Fatalf("%s %q is not among its own expressions %v", k, text, exprs)
			}
			if host, err := Host(HostOf(text)); err != nil || host != HostOf(text) {
				t.Fatalf("host of %s %q = %q, %v", k, text, host, err)
			}
		}
		for _, e := range exprs {
			printable(t, e.Text)
			if e.Kind == KindDomain {
				continue // the last label of a name may stand alone only as a suffix
			}
			if again, err := Expression(e.Kind, e.Text); err != nil && (e.Kind != KindHost || !isAddress(e.Text)) || err == nil && again != e.Text {
				t.Fatalf("expression %s %q of %q is not stable\n got %q, %v", e.Kind, e.Text, raw, again, err)
			}
		}
	})
}
