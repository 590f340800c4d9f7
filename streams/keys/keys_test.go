package keys

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kasi-collections/kasi/schemas"
	"github.com/kasi-collections/kasi/streams/internal/rig"
	"github.com/kasi-collections/kasi/streams/tenants"
)

// TestKeysCountWithinASecond: a key that is made or revoked counts in every process that follows the keys, also in one
// that starts later, and none of them ever sees the key itself.
func TestKeysCountWithinASecond(t *testing.T) {
	r := rig.New(t)
	_, err := tenants.Add(t.Context(), r.Cfg, "acme")
	require.NoError(t, err)
	ring, err := Follow(t.Context(), r.Cfg)
	require.NoError(t, err)
	book, err := Open(t.Context(), r.Cfg)
	require.NoError(t, err)
	_, _, err = book.Create(t.Context(), "nobody", Scopes, nil)
	require.ErrorContains(t, err, `there is no tenant "nobody"`)

	k, text, err := book.Create(t.Context(), "acme", []string{"read"}, nil)
	require.NoError(t, err)
	found := func(text string) bool { _, ok := ring.Find(text, time.Now()); return ok }
	require.Eventually(t, func() bool { return found(text) }, time.Second, time.Millisecond)
	got, _ := ring.Find(text, time.Now())
	require.Equal(t, k, got)
	for _, wrong := range []string{
		"", "kasi_", "kasi__", text[:len(text)-1], text + "0", strings.ToUpper(text), k.ID, k.Hash,
	} {
		require.False(t, found(wrong), wrong)
	}
	forged := prefix + k.ID + "_" + strings.Repeat("A", 26)
	require.False(t, found(forged+checksum(forged)), "a good checksum is no key")
	for _, rec := range r.Records(schemas.TopicKeys, 0) {
		require.NotContains(t, string(rec.Value), text[len(prefix)+len(k.ID):])
	}

	second, _, err := book.Create(t.Context(), "acme", Scopes, nil)
	require.NoError(t, err)
	require.Eventually(t, func() bool { return len(book.All("acme")) == 2 }, time.Second, time.Millisecond)
	_, err = book.Pick("acme", "")
	require.ErrorContains(t, err, "has 2 live keys")
	_, err = book.Pick("other", k.ID)
	require.ErrorContains(t, err, "has no key")
	picked, err := book.Pick("acme", text)
	require.NoError(t, err)
	require.Equal(t, k, picked)

	later := now().Add(time.Hour)
	k, err = book.Revoke(t.Context(), k, later)
	require.NoError(t, err)
	k, err = book.Revoke(t.Context(), k, now())
	require.NoError(t, err)
	require.Eventually(t, func() bool { return !found(text) }, time.Second, time.Millisecond)
	k, err = book.Revoke(t.Context(), k, later)
	require.NoError(t, err)
	require.True(t, k.Revoked.Before(later), "nobody brings a revoked key back")

	late, err := Follow(t.Context(), r.Cfg)
	require.NoError(t, err)
	_, ok := late.Find(text, time.Now())
	require.False(t, ok)
	require.Len(t, late.All(""), 2)
	require.Equal(t, second, late.All("acme")[1])
}

func TestKeysEnd(t *testing.T) {
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		k     Key
		state string
	}{
		{Key{}, "live"},
		{Key{Expires: new(at.Add(1))}, "live"},
		{Key{Expires: new(at)}, "expired"},
		{Key{Revoked: new(at.Add(1))}, "live"},
		{Key{Revoked: new(at), Expires: new(at)}, "revoked"},
	} {
		require.Equal(t, c.state, c.k.State(at))
	}
	_, err := ParseScopes("read,all")
	require.ErrorContains(t, err, `scope "all" is none of read, write, settle`)
	scopes, err := ParseScopes("read, settle,read")
	require.NoError(t, err)
	require.Equal(t, []string{"read", "settle"}, scopes)
}
