package keys

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"slices"
	"strings"
	"time"
)

// prefix begins every key, so that scanners for leaked secrets and people recognise one.
const prefix = "kasi_"

// Scopes are what a key may be allowed to do: read by GET, write by all else, settle by what changes settlements.
var Scopes = []string{"read", "write", "settle"}

// Key is all that is kept of an API key: not the key.
type Key struct {
	ID       string `json:"key_id"`
	TenantID string `json:"tenant_id"`
	// Hash is the SHA-256 of the whole key, in hexadecimal.
	Hash      string    `json:"hash"`
	Scopes    []string  `json:"scopes"`
	CreatedAt time.Time `json:"created_at"`
	// Expires and Revoked are the instants from which the key is refused; nil where none is set.
	Expires *time.Time `json:"expires_at,omitempty"`
	Revoked *time.Time `json:"revoked_at,omitempty"`
}

// State is live, expired or revoked.
func (k Key) State(now time.Time) string {
	switch {
	case k.Revoked != nil && !now.Before(*k.Revoked):
		return "revoked"
	case k.Expires != nil && !now.Before(*k.Expires):
		return "expired"
	}
	return "live"
}

// generate makes a key of 130 bits of chance: kasi_<id>_<secret><checksum>.
func generate() (id, key string) {
	id = strings.ToLower(rand.Text()[:10])
	key = prefix + id + "_" + rand.Text()
	return id, key + checksum(key)
}

// checksumLength is in characters.
const checksumLength = 8

func checksum(text string) string { return fmt.Sprintf("%08x", crc32.ChecksumIEEE([]byte(text))) }

// idOf is the id within a key. ok is false where the key cannot be one of ours: it is cut short or mistyped.
func idOf(key string) (id string, ok bool) {
	rest, ours := strings.CutPrefix(key, prefix)
	id, secret, whole := strings.Cut(rest, "_")
	if !ours || !whole || len(secret) <= checksumLength {
		return "", false
	}
	body := key[:len(key)-checksumLength]
	return id, checksum(body) == key[len(body):]
}

func hashOf(key string) string {
	hash := sha256.Sum256([]byte(key))
	return hex.EncodeToString(hash[:])
}

// ParseScopes reads a comma-separated list; empty means all.
func ParseScopes(list string) (scopes []string, err error) {
	if list == "" {
		return Scopes, nil
	}
	for scope := range strings.SplitSeq(list, ",") {
		if scope = strings.TrimSpace(scope); !slices.Contains(Scopes, scope) {
			return nil, fmt.Errorf("scope %q is none of %s", scope, strings.Join(Scopes, ", "))
		}
		if !slices.Contains(scopes, scope) {
			scopes = append(scopes, scope)
		}
	}
	return scopes, nil
}
