package activity

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed-dbc68772/slipway/routing"
)

// cause is what an activity was.
type cause uint8

const (
	causeRequest cause = 1 + iota
	causeStream
	causeWebSocket
)

var causeNames = [...]string{"", "request", "stream", "websocket"}

// causeBits are the lowest of meter.active.
const causeBits = 2

// The lanes in which what is under way is counted: requests by whether they
// began in an even or odd interval of reports, so that those which lasted for a
// whole one can be told, and those that keep nothing awake.
const (
	quietLane = 2
	laneBits  = 20
	laneMask  = 1<<laneBits - 1
)

// retired in meter.open: the meter is in no map any more.
const retired = -1 << 63

// meter is what is known of one instance.
type meter struct {
	all *Meters
	id  routing.ID

	open   atomic.Int64 // counts in lanes; negative: retired
	active atomic.Int64 // when the last activity was, in ms, and its cause; 0: never
	// draining is from when on, in ms, an activity is news to who waits for the
	// instance's sleep; 0: nobody does.
	draining atomic.Int64

	// told and presentTold are what a report that was written had of active and
	// present.
	told, presentTold atomic.Int64
	present           atomic.Int64 // when the last presence was, in ms; 0: never

	mu      sync.Mutex
	stopped int64 // generations up to this one have stopped
	streams map[*stream]struct{}
	here    int // of the streams are presence
}

// stream is what is open and is ended with the instance.
type stream struct {
	generation int64
	silent     bool // it is no presence
	end        func()
}

// mark notes an activity. Its time has a resolution of a millisecond, so that
// most requests of a busy instance write nothing.
func (m *meter) mark(at time.Time, why cause) {
	now := m.all.at(at)
	for was := m.active.Load(); was>>causeBits < now; was = m.active.Load() {
		if m.active.CompareAndSwap(was, now<<causeBits|int64(why)) {
			m.drainNews(now)
			return
		}
	}
}

// drainApart is how often, in ms, the activity of an instance that is about to
// sleep is news.
const drainApart = 1000

func (m *meter) drainNews(now int64) {
	if from := m.draining.Load(); from != 0 && now >= from && m.draining.CompareAndSwap(from, now+drainApart) {
		m.all.news()
	}
}

// begin counts one; false if the meter is retired.
func (m *meter) begin(lane uint8) bool { return m.open.Add(1<<(lane*laneBits)) > 0 }

func (m *meter) end(lane uint8) {
	if m.open.Add(-1<<(lane*laneBits)) == 0 && m.draining.Load() != 0 {
		m.all.news()
	}
}

// underWay is how many requests and connections there are.
func (m *meter) underWay() int {
	n := m.open.Load()
	return int(n&laneMask + n>>laneBits&laneMask + n>>(2*laneBits)&laneMask)
}

// hasOld reports whether a request is under way that began in an interval of
// reports before the one that ends now.
func (m *meter) hasOld(turn uint32) bool {
	return m.open.Load()>>(laneBits*((turn+1)%2))&laneMask > 0
}

// isPresent reports whether there is an open WebSocket or event stream.
func (m *meter) isPresent() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.here > 0
}

func (m *meter) add(s *stream) (closed func()) {
	m.mu.Lock()
	if m.streams == nil {
		m.streams = map[*stream]struct{}{}
	}
	m.streams[s] = struct{}{}
	if !s.silent {
		m.here++
	}
	over := s.generation <= m.stopped
	m.mu.Unlock()
	if over {
		s.end()
	}
	return func() { m.remove(s) }
}

func (m *meter) remove(s *stream) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.streams, s)
	if !s.silent {
		m.here--
		m.present.Store(m.all.at(time.Now()))
	}
}

// stop ends what is open to generations up to this one. One may run again that
// did not, where a backup was restored.
func (m *meter) stop(generation int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.stopped = generation
	for s := range m.streams {
		if s.generation <= generation {
			s.end()
		}
	}
}

func (m *meter) hasStopped(generation int64) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return generation <= m.stopped
}
