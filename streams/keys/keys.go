// Package keys keeps the API keys that `kasi keys` makes: kasi.keys.v1 has a record of each, under its id, in one
// partition. The topic is compacted. The keys themselves are nowhere: a record holds a hash. Every API instance follows
// the topic, so a key that was made or revoked counts everywhere within a second.
package keys

import (
	"cmp"
	"context"
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kasi-collections/kasi/schemas"
	"github.com/kasi-collections/kasi/streams/follow"
	"github.com/kasi-collections/kasi/streams/stage"
	"github.com/kasi-collections/kasi/streams/tenants"
	"github.com/kasi-collections/kasi/streams/topics"
)

// Ring is what one process knows of the keys. It is safe for concurrent use.
type Ring struct {
	mu    sync.RWMutex
	known map[string]Key // by id
}

// Follow makes a Ring that knows all keys there are, and hears of others until ctx ends. The topic must exist
// (topics.Ensure). While Kafka is away the known keys stay as they are.
func Follow(ctx context.Context, cfg stage.Config) (*Ring, error) {
	r := &Ring{known: map[string]Key{}}
	return r, follow.Topic(ctx, cfg, schemas.TopicKeys, r.take)
}

func (r *Ring) take(rec *kgo.Record) {
	var k Key
	if json.Unmarshal(rec.Value, &k) != nil || k.ID != string(rec.Key) {
		return // not of our making
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.known[k.ID] = k
}

// Find is the live key of which this is the text.
func (r *Ring) Find(key string, now time.Time) (k Key, found bool) {
	id, ok := idOf(key)
	if !ok {
		return k, false
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	k, ok = r.known[id]
	same := subtle.ConstantTimeCompare([]byte(hashOf(key)), []byte(k.Hash)) == 1
	return k, ok && same && k.State(now) == "live"
}

// All are the keys of a tenant, or of all where it is empty: by tenant, then from the oldest on.
func (r *Ring) All(tenant string) []Key {
	r.mu.RLock()
	defer r.mu.RUnlock()
	keys := slices.Collect(maps.Values(r.known))
	keys = slices.DeleteFunc(keys, func(k Key) bool { return tenant != "" && k.TenantID != tenant })
	slices.SortFunc(keys, func(a, b Key) int {
		return cmp.Or(strings.Compare(a.TenantID, b.TenantID), a.CreatedAt.Compare(b.CreatedAt), strings.Compare(a.ID, b.ID))
	})
	return keys
}

// Book is how keys are made and revoked.
type Book struct {
	*Ring
	cfg stage.Config
	cl  *kgo.Client
}

// Open opens the keys for a change. Its connections end with ctx.
func Open(ctx context.Context, cfg stage.Config) (*Book, error) {
	ring, err := Follow(ctx, cfg)
	if err != nil {
		return nil, err
	}
	cl, _, err := topics.Open(cfg)
	if err != nil {
		return nil, err
	}
	context.AfterFunc(ctx, cl.Close)
	return &Book{Ring: ring, cfg: cfg, cl: cl}, nil
}

// Create makes a key for a tenant. The text is the key itself, which can be had only now. expires may be nil.
func (b *Book) Create(ctx context.Context, tenant string, scopes []string, expires *time.Time) (k Key, text string,
	err error,
) {
	all, err := tenants.List(ctx, b.cfg)
	if err != nil {
		return k, "", err
	}
	if !slices.ContainsFunc(all, func(t tenants.Tenant) bool { return t.ID == tenant }) {
		return k, "", fmt.Errorf("there is no tenant %q; `kasi tenants create` makes one", tenant)
	}
	id, text := generate()
	k = Key{
		ID: id, TenantID: tenant, Hash: hashOf(text), Scopes: scopes, CreatedAt: now(), Expires: expires,
	}
	return k, text, b.write(ctx, k)
}

// Revoke ends a key at the instant from, or when it was to end, where that is sooner.
func (b *Book) Revoke(ctx context.Context, k Key, from time.Time) (Key, error) {
	if k.Revoked == nil || from.Before(*k.Revoked) {
		k.Revoked = &from
	}
	return k, b.write(ctx, k)
}

// Pick is the key that name means: its id, or the key itself. An empty name means the tenant's only live key.
func (b *Book) Pick(tenant, name string) (Key, error) {
	keys := b.All(tenant)
	if id, ok := idOf(name); ok {
		name = id
	}
	if name != "" {
		for _, k := range keys {
			if k.ID == name {
				return k, nil
			}
		}
		return Key{}, fmt.Errorf("tenant %q has no key %q; `kasi keys list` shows those there are", tenant, name)
	}
	live := slices.DeleteFunc(keys, func(k Key) bool { return k.State(now()) != "live" })
	if len(live) != 1 {
		return Key{}, fmt.Errorf("tenant %q has %d live keys: say which by its id (`kasi keys list`)", tenant, len(live))
	}
	return live[0], nil
}

func (b *Book) write(ctx context.Context, k Key) error {
	value, err := json.Marshal(k)
	if err != nil {
		return err
	}
	rec := &kgo.Record{Topic: schemas.TopicKeys, Key: []byte(k.ID), Value: value}
	if err := b.cl.ProduceSync(ctx, rec).FirstErr(); err != nil {
		return fmt.Errorf("the key may not be written; `kasi keys list` shows what is there: %w", err)
	}
	return nil
}

func now() time.Time { return time.Now().UTC().Truncate(time.Millisecond) }
