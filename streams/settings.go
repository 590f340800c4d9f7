package streams

import (
	"maps"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kasi-collections/kasi/processors/rules"
	"github.com/kasi-collections/kasi/schemas"
	"github.com/kasi-collections/kasi/streams/stage"
)

// takeSettings remembers a tenant's settings among the partition's facts. The record comes to every partition, and may
// come again: one that is not newer is no news.
func takeSettings(b *stage.Batch, rec *kgo.Record) error {
	own, err := readOwn(rec.Value, "record of a tenant's settings", checkSettings)
	if err != nil {
		return err
	}
	if before, known := b.Facts.Tenants[own.TenantID]; known && before.Version >= own.Version {
		return nil
	}
	all := maps.Clone(b.Facts.Tenants)
	if all == nil {
		all = map[string]stage.Settings{}
	}
	all[own.TenantID] = stage.Settings{TenantSettings: own, New: true}
	b.Facts.Tenants = all
	return nil
}

func checkSettings(own schemas.TenantSettings) error {
	if own.TenantID == "" {
		return badCommand("tenant_id is required")
	}
	for _, s := range own.Settings {
		if err := rules.CheckSetting(s); err != nil {
			return badCommand(err.Error())
		}
	}
	return nil
}

// changed tells that a tenant's settings may not be what they were when its customers were last looked at: they are
// new, or one begins on the day.
func changed(own stage.Settings, m schemas.Moment) bool {
	return own.New || own.Changes(m.Date.String())
}

// settingsSeen makes settings old once a cut-off has decided by them.
func settingsSeen(b *stage.Batch, m schemas.Moment) {
	if m.Cutoff == 0 {
		return
	}
	for tenant, own := range b.Facts.Tenants {
		if own.New {
			all := maps.Clone(b.Facts.Tenants)
			own.New = false
			all[tenant] = own
			b.Facts.Tenants = all
		}
	}
}

// tenantRules are the rules as they hold for the tenants of a partition.
type tenantRules struct {
	general *rules.Rules
	own     map[string]ownRules
}

type ownRules struct {
	version int64
	rules   *rules.Rules
}

// of are the rules of a tenant as the open batch knows its settings. They are made once a version.
func (t *tenantRules) of(b *stage.Batch, tenant string) *rules.Rules {
	own, has := b.Facts.Tenants[tenant]
	if !has {
		return t.general
	}
	if made, ok := t.own[tenant]; ok && made.version == own.Version {
		return made.rules
	}
	r, err := t.general.For(own.TenantSettings)
	if err != nil {
		// What was taken in had been checked; a later build may know fewer settings. To go on without would decide otherwise.
		panic("streams: settings of tenant " + tenant + ": " + err.Error())
	}
	if t.own == nil {
		t.own = map[string]ownRules{}
	}
	t.own[tenant] = ownRules{own.Version, r}
	return r
}
