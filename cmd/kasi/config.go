package main

import (
	"fmt"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"

	"github.com/kasi-collections/kasi/cmd/internal/app"
	"github.com/kasi-collections/kasi/cmd/internal/config"
)

func configCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use: "config", Short: "Look at the configuration",
		Example: "  kasi config check --config kasi.yaml",
	}
	check := &cobra.Command{
		Use:   "check",
		Short: "Check the configuration and print it, without its secrets",
		Long: `check reads the configuration as the other commands do (defaults, YAML file, KASI_... in the
environment, flags), lists every mistake at once, and prints what is in force as YAML.`,
		Example: `  kasi config check --config kasi.yaml
  KASI_HTTP=0.0.0.0:80 kasi config check`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := load(cmd)
			if err != nil {
				return err
			}
			if _, err := app.Rules(cfg); err != nil {
				return err
			}
			b, err := yaml.Marshal(cfg.Printable())
			if err != nil {
				return err
			}
			fmt.Fprint(cmd.OutOrStdout(), string(b))
			return nil
		},
	}
	config.Flags(check.Flags())
	cmd.AddCommand(check)
	return cmd
}
