package config

// Code generated from the field comments in config.go by go test -run Manual -update; DO NOT EDIT.

var controlManual = map[string]string{
	"name":               "This node's name in cluster.json. Small letters, digits and hyphens, at most 63.",
	"dir":                "The data directory, made when missing. It belongs to this node alone.",
	"cluster":            "Path of cluster.json, the same file on every node of the cluster.",
	"key":                "Path of this node's signing key, credential:NAME or tpm:PATH.",
	"certificate":        "certificate, certificate_key, ca: paths of this node's TLS certificate, its key (also credential:NAME or tpm:PATH) and the\ncluster's own certificate authority, PEM.",
	"cluster_key":        "Path of the age identity that opens the list keys hotlines wrap for this cluster,\ncredential:NAME or tpm:PATH. All control nodes hold the same one.",
	"accept_key_on_disk": "Must be true when any key above is a plain file. It says that you know that whoever steals\nthis disk can test names against the lists; cordon status shows it. Leave it out when every key is a\ncredential:NAME (handed over by systemd) or tpm:PATH (sealed to this machine's TPM by cordon seal).",
	"raft_listen":        "Address and port where the other control nodes reach this one, for example 192.0.2.10:7400.",
	"api_listen":         "Address and port of the HTTPS API for edges, operators and auditors, for example 192.0.2.10:7443.",
	"members":            "All control nodes, this one included, each with name, raft and api address as the others reach it.",
	"hotlines":           "Where each hotline of cluster.json, or that officers have added (cordon pin), publishes. Trust never comes from here.",
	"poll":               "How often each hotline is asked for news. Default 30s, at least 1s, at most 1h.",
	"never_block":        "Names that no list may stop (your own names, your help lines): the name, www. and it, and what lies\nabove. A signed list that would is held back until two of your officers let the entry pass.",
	"popularity":         "Path of a signed file of popular names and of hosts that carry many others (cordon-hotline popularity).\nA list that would stop one is held back in the same way. Read once, at the start. May be left out.",
	"popularity_keys":    "Whose signature on that file counts, as in its popularity.vkey: NAME+HASH+KEY.",
	"brakes":             "How much a version of a list may change before it is held back: max_entries (default: no limit), min_change\n(1000 entries, always allowed), and in percent of the list max_change (25, added), max_window (50, added in a\nweek), max_broad (50, whole sites added) and max_remove (50). Without the section, these defaults.",
	"witness":            "This node's part in the witnessing of logs (C2SP tlog-witness). logs: verifier keys (name+hash+key) of other\nlogs that this node watches and cosigns, such as other operators'; the public logs of the hotlines in force are\nwatched without that. policy: path of a witness policy (C2SP tlog-policy) with a URL behind each key; its witnesses\nare asked to cosign each checkpoint of this cluster's log. ca: path of a PEM file with the authorities of their\nservers, where they are not the system's (the ca.crt of each operator). May be left out.",
	"gossip":             "Other operators' control nodes, with which this one compares what hotlines' public logs have signed: url\n(https://ADDRESS:PORT of its API) and ca (path of its ca.crt). At most 16. May be left out.",
	"log_level":          "Debug, info, warn or error. Default info. No level logs a subscriber or a name.",
}

