package session

import (
	"hash/maphash"
	"sync"
	"time"
)

// The verified passes that are remembered: about 1.5 KB each.
const (
	cacheShards   = 16
	cachePerShard = 2048
)

// cache remembers verified passes. What is not good is not remembered: nobody
// fills it but those who are signed in.
type cache struct {
	shards [cacheShards]cacheShard
}

type cacheShard struct {
	mu sync.RWMutex
	m  map[string]*Known
}

var cacheSeed = maphash.MakeSeed()

func (c *cache) shard(token string) *cacheShard {
	return &c.shards[maphash.String(cacheSeed, token)%cacheShards]
}

func (c *cache) get(token string) *Known {
	s := c.shard(token)
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.m[token]
}

// put remembers a pass. A full shard forgets what has ended, and else any half.
func (c *cache) put(token string, k *Known, now time.Time) {
	s := c.shard(token)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.m == nil {
		s.m = map[string]*Known{}
	}
	if len(s.m) >= cachePerShard {
		for token, k := range s.m {
			if !k.pass.Alive(now) {
				delete(s.m, token)
			}
		}
		for token := range s.m {
			if len(s.m) <= cachePerShard/2 {
				break
			}
			delete(s.m, token)
		}
	}
	s.m[token] = k
}
