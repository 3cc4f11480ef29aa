package identity

import (
	"sync"
	"time"

	"github.com/seed-dbc68772/slipway/controlplane/procgroup"
)

// holder is what is known of a listening socket.
type holder struct {
	seen  time.Time // since when it is known to listen
	own   bool      // it is the instance's
	sole  bool      // no other socket can listen beside it
	fresh bool      // not known before this look
}

// strangerAge is for how long a stranger is taken for one unseen, so that its
// visitors do not cost a walk through all processes each.
const strangerAge = time.Second

// memory keeps the holders of the sockets that were asked for lately: of at
// least half of maxKnown, and at most that.
type memory struct {
	mu       sync.Mutex
	now, old map[listenerKey]holder
}

const maxKnown = 16384

type listenerKey struct {
	identity string
	cookie   uint64
}

func (m *memory) recall(identity string, cookie uint64) (holder, bool) {
	key := listenerKey{identity, cookie}
	m.mu.Lock()
	defer m.mu.Unlock()
	if h, ok := m.now[key]; ok {
		return h, true
	}
	h, ok := m.old[key]
	if ok {
		m.put(key, h)
	}
	return h, ok
}

func (m *memory) keep(identity string, cookie uint64, h holder) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.put(listenerKey{identity, cookie}, h)
}

// put adds to the newer half, which becomes the older one once it is full.
func (m *memory) put(key listenerKey, h holder) {
	if m.now == nil || len(m.now) >= maxKnown/2 {
		m.now, m.old = map[listenerKey]holder{}, m.now
	}
	m.now[key] = h
}

// thisBoot is what identities of this machine's present run say of it.
var thisBoot = sync.OnceValue(func() string { return procgroup.Digest(procgroup.BootID()) })
