// Package netns gives instances with a fixed port a network namespace of their
// own, so that several can have the same one (spec instances.md §5). It needs
// root.
//
// A namespace has a loopback and one end of a veth pair; this machine has the
// other end, and a /30 of a private network is between them. It has no name:
// it exists while a process is in it or has it open, and its devices and
// addresses go with it. So nothing of one can be left behind.
//
// Connections to the fixed port at the inner address reach 127.0.0.1 inside, so
// that it does not matter whether an app listens there or on every address.
// Nobody else can come to listen there: the endpoint needs no identity.
//
// From inside, the addresses of this machine can be reached, but not what
// listens on its loopback, and no other instance. Beyond this machine it goes
// where the machine forwards (net.ipv4.ip_forward, which is the operator's to
// set) and nftables translate addresses; [Networks.Outbound] says.
package netns
