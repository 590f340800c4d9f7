package app

import (
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"go.yaml.in/yaml/v3"

	"github.com/kasi-collections/kasi/cmd/internal/config"
)

// SecretsFile is where FillSecrets keeps what it made.
func SecretsFile(dataDir string) string { return filepath.Join(dataDir, "secrets.yaml") }

// FillSecrets gives an embedded stack the keys and passwords that its owner did not set: the ones of an earlier run, or
// new random ones, kept with mode 0600.
func FillSecrets(c config.Config) (config.Config, error) {
	if c.APIKeys != "" && c.Password != "" && c.AnalystPassword != "" {
		return c, nil
	}
	s := struct {
		APIKeys         string `yaml:"api-keys"`
		Password        string `yaml:"clickhouse-password"`
		AnalystPassword string `yaml:"analyst-password"`
	}{"demo=" + rand.Text(), rand.Text(), rand.Text()}
	path := SecretsFile(c.DataDir)
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		if b, err = yaml.Marshal(s); err != nil {
			return c, err
		}
		if err := os.MkdirAll(c.DataDir, 0o700); err != nil {
			return c, fmt.Errorf("data directory: %w", err)
		}
		err = os.WriteFile(path, b, 0o600)
	}
	if err != nil {
		return c, err
	}
	if err := yaml.Unmarshal(b, &s); err != nil {
		return c, fmt.Errorf("%s is damaged: %w; delete it to have new keys made", path, err)
	}
	c.APIKeys, c.Password = cmp.Or(c.APIKeys, s.APIKeys), cmp.Or(c.Password, s.Password)
	c.AnalystPassword = cmp.Or(c.AnalystPassword, s.AnalystPassword)
	return c, nil
}
