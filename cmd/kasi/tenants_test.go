package main

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kasi-collections/kasi/streams/kafkatest"
	"github.com/kasi-collections/kasi/streams/stage"
	"github.com/kasi-collections/kasi/streams/topics"
)

// TestTenantsAreMadeAndListed: what an operator sees. A tenant that exists stays as it is, and a name that is no id is
// refused with the reason.
func TestTenantsAreMadeAndListed(t *testing.T) {
	kafka := kafkatest.Fake(t)
	_, err := topics.Ensure(t.Context(), stage.Config{Brokers: kafka.Brokers, Tenants: []string{"demo"}})
	require.NoError(t, err)
	kasi := func(args ...string) (string, error) {
		var out bytes.Buffer
		cmd := root()
		cmd.SetOut(&out)
		cmd.SetErr(&out)
		cmd.SetArgs(append(args, "--kafka-brokers", kafka.Brokers[0]))
		err := cmd.ExecuteContext(t.Context())
		return out.String(), err
	}
	for _, c := range []struct{ name, out string }{
		{"acme", "tenant acme created\n"}, {"acme", "tenant acme exists already\n"}, {"demo", "tenant demo exists already\n"},
	} {
		out, err := kasi("tenants", "create", c.name)
		require.NoError(t, err)
		require.Equal(t, c.out, out)
	}
	out, err := kasi("tenants", "create", "beta", "--json")
	require.NoError(t, err)
	require.JSONEq(t, `{"tenant_id":"beta","created":true}`, out)
	_, err = kasi("tenants", "create", "acme ")
	require.ErrorContains(t, err, `tenant "acme " is not an id`)
	_, err = kasi("tenants", "create", "a,b")
	require.ErrorContains(t, err, `tenant "a,b" holds = or a comma`)
	out, err = kasi("tenants", "list")
	require.NoError(t, err)
	require.Regexp(t, `^acme\t\S+\nbeta\t\S+\ndemo\t\S+\n$`, out)
	out, err = kasi("tenants", "list", "--json")
	require.NoError(t, err)
	require.Contains(t, out, `{"tenant_id":"demo","created_at":"`)
}
