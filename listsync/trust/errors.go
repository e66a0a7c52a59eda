package trust

import "errors"

// The reasons for which something from a hotline is refused. Verify and the other functions of this package wrap exactly one of
// them; callers choose with errors.Is or take the stable word of Reason.
var (
	ErrSignature   = errors.New("no valid signature")                  // signed by nobody whom the delegation names
	ErrThreshold   = errors.New("too few valid signatures")            // some of the right people signed, not enough of them
	ErrExpired     = errors.New("expired or not yet valid")            // outside its time at the time given
	ErrRollback    = errors.New("older than what was already trusted") // a version or seq went back, or does not follow
	ErrScope       = errors.New("scope is not csam")                   // the one promise everything rests on
	ErrCharter     = errors.New("charter does not allow this")         // malformed charter, or a list outside of it
	ErrFormat      = errors.New("malformed")                           // bytes that are not exactly what the format says
	ErrTooLarge    = errors.New("too large")                           // over a limit, refused before it is parsed
	ErrPath        = errors.New("outside of the delegated path")       // a delegation or target where none may be
	ErrKeyRoles    = errors.New("key is misused")                      // in two roles, unused, misnamed or not Ed25519
	ErrCanon       = errors.New("unknown canonicalisation rules")      // the list was made for other rules than ours
	ErrHash        = errors.New("content does not match its hash")     // mixed, truncated or altered files
	ErrDevelopment = errors.New("development keys")                    // a throw-away authority outside of a laptop
	ErrMinimum     = errors.New("below a minimum")                     // thresholds, key counts or lifetimes in code
	ErrPublicLog   = errors.New("no valid proof of the public log")    // the charter names a log, and it does not show this version
	ErrSplitView   = errors.New("the public log was rewritten")        // two signed checkpoints of one log that cannot be one history
)

// reasons maps each sentinel to its word. Words are part of audit leaves: never change one.
var reasons = []struct {
	err  error
	word string
}{
	{ErrSignature, "signature"},
	{ErrThreshold, "threshold"},
	{ErrExpired, "expired"},
	{ErrRollback, "rollback"},
	{ErrScope, "scope"},
	{ErrCharter, "charter"},
	{ErrFormat, "format"},
	{ErrTooLarge, "too_large"},
	{ErrPath, "path"},
	{ErrKeyRoles, "key_roles"},
	{ErrCanon, "canon"},
	{ErrHash, "hash"},
	{ErrDevelopment, "development"},
	{ErrMinimum, "minimum"},
	{ErrPublicLog, "public_log"},
	{ErrSplitView, "split_view"},
}

// Reason gives the stable word for the sentinel that err wraps: "signature", "threshold", "expired", "rollback", "scope",
// "charter", "format", "too_large", "path", "key_roles", "canon", "hash", "development", "minimum", "public_log", "split_view"; "other" for any other error
// and "" for nil.
func Reason(err error) string {
	if err == nil {
		return ""
	}
	for _, r := range reasons {
		if errors.Is(err, r.err) {
			return r.word
		}
	}
	return "other"
}
