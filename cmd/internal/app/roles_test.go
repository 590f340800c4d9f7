package app_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kasi-collections/kasi/cmd/internal/app"
	"github.com/kasi-collections/kasi/schemas"
)

// Each stage and each group belongs to one role, and each group's lag is shown by one.
func TestRolesShareNothing(t *testing.T) {
	var names, stages, groups []string
	for _, r := range app.Roles {
		require.NotEmpty(t, r.About, r.Name)
		require.NotEmpty(t, r.Stages, r.Name)
		names = append(names, r.Name)
		stages, groups = append(stages, r.Stages...), append(groups, r.Groups...)
	}
	require.Equal(t, names, app.RoleNames())
	require.ElementsMatch(t, []string{
		schemas.GroupIntake, schemas.GroupPolicies, schemas.GroupCollect, schemas.GroupSettle, schemas.GroupSink,
	}, groups)
	slices.Sort(stages)
	require.Len(t, slices.Compact(stages), len(app.Roles)+1, "intake runs two")
	err := app.Env{}.Run(t.Context(), "nobody", settings(t, nil), quiet(), func() {})
	require.ErrorContains(t, err, "the roles are [ticker intake collect settle sink api]")
}
