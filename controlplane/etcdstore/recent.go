package etcdstore

import "sync"

// recent is what the transactions of a leader read ahead and wrote: mostly it is
// the only one who changes that, so that its next step need not ask for it. It
// may be old. A transaction that took anything from here compares it like what it
// read, and is made again with what the store has when it did not hold, or came
// to nothing.
//
// It belongs to one term: a restored backup counts revisions again, and ends it.
type recent struct {
	mu    sync.Mutex
	reads map[string]read
	bytes int
}

// maxRecent bounds the bytes of keys and values; beyond it everything is
// forgotten.
const maxRecent = 16 << 20

// all are the keys, if every one of them is known. A nil recent knows nothing.
func (r *recent) all(keys []string) (reads []read, ok bool) {
	if r == nil {
		return nil, false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, key := range keys {
		one, ok := r.reads[key]
		if !ok {
			return nil, false
		}
		reads = append(reads, one)
	}
	return reads, true
}

// keep notes what a transaction that read these keys ahead has left of them.
func (r *recent) keep(t *tx, revision int64) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for key, one := range t.ahead {
		at := one.revision
		if raw, written := t.writes[key]; written {
			if one, at = (read{raw: raw, revision: revision, whole: t.whole[key]}), revision; raw == nil {
				one = read{}
			}
		}
		old, known := r.reads[key]
		if known && old.revision > at {
			continue // another transaction was later
		}
		if r.bytes += len(one.raw) - len(old.raw); !known {
			r.bytes += len(key)
		}
		if r.bytes > maxRecent {
			clear(r.reads)
			r.bytes = len(key) + len(one.raw)
		}
		r.reads[key] = one
	}
}

func (r *recent) forget(ahead map[string]read) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for key := range ahead {
		if old, known := r.reads[key]; known {
			r.bytes -= len(key) + len(old.raw)
			delete(r.reads, key)
		}
	}
}
