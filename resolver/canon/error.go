package canon

// The reasons an Error carries. They are stable words: tools show them and tests compare them.
const (
	ReasonEmpty       = "empty"              // nothing left after trimming
	ReasonTooLong     = "too long"           // input or canonical form above MaxLength
	ReasonScheme      = "unknown scheme"     // a scheme that is not of the web, or one without "//"
	ReasonNoHost      = "no host"            // no host name where one must stand
	ReasonMail        = "mail address"       // user@host without a scheme
	ReasonHost        = "bad host"           // a character that can stand in no host, or a name IDNA refuses
	ReasonAmbiguous   = "ambiguous host"     // a backslash where parsers disagree on where the host ends
	ReasonControl     = "control character"  // a control character in a name
	ReasonLabel       = "label too long"     // a label above 63 octets
	ReasonNameLength  = "name too long"      // a name above 253 octets
	ReasonPort        = "bad port"           // a port that is no number up to 65535
	ReasonAddress     = "bad address"        // ends in a number, or stands in brackets, but is no IP address
	ReasonIsAddress   = "address"            // an IP address where only a name may stand
	ReasonNamePath    = "path in a name"     // a host or domain entry with a path or a query
	ReasonNamePort    = "port in a name"     // a host or domain entry with a port
	ReasonNameUser    = "userinfo in a name" // a host or domain entry with a user
	ReasonPrefixQuery = "query in a prefix"  // a prefix entry with a query
	ReasonDepth       = "path too deep"      // a prefix entry of more than MaxDepth parts
	ReasonKind        = "unknown kind"       // a kind outside the closed set
)

// Error says what was attempted and why it was refused. It never holds the text that was refused: that text may be a
// listed name, and errors reach logs.
type Error struct {
	Act    string // what was attempted, for example "canonicalise url"
	Reason string // one of the Reason constants
}

// Error returns act and reason in one line, without the refused text.
func (e *Error) Error() string { return e.Act + ": " + e.Reason }
