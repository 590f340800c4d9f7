package tenants

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kasi-collections/kasi/processors/rules"
	"github.com/kasi-collections/kasi/schemas"
	"github.com/kasi-collections/kasi/streams/stage"
)

// A tenant's settings lie on kasi.tenants.v1 first, a record for each name and day. So two operators at once lose
// nothing. Then all of them go to every partition of the timeline and of the settlement commands, from where the stages
// take them. When the brokers have acknowledged all of these, a record of kind sentOf says so. Whoever finds settings
// without it sends them again: the ticker, which looks at its start and every few seconds, or the next `kasi tenants
// set`. So no kill between the two leaves some partitions without them, and a partition that gets them twice knows the
// version.
const (
	mark       = "\x1e" // between a tenant's id and what a record says of it
	settingsOf = "setting"
	sentOf     = "sent"
)

// sent says which version of a tenant's settings every partition has.
type sent struct {
	Version int64 `json:"version"`
}

// maxSettings bounds the settings of one tenant, with those of the past: they are in every transaction of the stages.
const maxSettings = 200

// Set adds settings to a tenant's own and returns all of them, once every partition has them. They count from their
// dates on.
func Set(ctx context.Context, cfg stage.Config, partitions int32, tenant string, more []schemas.TenantSetting,
) (own schemas.TenantSettings, err error) {
	for _, s := range more {
		if err := rules.CheckSetting(s); err != nil {
			return own, err
		}
	}
	r := Follow(ctx, cfg)
	defer r.close()
	if err := r.look(ctx); err != nil {
		return own, err
	}
	if !r.Has(tenant) {
		return own, fmt.Errorf("there is no tenant %q; `kasi tenants create` makes one", tenant)
	}
	if n := len(r.own[tenant].Settings) + len(more); n > maxSettings {
		return own, fmt.Errorf("tenant %q would have up to %d settings; the most is %d", tenant, n, maxSettings)
	}
	records := make([]*kgo.Record, len(more))
	for i, s := range more {
		if records[i], err = record(strings.Join([]string{tenant, settingsOf, s.From, s.Name}, mark), s); err != nil {
			return own, err
		}
	}
	if err := r.cl.ProduceSync(ctx, records...).FirstErr(); err != nil {
		return own, fmt.Errorf("not all settings may be written; try again: %w", err)
	}
	if err := r.look(ctx); err != nil {
		return own, err
	}
	return r.own[tenant], r.send(ctx, partitions, r.own[tenant])
}

// Settings are those of a tenant by now.
func (r *Registry) Settings(tenant string) schemas.TenantSettings {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.own[tenant]
}

// Heal sends the settings again that some partition may lack, and tells of which tenants.
func (r *Registry) Heal(ctx context.Context, partitions int32) (tenants []string, err error) {
	if err := r.look(ctx); err != nil {
		return nil, err
	}
	for tenant, own := range r.own {
		if done, ok := r.sent[tenant]; ok && done >= own.Version {
			continue
		}
		if err := r.send(ctx, partitions, own); err != nil {
			return tenants, err
		}
		tenants = append(tenants, tenant)
	}
	return tenants, nil
}

// send writes settings to every partition that decides by them, and then says so.
func (r *Registry) send(ctx context.Context, partitions int32, own schemas.TenantSettings) error {
	value, err := json.Marshal(own)
	if err != nil {
		return err
	}
	var records []*kgo.Record
	for p := range partitions {
		for _, topic := range []string{schemas.TopicTimeline, schemas.TopicSettlementCommands} {
			records = append(records, &kgo.Record{
				Topic: topic, Partition: p, Key: []byte(own.TenantID), Value: value,
				Headers: []kgo.RecordHeader{{Key: schemas.HeaderKind, Value: []byte(schemas.KindTenant)}},
			})
		}
	}
	if err := r.cl.ProduceSync(ctx, records...).FirstErr(); err != nil {
		return fmt.Errorf("settings of tenant %q are kept, but not every partition may have them yet; the ticker sends them "+
			"again: %w", own.TenantID, err)
	}
	done, err := record(own.TenantID+mark+sentOf, sent{own.Version})
	if err != nil {
		return err
	}
	if err := r.cl.ProduceSync(ctx, done).FirstErr(); err != nil {
		return fmt.Errorf("tenants: %w", err)
	}
	return nil
}

func record(key string, v any) (*kgo.Record, error) {
	value, err := json.Marshal(v)
	return &kgo.Record{Topic: schemas.TopicTenants, Key: []byte(key), Value: value}, err
}

// place puts a setting among those of its tenant, in the order of days and names.
func place(own schemas.TenantSettings, s schemas.TenantSetting) schemas.TenantSettings {
	order := func(a, b schemas.TenantSetting) int {
		return cmp.Or(strings.Compare(a.From, b.From), strings.Compare(a.Name, b.Name))
	}
	list := slices.Clone(own.Settings)
	i, found := slices.BinarySearchFunc(list, s, order)
	if found {
		list[i] = s
	} else {
		list = slices.Insert(list, i, s)
	}
	own.Settings = list
	return own
}
