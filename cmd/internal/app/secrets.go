package app

import (
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/google/renameio/v2"
	"go.yaml.in/yaml/v3"

	"github.com/kasi-collections/kasi/cmd/internal/config"
)

// SecretsFile is where FillSecrets keeps what it made.
func SecretsFile(dataDir string) string { return filepath.Join(dataDir, "secrets.yaml") }

// FillSecrets gives an embedded stack the keys and passwords that its owner did not set: the ones of an earlier run, or
// new random ones, kept with mode 0600.
func FillSecrets(c config.Config) (config.Config, error) {
	if c.APIKeys != "" && c.Password != "" && c.AnalystPassword != "" && c.WebhooksSecret != "" {
		return c, nil
	}
	type secrets struct {
		APIKeys         string `yaml:"api-keys"`
		Password        string `yaml:"clickhouse-password"`
		AnalystPassword string `yaml:"analyst-password"`
		WebhooksSecret  string `yaml:"webhooks-secret"`
	}
	s, kept := secrets{"demo=" + rand.Text(), rand.Text(), rand.Text(), rand.Text()}, secrets{}
	path := SecretsFile(c.DataDir)
	b, err := os.ReadFile(path)
	if err == nil {
		err = errors.Join(yaml.Unmarshal(b, &s), yaml.Unmarshal(b, &kept))
		if err != nil {
			return c, fmt.Errorf("%s is damaged: %w; delete it to have new keys made", path, err)
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return c, err
	}
	if s != kept { // the first start, or one of an earlier version
		if b, err = yaml.Marshal(s); err != nil {
			return c, err
		}
		if err := os.MkdirAll(c.DataDir, 0o700); err != nil {
			return c, fmt.Errorf("data directory: %w", err)
		}
		// Whole on the disk before the first key is used: a power cut must not lose what seals the secrets on Kafka.
		if err := renameio.WriteFile(path, b, 0o600); err != nil {
			return c, err
		}
	}
	c.APIKeys, c.Password = cmp.Or(c.APIKeys, s.APIKeys), cmp.Or(c.Password, s.Password)
	c.AnalystPassword = cmp.Or(c.AnalystPassword, s.AnalystPassword)
	c.WebhooksSecret = cmp.Or(c.WebhooksSecret, s.WebhooksSecret)
	return c, nil
}
