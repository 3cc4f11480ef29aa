package procgroup

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Identity says whose the endpoint of a process group is. It travels with the
// endpoint as text, see [Identity.String].
type Identity struct {
	Boot string // of the machine's present run, see [Digest]
	// PID and Start name the group's leader: a number alone is used again.
	// Start is in clock ticks since the machine started.
	PID   int
	Start uint64
	Mark  string // the [Digest] of what members carry in their environment

	// Sockets are the inodes of the sockets that listened when the group
	// became ready, at most [MaxSockets]. They are known to be its own.
	Sockets []uint64
}

// MaxSockets is how many sockets an identity names. A group with more of them
// names none, and its sockets are looked up where they are asked for.
const MaxSockets = 4

// scheme begins the text of every identity, so that other kinds can follow.
const scheme = "process"

// Digest is a short stand-in for a name: 16 hexadecimal digits of its SHA-256.
func Digest(name string) string {
	sum := sha256.Sum256([]byte(name))
	return hex.EncodeToString(sum[:8])
}

// String is "process:<boot>:<pid>:<start>:<mark>:<inode>,…", about 80 bytes.
// It holds no secret.
func (i Identity) String() string {
	b := make([]byte, 0, 96)
	b = append(append(b, scheme...), ':')
	b = append(append(b, i.Boot...), ':')
	b = append(strconv.AppendInt(b, int64(i.PID), 10), ':')
	b = append(strconv.AppendUint(b, i.Start, 10), ':')
	b = append(append(b, i.Mark...), ':')
	if len(i.Sockets) <= MaxSockets {
		for n, inode := range i.Sockets {
			if n > 0 {
				b = append(b, ',')
			}
			b = strconv.AppendUint(b, inode, 10)
		}
	}
	return string(b)
}

// Parse reads what String wrote.
func Parse(text string) (Identity, error) {
	i, err := parse(text)
	if err != nil {
		return Identity{}, fmt.Errorf("read endpoint identity %q: %w", text, err)
	}
	return i, nil
}

func parse(text string) (i Identity, err error) {
	fields := strings.Split(text, ":")
	if fields[0] != scheme || len(fields) != 6 {
		return i, errors.New("not one of a process")
	}
	i.Boot, i.Mark = fields[1], fields[4]
	if len(i.Boot) != 16 || len(i.Mark) != 16 {
		return i, errors.New("boot or mark is no digest")
	}
	if i.PID, err = strconv.Atoi(fields[2]); err != nil || i.PID < 1 {
		return i, errors.New("no number of a process")
	}
	if i.Start, err = strconv.ParseUint(fields[3], 10, 64); err != nil {
		return i, errors.New("no start time")
	}
	if fields[5] == "" {
		return i, nil
	}
	inodes := strings.Split(fields[5], ",")
	if len(inodes) > MaxSockets {
		return i, fmt.Errorf("more than %d sockets", MaxSockets)
	}
	for _, s := range inodes {
		inode, err := strconv.ParseUint(s, 10, 64)
		if err != nil || inode == 0 {
			return i, errors.New("no number of a socket")
		}
		i.Sockets = append(i.Sockets, inode)
	}
	return i, nil
}
