package verify

import (
	"context"
	"encoding/json"
	"math/big"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kasi-collections/kasi/schemas"
)

// settings are what tenants have of their own, by tenant.
type settings map[string]dated

// dated are the values of a tenant's settings, by name and by the day from which they hold.
type dated map[string]map[string]string

// readSettings reads the settings as `kasi tenants set` has written them: key tenant, "setting", day and name,
// separated by 0x1e.
func (b *books) readSettings(ctx context.Context) error {
	b.own = settings{}
	ends, err := b.o.Kafka.Ends(ctx, schemas.TopicTenants)
	if err != nil {
		return err
	}
	return b.o.Kafka.Read(ctx, ends, func(r *kgo.Record) error {
		var set struct{ Value string }
		key := strings.Split(string(r.Key), "\x1e")
		if len(key) != 4 || key[1] != "setting" || json.Unmarshal(r.Value, &set) != nil {
			return nil
		}
		tenant, day, name := key[0], key[2], key[3]
		if b.own[tenant] == nil {
			b.own[tenant] = dated{}
		}
		if b.own[tenant][name] == nil {
			b.own[tenant][name] = map[string]string{}
		}
		b.own[tenant][name][day] = set.Value
		return nil
	})
}

// on is a setting's value on a day, empty where the general rule holds.
func (d dated) on(name, day string) (value string) {
	latest := ""
	for from, v := range d[name] {
		if from <= day && from >= latest {
			latest, value = from, v
		}
	}
	return value
}

// over are the rates of a day with a tenant's own in their place.
func (d dated) over(general Fees, day string) Fees {
	if own, ok := new(big.Rat).SetString(d.on("distribution_fee", day)); ok {
		general.Distribution = own
	}
	if own, ok := new(big.Rat).SetString(d.on("collections_fee", day)); ok {
		general.Collections = own
	}
	return general
}
