// Package framing holds clients to the letter of HTTP before the server parses
// what they send: the Caddy listener wrapper caddy.listeners.slipway. Two
// programs that disagree on where a request ends are how requests are smuggled,
// and net/http is lenient (spec routing.md §1, §5, §7).
//
// # HTTP/1
//
// A head is let through whole and good, or not at all. In place of a bad one
// the server reads a small good request, which [Refusal] tells from a client's
// by a secret of this process; so the handler writes every answer, in order
// behind earlier ones, and it is the connection's last. Bodies pass as they
// come. A malformed chunk is an error of Read, for ever.
//
// Each Read ends with the request at the latest, so the server holds no byte
// of a head before the guard has judged it.
//
// # Switching protocols
//
// What follows a bodiless request with Upgrade is a WebSocket's or the next
// request: only the answer says. The guard reads it in what the server writes:
// after 101 every byte passes unexamined, after another final status heads are
// judged again. Until then nothing is handed over. The server's watch for
// clients that leave, a Read of one byte beside the handler, gets nothing and
// ends, as it would with a byte. So nothing depends on who hijacks, through
// which wrappers; but a handler that hijacks must write its 101 before it reads.
//
// # Time and memory
//
// The time-out of a head counts from its first byte, for the server's own
// begins only with bytes that it sees. A head that comes in one piece is judged
// in the server's buffer. Others, and requests sent ahead, wait in a pooled one
// of 4 KiB, at most 68; idle connections, bodies and WebSockets have none.
//
// # HTTP/2
//
// Frames pass as they come and are counted by kind: PING, SETTINGS, PRIORITY,
// unknown frames and empty DATA; WINDOW_UPDATE; RST_STREAM of either side. A
// connection has 1,000 of each kind to spend, and gets back 500 a second, 2 or 4
// with each HEADERS and DATA frame of an answer, a WINDOW_UPDATE with each KiB,
// or 1 reset with each HEADERS. A header block has at most 256 KiB, 1,000 fields
// and 64 CONTINUATION frames, and the time-out of a head. A frame has at most
// 16 KiB.
// Who spends more gets GOAWAY with ENHANCE_YOUR_CALM or FRAME_SIZE_ERROR,
// written by the server itself, and the end of the connection.
//
// Header blocks are decoded beside the server, for golang.org/x/net/http2
// answers requests that RFC 9113 §8.1.1 calls malformed: those with fields of the
// connection, with TE other than trailers, and with two lengths or a wrong one.
// The guard ends such a block with one more field, which makes the server refuse
// it with PROTOCOL_ERROR, and both keep their tables in step. Of settings that
// are repeated in one frame the server gets the last; it would refuse them.
//
// A block waits until it is whole. In place of one of more than 64 KiB, as it
// comes or decoded, the server reads a small request, as over HTTP/1, which is
// answered 431; the connection goes on. What later blocks refer back to is
// missing in the server's table then, so the guard writes these anew.
//
// Connections without TLS switch at the preface. Those with TLS that agreed on
// HTTP/2 begin with it, or end.
package framing
