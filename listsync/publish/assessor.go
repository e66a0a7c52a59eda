package publish

import (
	"fmt"
	"strings"
)

// assessorMarks are the marks an assessor's id may have beside a-z, A-Z and 0-9. An id is plain ASCII, so that two ids that look the same
// are the same: no invisible character, no letter of another script, no second way of writing an accent.
const assessorMarks = " .,'_@+/()-"

// checkAssessor says why s cannot be the id of a person, or "".
func checkAssessor(s string) string {
	if s == "" || len(s) > maxAssessor {
		return fmt.Sprintf("an assessor has 1 to %d characters", maxAssessor)
	}
	person := false
	for _, r := range s {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
			person = true
		case !strings.ContainsRune(assessorMarks, r):
			return fmt.Sprintf("the character %U is not one an assessor's id may have; write it with a-z, A-Z, 0-9, space and %s", r, assessorMarks[1:])
		}
	}
	if !person {
		return "an assessor's id has a letter or a digit"
	}
	return ""
}

// sameAssessor reports whether two ids stand for one person as far as an eye can tell: case, marks and spaces do not count, nor does
// the difference between 0 and O, or 1, l and I.
func sameAssessor(a, b string) bool {
	return plainAssessor(a) == plainAssessor(b) || plainAssessor(looks.Replace(a)) == plainAssessor(looks.Replace(b))
}

var looks = strings.NewReplacer("0", "o", "1", "l", "I", "l")

// plainAssessor leaves the letters, in lower case, and the digits. It allocates nothing for an id that is plain already.
func plainAssessor(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r >= 0x80:
			return r
		}
		return -1
	}, s)
}

// twoPeople says which of two assessors is wrong (0 or 1) and why, or "".
func twoPeople(a [2]string) (int, string) {
	for i := range a {
		if why := checkAssessor(a[i]); why != "" {
			return i, why
		}
	}
	if sameAssessor(a[0], a[1]) {
		return 1, "the same person as assessor_1, or an id that looks the same; two people assess an entry"
	}
	return 0, ""
}
