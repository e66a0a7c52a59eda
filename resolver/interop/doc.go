// Package interop holds the tests of a whole resolver (listener, cache, upstream, Unbound) against other people's software: a private
// signed tree of zones on NSD, and clients and forwarders that ask an edge. All of it runs in a network of its own, where port 53 is
// nobody else's; that needs root. There is no code for programs here.
package interop