var edgeManual = map[string]string{
	"name":               "This edge's name in the cluster. Small letters, digits and hyphens, at most 63.",
	"dir":                "The data directory, made when missing. It belongs to this edge alone.",
	"cluster":            "Path of cluster.json, the same file on every node of the cluster.",
	"key":                "Path of this edge's signing key, credential:NAME or tpm:PATH.",
	"certificate":        "certificate, certificate_key, ca: paths of this edge's TLS certificate, its key (also credential:NAME or tpm:PATH) and the\ncluster's own certificate authority, PEM.",
	"identity":           "Path of this edge's age identity, to which control nodes wrap the list keys, credential:NAME or\ntpm:PATH.",
	"accept_key_on_disk": "Must be true when any key above is a plain file. It says that you know that whoever steals\nthis disk can test names against the lists; cordon status shows it. Leave it out when every key is a\ncredential:NAME (handed over by systemd) or tpm:PATH (sealed to this machine's TPM by cordon seal).",
	"control":            "API URLs of control nodes, https://ADDRESS:PORT. Any one of them is enough.",
	"hotlines":           "Where each hotline of cluster.json publishes. An edge reads withdrawals there, and nothing else, while\nits cluster can agree on nothing. Trust comes from cluster.json, never from here. May be left out.",
	"dns_listen":         "Addresses and ports that answer subscribers over UDP and TCP, for example 192.0.2.53:53.",
	"upstreams":          "Validating resolvers that answer for names not listed, for example 127.0.0.1:5353. At least one, or\nupstream: recursive instead.",
	"upstream":           "\"recursive\" has this edge find answers for names not listed by itself, from the root down, with an Unbound\nthat it runs and watches (Debian's package unbound). Instead of upstreams.",
	"recursion":          "That Unbound. listen: its address on this machine (default: 127.0.0.1 and a free port). program: default\nunbound. trust_anchor: file with the root's DNSSEC keys (default: that of Debian's package dns-root-data, taken anew\nwhen it changes). root_hints: file with the root's servers (default: the world's). user: whom it runs as when the\nedge is root (default: unbound). threads: default 1. cache_mb: default 32, at least 4. May be left out.",
	"clients":            "Who is answered. allow, deny: prefixes beside the private addresses, which always are (loopback, 10.0.0.0/8,\n172.16.0.0/12, 192.168.0.0/16, 100.64.0.0/10, fc00::/7, link-local); the longest prefix decides. others: refuse or\ndrop. And how much one client (ipv4_bits 32, ipv6_bits 56) may ask: questions (5000 a second), and over UDP answers\n(2500 a second of each kind), large_answers (500, above 512 bytes), errors (500), of those above each slip-th (2) sent\nas \"ask over TCP\"; listed_a_day (32 different listed entries, then it is slowed down). 0: no limit. exempt: prefixes\nwithout limits.",
	"encrypted":          "DNS over TLS, HTTPS (HTTP/2 and HTTP/3) and QUIC. name: the resolver's, which its certificate must hold.\ncertificate, certificate_key: PEM files (the key also credential:NAME), read again when they change. tls_listen,\nhttps_listen, quic_listen: addresses and ports, usually 853, 443 and 853; each may be left out. https_path: default\n/dns-query. connections: at once, default 4096. connections_per_client: from one IPv4 address or IPv6 /56, default 128.\nidle: how long one stays open without a question, default 30s. info_url: a page about this resolver (RFC 9606).\nMay be left out.",
	"proxies":            "Balancers that send PROXY protocol headers (version 1 or 2): listen, one of the addresses above, and from,\ntheir prefixes. Over TCP, that address then takes connections from these alone, and HTTPS has no HTTP/3 there. Over\nUDP no such header is read. May be left out.",
	"stop":               "The stop pages and the answers that lead to them.",
	"dns64":              "The prefix of your NAT64, such as 64:ff9b::/96, for networks of IPv6-only clients (RFC 6147). Names that have\nIPv4 addresses alone then get IPv6 ones in it, stop addresses too. May be left out.",
	"structured_errors":  "A text with the answer for a listed name, for clients that ask for it (off without this section).\noption: the EDNS option that asks, 15 (an empty Extended DNS Error) or 26 as in later drafts. law, voluntary: why;\norganization: who runs this block; language: of these texts. The contact is that of stop. Nothing else is in it.",
	"nsid":               "Whether a query that asks for it (RFC 5001) gets the state id this edge serves. Auditors use it from\noutside. Default true.",
	"cache_mb":           "Memory for cached answers in MiB. Default 64, 1 to 65536.",
	"never_block":        "Names that must miss when this edge tests a new index. Keep it equal to that of the control nodes.",
	"max_stale":          "How old the cluster's checkpoint may grow before this edge raises an alarm. It never takes a list\nout of force. Default 5m, at least 2m (an idle cluster renews every minute), at most 720h.",
	"log_level":          "Debug, info, warn or error. Default info. No level logs a subscriber or a name.",
}

var stopManual = map[string]string{
	"law":         "Where names listed under a law or an order are sent (ipv4, ipv6 or both). Its page answers 451. listen: local\naddresses of the page when they are not these ([]: another machine serves it). reference: the law in your words.",
	"voluntary":   "Where names listed by voluntary agreement are sent. Its page answers 403. It must differ from law,\nbecause the address alone decides the page.",
	"listen_port": "TCP port of the stop pages. Default 80, which is where browsers come; 443 stays closed.",
	"implementer": "URL (https) of the page that says who runs this block; sent in the Link header (RFC 7725).",
	"contact":     "Where complaints go, as a mailto: or tel: URL.",
	"report":      "URL (https) of the hotline page where anyone can report material. May be left out.",
	"help":        "URL (https or tel) of a help line for people worried about their own thoughts or behaviour. May be left out.",
	"languages":   "Which languages come first on the page (en fr es ar ru zh). The others follow. Default en first.",
	"ttl":         "How long a client may keep the answer for a listed name. Default 30s, 10s to 60s.",
}
