package tenants_test

import (
	"encoding/json"
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kasi-collections/kasi/schemas"
	"github.com/kasi-collections/kasi/streams/internal/rig"
	"github.com/kasi-collections/kasi/streams/tenants"
)

// sent are the settings of a tenant as each partition of a topic last heard of them.
func sent(r *rig.Rig, topic string) (last []schemas.TenantSettings) {
	r.Helper()
	for p := range r.Cfg.Partitions {
		var own schemas.TenantSettings
		for _, rec := range r.Records(topic, p) {
			var is schemas.TenantSettings
			require.NoError(r, json.Unmarshal(rec.Value, &is))
			if is.Version >= own.Version {
				own = is
			}
		}
		last = append(last, own)
	}
	return last
}

// TestSettingsReachEveryPartition: also those that several operators make at once, and those that a command was killed
// over before it had sent them.
func TestSettingsReachEveryPartition(t *testing.T) {
	r := rig.New(t)
	_, err := tenants.Add(t.Context(), r.Cfg, "acme")
	require.NoError(t, err)
	set := func(s ...schemas.TenantSetting) error {
		_, err := tenants.Set(t.Context(), r.Cfg, r.Cfg.Partitions, "acme", s)
		return err
	}
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			day := fmt.Sprintf("2025-11-%02d", i+1)
			if err := set(schemas.TenantSetting{From: day, Name: "patience", Value: "1"}); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	list := tenants.Follow(t.Context(), r.Cfg)
	require.NoError(t, list.Refresh(t.Context()))
	own := list.Settings("acme")
	require.Len(t, own.Settings, 8)
	for _, topic := range []string{schemas.TopicTimeline, schemas.TopicSettlementCommands} {
		for p, last := range sent(r, topic) {
			require.Equal(t, own, last, "%s partition %d", topic, p)
		}
	}
	healed, err := list.Heal(t.Context(), r.Cfg.Partitions)
	require.NoError(t, err)
	require.Empty(t, healed)

	// a command is killed behind its first record
	cl, err := kgo.NewClient(r.Cfg.Client()...)
	require.NoError(t, err)
	t.Cleanup(cl.Close)
	require.NoError(t, cl.ProduceSync(t.Context(), &kgo.Record{
		Topic: schemas.TopicTenants, Key: []byte("acme\x1esetting\x1e2025-11-08\x1epatience"),
		Value: []byte(`{"from":"2025-11-08","name":"patience","value":"2"}`),
	}).FirstErr())
	for want := range 2 {
		healed, err = list.Heal(t.Context(), r.Cfg.Partitions)
		require.NoError(t, err)
		require.Len(t, healed, 1-want)
	}
	require.Equal(t, "2", list.Settings("acme").On("patience", "2025-11-30"))
	for p, last := range sent(r, schemas.TopicTimeline) {
		require.Equal(t, list.Settings("acme"), last, "partition %d", p)
	}

	require.ErrorContains(t, set(schemas.TenantSetting{From: "2025-11-01", Name: "x"}), `"x" is no setting`)
	_, err = tenants.Set(t.Context(), r.Cfg, r.Cfg.Partitions, "nobody", nil)
	require.ErrorContains(t, err, `there is no tenant "nobody"`)
}
