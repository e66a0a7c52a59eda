// Package canon turns a URL or a name into the expressions that lists and lookups compare.
//
// What comes in is hostile: a pasted address, a Host line, a packet. What goes out is one spelling per page or name:
// the Safe Browsing canonical URL with its query kept, IDNA names in their ASCII form, numeric hosts as addresses.
// CANON.md states the rules, and each place where they depart from a published vector.
//
// The package promises that canonical text is stable (URL of a canonical URL is the same text, and so for Host and
// Expression), that work and memory are linear in an input bounded by MaxLength, and that no error repeats the input.
// All functions are pure and safe for concurrent use.
package canon

// MaxLength bounds raw input and canonical output alike, in bytes. Browsers and servers commonly stop between 2 and
// 8 KiB; the bound keeps hashing every prefix of a path cheap.
const MaxLength = 8 << 10

// MaxDepth bounds the path parts of a prefix expression and the prefixes that Expressions returns. A deeper page is
// still tested against every prefix of up to MaxDepth parts, so depth hides nothing.
const MaxDepth = 64

// maxBody bounds host, path and query together, so that any scheme can stand before them within MaxLength.
const maxBody = MaxLength - len("https://")
