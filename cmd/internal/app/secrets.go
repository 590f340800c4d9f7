package app

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"go.yaml.in/yaml/v3"

	"github.com/kasi-collections/kasi/cmd/internal/config"
)

// secrets are made once for a data directory whose owner set none, and kept there with mode 0600.
type secrets struct {
	APIKeys         string `yaml:"api-keys"`
	Password        string `yaml:"clickhouse-password"`
	AnalystPassword string `yaml:"analyst-password"`
}

// SecretsFile is where FillSecrets keeps what it made.
func SecretsFile(dataDir string) string { return filepath.Join(dataDir, "secrets.yaml") }

// FillSecrets gives an embedded stack the keys and passwords that its owner did not set: the ones of an earlier run, or
// new random ones.
func FillSecrets(c config.Config) (config.Config, error) {
	if c.APIKeys != "" && c.Password != "" && c.AnalystPassword != "" {
		return c, nil
	}
	s, err := readSecrets(c.DataDir)
	if err != nil {
		return c, err
	}
	for _, f := range []struct{ set, kept *string }{
		{&c.APIKeys, &s.APIKeys},
		{&c.Password, &s.Password},
		{&c.AnalystPassword, &s.AnalystPassword},
	} {
		if *f.set == "" {
			*f.set = *f.kept
		}
	}
	return c, nil
}

func readSecrets(dataDir string) (secrets, error) {
	s := secrets{APIKeys: "demo=" + rand.Text(), Password: rand.Text(), AnalystPassword: rand.Text()}
	path := SecretsFile(dataDir)
	b, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if b, err = yaml.Marshal(s); err != nil {
			return s, err
		}
		if err := os.MkdirAll(dataDir, 0o700); err != nil {
			return s, fmt.Errorf("data directory: %w", err)
		}
		return s, os.WriteFile(path, b, 0o600)
	case err != nil:
		return s, err
	}
	if err := yaml.Unmarshal(b, &s); err != nil {
		return s, fmt.Errorf("%s is damaged: %w; delete it to have new keys made", path, err)
	}
	return s, nil
}
