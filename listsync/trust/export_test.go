package trust

// ParseCanonical and ParseStrict say whether the two readers take b.
func ParseCanonical(b []byte) error { _, err := parseCanonical(b); return err }
func ParseStrict(b []byte) error    { _, err := parseStrict(b); return err }

// Sentinels are all of this package with their words.
func Sentinels() map[string]error {
	m := map[string]error{}
	for _, r := range reasons {
		m[r.word] = r.err
	}
	return m
}

const (
	MaxJump         = maxJump
	MaxOtherReason  = maxOtherReason
	MaxNodes        = maxNodes
	MaxLists        = maxLists
	MaxSignatures   = maxSignatures
	MaxWithdrawnIDs = maxWithdrawn
)

// WithdrawalBody is the signed part of a statement.
func WithdrawalBody(raw []byte) []byte {
	s, _, err := open[Withdrawal](withdrawal, raw)
	if err != nil {
		panic(err)
	}
	return s.Body
}

// PlainKeys is what WrapKeys seals.
func PlainKeys(k EpochKeys) []byte { return k.appendPlain(nil) }
