package app_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kasi-collections/kasi/cmd/internal/app"
	"github.com/kasi-collections/kasi/schemas"
	"github.com/kasi-collections/kasi/streams"
)

// Each stage and each group belongs to one role, and each group's lag is shown by one.
func TestRolesShareNothing(t *testing.T) {
	var names, stages, groups []string
	for _, r := range app.Roles {
		require.NotEmpty(t, r.About, r.Name)
		names, stages = append(names, r.Name), append(stages, streams.StagesOf(r.Name)...)
		for _, g := range streams.GroupsOf(r.Name) {
			groups = append(groups, g.ID)
		}
	}
	require.Equal(t, names, app.RoleNames())
	require.ElementsMatch(t, []string{
		schemas.GroupIntake, schemas.GroupPolicies, schemas.GroupCollect, schemas.GroupSettle, schemas.GroupSink,
		schemas.GroupWebhooks,
	}, groups)
	slices.Sort(stages)
	require.Len(t, slices.Compact(stages), len(app.Roles)+1, "intake runs two")
	err := app.Env{}.Run(t.Context(), "nobody", settings(t, nil), quiet(), func() {})
	require.ErrorContains(t, err, "the roles are [ticker intake collect settle sink webhooks api]")
}
