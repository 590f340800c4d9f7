// Package tenants keeps who the insurers are, and their settings: kasi.tenants.v1 has a record of each tenant, under
// its id, in one partition. The topic is compacted. A tenant is never taken away, so a reader that is behind knows too
// few, never too many.
package tenants

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kasi-collections/kasi/processors/rules"
	"github.com/kasi-collections/kasi/schemas"
	"github.com/kasi-collections/kasi/streams/follow"
	"github.com/kasi-collections/kasi/streams/progress"
	"github.com/kasi-collections/kasi/streams/retry"
	"github.com/kasi-collections/kasi/streams/stage"
)

// Tenant is an insurer.
type Tenant struct {
	ID        string    `json:"tenant_id"`
	CreatedAt time.Time `json:"created_at"`
}

// Add makes the tenants that are not there yet, and returns their ids. The topic must exist (topics.Ensure). A name
// that is no id is refused before anything is written.
func Add(ctx context.Context, cfg stage.Config, names ...string) (added []string, err error) {
	for _, name := range names {
		if id, err := schemas.Name(name); err != nil || id != name || name == "" {
			return nil, fmt.Errorf("tenant %q is not an id: 1 to %d bytes without control characters and without a blank at "+
				"either end, in Unicode's form NFC", name, schemas.MaxName)
		}
	}
	r := Follow(ctx, cfg)
	defer r.close()
	if err := r.look(ctx); err != nil {
		return nil, err
	}
	var records []*kgo.Record
	for _, name := range slices.Compact(slices.Sorted(slices.Values(names))) {
		if r.Has(name) {
			continue
		}
		value, err := json.Marshal(Tenant{ID: name, CreatedAt: time.Now().UTC().Truncate(time.Millisecond)})
		if err != nil {
			return nil, err
		}
		added = append(added, name)
		records = append(records, &kgo.Record{Topic: schemas.TopicTenants, Key: []byte(name), Value: value})
	}
	if err := r.cl.ProduceSync(ctx, records...).FirstErr(); err != nil {
		return nil, fmt.Errorf("tenants: not all may be written; try again, one that is there stays as it is: %w", err)
	}
	return added, nil
}

// List is all tenants, by id.
func List(ctx context.Context, cfg stage.Config) ([]Tenant, error) {
	r := Follow(ctx, cfg)
	defer r.close()
	if err := r.look(ctx); err != nil {
		return nil, err
	}
	return slices.SortedFunc(maps.Values(r.known), func(a, b Tenant) int { return strings.Compare(a.ID, b.ID) }), nil
}

// Registry is what one process knows of the tenants. It is safe for concurrent use.
type Registry struct {
	cfg stage.Config

	mu    sync.RWMutex // guards the rest
	ctx   context.Context
	cl    *kgo.Client
	looks *progress.Tracker
	next  int64 // offset to read next
	known map[string]Tenant
	// own are the latest settings of each tenant, sent the version of those that every partition has, by tenant.
	own  map[string]schemas.TenantSettings
	sent map[string]int64
}

// Follow makes a Registry that knows nobody before its first Refresh. Its connection ends with ctx.
func Follow(ctx context.Context, cfg stage.Config) *Registry {
	return &Registry{
		cfg: cfg, ctx: ctx, known: map[string]Tenant{}, own: map[string]schemas.TenantSettings{}, sent: map[string]int64{},
	}
}

// FollowAll makes a Registry that knows all there is, and hears of what comes until ctx ends. The topic must exist.
func FollowAll(ctx context.Context, cfg stage.Config) (*Registry, error) {
	r := Follow(ctx, cfg)
	return r, follow.Topic(ctx, cfg, schemas.TopicTenants, func(rec *kgo.Record) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.take(rec)
	})
}

// Has tells whether a tenant is known by now.
func (r *Registry) Has(tenant string) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	_, known := r.known[tenant]
	return known
}

// Refresh reads the tenants up to their end. A broker that is away is waited for until ctx ends.
func (r *Registry) Refresh(ctx context.Context) error {
	for pauses := retry.Growing(20*time.Millisecond, 2*time.Second); ; {
		err := r.look(ctx)
		if err == nil {
			return nil
		}
		r.cfg.Logger().Warn("the tenants cannot be read; trying again", "err", err)
		if stop := retry.Pause(ctx, pauses.NextBackOff()); stop != nil {
			return errors.Join(stop, err)
		}
	}
}

func (r *Registry) look(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.open(); err != nil {
		return err
	}
	ends, err := r.looks.Ends(ctx, true, schemas.TopicTenants)
	if err != nil {
		return fmt.Errorf("tenants: %w", err)
	}
	at := progress.Place{Topic: schemas.TopicTenants}
	next, err := r.looks.Scan(ctx, at, r.next, ends[at], 1<<20, func(rec *kgo.Record) error {
		if !rec.Attrs.IsControl() {
			r.take(rec)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("tenants: %w", err)
	}
	r.next = next
	return nil
}

// take puts a record in its place: a tenant, its settings, or how far those have been sent. Another's is passed over.
func (r *Registry) take(rec *kgo.Record) {
	tenant, what, _ := strings.Cut(string(rec.Key), mark)
	what, _, _ = strings.Cut(what, mark)
	switch what {
	case "":
		var t Tenant
		if json.Unmarshal(rec.Value, &t) == nil && t.ID == tenant {
			r.known[t.ID] = t
		}
	case settingsOf:
		var s schemas.TenantSetting
		if json.Unmarshal(rec.Value, &s) == nil && rules.CheckSetting(s) == nil {
			own := place(r.own[tenant], s)
			own.TenantID, own.Version = tenant, rec.Offset
			r.own[tenant] = own
		}
	case sentOf:
		var done sent
		if json.Unmarshal(rec.Value, &done) == nil {
			r.sent[tenant] = max(r.sent[tenant], done.Version)
		}
	}
}

// open connects, the first time.
func (r *Registry) open() (err error) {
	if r.cl != nil {
		return nil
	}
	r.cl, err = kgo.NewClient(r.cfg.Client(kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(0),
		kgo.RequiredAcks(kgo.AllISRAcks()))...)
	if err != nil {
		return fmt.Errorf("tenants: %w", err)
	}
	r.looks = progress.New(r.cl)
	context.AfterFunc(r.ctx, r.cl.Close)
	return nil
}

func (r *Registry) close() {
	if r.cl != nil {
		r.cl.Close()
	}
}
