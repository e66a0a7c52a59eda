// Package wire reads one DNS question and writes one DNS answer, bytes in and bytes out.
//
// In come datagrams and stream messages from strangers, and replies of upstream resolvers; out come the parsed
// Query, the walk over a reply's records (Reader, Scan) and packed answers appended to buffers of the caller.
// It promises: no allocation on the way of a question (the caller owns every buffer), no panic and bounded work on
// any input, and that of a client's EDNS options it copies none anywhere but the subnet that Query.Subnet was set to. It knows nothing of lists, sockets or clocks.
package wire

import "errors"

// Sizes of RFC 1035 and RFC 6891, and our own bound on datagrams.
const (
	HeaderLen  = 12    // bytes before the question
	MaxName    = 255   // a name in wire form, root label included
	MaxMessage = 65535 // a message on a stream
	MinUDP     = 512   // what every client can take
	MaxUDP     = 1232  // fits one IPv6 packet without fragments (DNS flag day 2020); larger answers go to TCP
)

// Record types this resolver treats by name.
const (
	TypeA     uint16 = 1
	TypeNS    uint16 = 2
	TypeCNAME uint16 = 5
	TypeSOA   uint16 = 6
	TypePTR   uint16 = 12
	TypeMX    uint16 = 15
	TypeTXT   uint16 = 16
	TypeAAAA  uint16 = 28
	TypeSRV   uint16 = 33
	TypeDNAME uint16 = 39
	TypeOPT   uint16 = 41
	TypeDS    uint16 = 43
	TypeRRSIG uint16 = 46
	TypeSVCB  uint16 = 64
	TypeHTTPS uint16 = 65
	TypeTKEY  uint16 = 249
	TypeTSIG  uint16 = 250
	TypeIXFR  uint16 = 251
	TypeAXFR  uint16 = 252
	TypeANY   uint16 = 255
)

// ClassIN is the only class that is answered.
const ClassIN uint16 = 1

// Response codes of RFC 1035 and RFC 6891. BADVERS does not fit the header: its upper bits travel in the OPT record.
const (
	RcodeSuccess  = 0
	RcodeFormErr  = 1
	RcodeServFail = 2
	RcodeNXDomain = 3
	RcodeNotImp   = 4
	RcodeRefused  = 5
	RcodeBadVers  = 16
)

// Extended DNS Error codes (RFC 8914) that Cordon sends. Zero stands for "none": code 0 (Other) is never sent.
const (
	EDENone                 uint16 = 0
	EDEStale                uint16 = 3
	EDENotReady             uint16 = 14
	EDEBlocked              uint16 = 15
	EDECensored             uint16 = 16
	EDEStaleNXDomain        uint16 = 19
	EDENoReachableAuthority uint16 = 22
	EDENetworkError         uint16 = 23
)

// Header fields and bits.
const (
	offFlags, offQD, offAN, offNS, offAR = 2, 4, 6, 8, 10

	flagQR     uint16 = 1 << 15
	flagTC     uint16 = 1 << 9
	flagRD     uint16 = 1 << 8
	flagRA     uint16 = 1 << 7
	flagAD     uint16 = 1 << 5
	flagCD     uint16 = 1 << 4
	opcodeMask uint16 = 0xf << 11
)

// Fixed parts of questions, records and options.
const (
	questionFixed = 4       // type, class
	recordFixed   = 10      // type, class, ttl, rdlength
	soaFixed      = 20      // serial, refresh, retry, expire, minimum
	optFixed      = 11      // root owner, then recordFixed
	optionFixed   = 4       // code, length
	optionNSID    = 3       // RFC 5001
	optionSubnet  = 8       // RFC 7871
	optionCookie  = 10      // RFC 7873
	optionEDE     = 15      // RFC 8914
	ednsDO        = 1 << 15 // in the OPT record's TTL field
	pointerBits   = 0xc0
	keyExtra      = 5 // type, class, DO, CD and NAT64 bits behind the name in a cache key
	maxAdditional = 8 // records after the question of a query; OPT and a signature are two
)

// Types from firstMeta up to and excluding ANY ask for an action and not for records (RFC 6895).
const firstMeta uint16 = 128

// What Query.Parse can say about a message; callers compare with == (nothing wraps them on the hot path).
var (
	ErrIgnore  = errors.New("read query: not a query")                // shorter than a header, or a response: stay silent
	ErrFormat  = errors.New("read query: malformed")                  // answer FORMERR
	ErrOpcode  = errors.New("read query: opcode not implemented")     // answer NOTIMP
	ErrVersion = errors.New("read query: EDNS version not supported") // answer BADVERS
)

// ErrAnswer is returned for an upstream reply whose bytes do not hold what its counts and lengths say.
var ErrAnswer = errors.New("read answer: malformed")

// fold maps ASCII capitals to small letters and leaves every other byte alone. Label lengths (at most 63, below 'A')
// pass through unchanged, so a whole wire name can be folded at once.
var fold = func() (t [256]byte) {
	for i := range t {
		t[i] = byte(i)
		if i >= 'A' && i <= 'Z' {
			t[i] += 'a' - 'A'
		}
	}
	return t
}()

// dotted is fold for the dotted form: a dot inside a label becomes NUL, which no list entry can hold, so such a
// label never matches while the names above it still do.
var dotted = func() [256]byte {
	t := fold
	t['.'] = 0
	return t
}()
