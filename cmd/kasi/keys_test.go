package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kasi-collections/kasi/streams/kafkatest"
	"github.com/kasi-collections/kasi/streams/keys"
	"github.com/kasi-collections/kasi/streams/stage"
	"github.com/kasi-collections/kasi/streams/topics"
)

// TestKeysFromOutside: what an operator sees. The key is alone on standard output, and never shown again.
func TestKeysFromOutside(t *testing.T) {
	kafka := kafkatest.Fake(t)
	cfg := stage.Config{Brokers: kafka.Brokers, Tenants: []string{"demo"}}
	_, err := topics.Ensure(t.Context(), cfg)
	require.NoError(t, err)
	ring, err := keys.Follow(t.Context(), cfg)
	require.NoError(t, err)
	kasi := func(args ...string) (out, errs string, err error) {
		var stdout, stderr bytes.Buffer
		cmd := root()
		cmd.SetOut(&stdout)
		cmd.SetErr(&stderr)
		cmd.SetArgs(append(append([]string{"keys"}, args...), "--kafka-brokers", kafka.Brokers[0]))
		err = cmd.ExecuteContext(t.Context())
		return stdout.String(), stderr.String(), err
	}
	good := func(text string) bool {
		_, ok := ring.Find(strings.TrimSpace(text), time.Now())
		return ok
	}
	first, note, err := kasi("create", "--tenant", "demo", "--scopes", "read,write")
	require.NoError(t, err)
	require.Regexp(t, `^kasi_[a-z2-7]{10}_[A-Z2-7]{26}[0-9a-f]{8}\n$`, first)
	require.Regexp(t, `^key [a-z2-7]{10} of tenant demo \(read, write\); it is not shown again\n$`, note)
	require.Eventually(t, func() bool { return good(first) }, time.Second, time.Millisecond)

	second, _, err := kasi("rotate", "--tenant", "demo")
	require.NoError(t, err)
	require.Eventually(t, func() bool { return !good(first) && good(second) }, time.Second, time.Millisecond)
	third, _, err := kasi("rotate", "--tenant", "demo", "--overlap", "1h", "--json")
	require.NoError(t, err)
	var made struct {
		Key, State string
		ID         string   `json:"key_id"`
		Scopes     []string `json:"scopes"`
	}
	require.NoError(t, json.Unmarshal([]byte(third), &made))
	require.Equal(t, []string{"read", "write"}, made.Scopes)
	require.Eventually(t, func() bool { return good(made.Key) && good(second) }, time.Second, time.Millisecond)
	out, _, err := kasi("revoke", made.ID, "--tenant", "demo")
	require.NoError(t, err)
	require.Equal(t, "key "+made.ID+" of tenant demo revoked\n", out)
	require.Eventually(t, func() bool { return !good(made.Key) }, time.Second, time.Millisecond)
	_, _, err = kasi("revoke", made.ID, "--tenant", "demo")
	require.ErrorContains(t, err, "is revoked")

	list, _, err := kasi("list")
	require.NoError(t, err)
	require.Equal(t, 2, strings.Count(list, "revoked"), list)
	require.Equal(t, 1, strings.Count(list, "live"), list)
	listed, _, err := kasi("list", "--tenant", "demo", "--json")
	require.NoError(t, err)
	require.NotContains(t, listed+list, "hash")
	require.NotContains(t, listed+list, strings.TrimSpace(second)[16:])

	for _, c := range []struct{ args, want string }{
		{"create", `required flag(s) "tenant" not set`},
		{"create --tenant nobody", `there is no tenant "nobody"`},
		{"create --tenant demo --scopes root", `--scopes: scope "root" is none of read, write, settle`},
		{"create --tenant demo --expires soon", `--expires: "soon" is not a date`},
		{"create --tenant demo --expires 2020-01-01", "--expires: 2020-01-01 has passed"},
		{"revoke nothing --tenant demo", `tenant "demo" has no key "nothing"`},
		{"rotate --tenant demo --overlap -1h", "--overlap: -1h0m0s is negative"},
	} {
		_, _, err := kasi(strings.Fields(c.args)...)
		require.ErrorContains(t, err, c.want, c.args)
	}
}
