package main

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/kasi-collections/kasi/cmd/internal/app"
	"github.com/kasi-collections/kasi/cmd/internal/config"
	chembed "github.com/kasi-collections/kasi/sinks/clickhouse/embedded"
)

func clickhouseCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "clickhouse",
		Short: "Serve the embedded ClickHouse alone, or give a server of your own its users",
		Example: `  kasi clickhouse serve --data-dir /var/lib/kasi
  kasi clickhouse users > /etc/clickhouse-server/users.d/kasi.xml`,
	}
	cmd.AddCommand(clickhouseServeCmd(), clickhouseUsersCmd())
	return cmd
}

func clickhouseServeCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Serve the embedded ClickHouse alone, until Ctrl-C",
		Long: `serve runs the ClickHouse that kasi up carries, and nothing else, on the same data directory: to
look at the data of a product that is stopped, or as a server that other machines' roles use
(--clickhouse-addr). Set KASI_CLICKHOUSE_PASSWORD and KASI_ANALYST_PASSWORD; what is not set is made
at random and kept in the data directory's secrets.yaml.`,
		Example: `  kasi clickhouse serve
  kasi clickhouse serve --data-dir /var/lib/kasi --clickhouse-http 0.0.0.0:8123 --clickhouse-native 0.0.0.0:9000`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := load(cmd)
			if err != nil {
				return err
			}
			return serveClickHouse(cmd, cfg)
		},
	}
	config.Flags(cmd.Flags(), "data-dir", "clickhouse-http", "clickhouse-native", "log-level", "log-format")
	return cmd
}

func serveClickHouse(cmd *cobra.Command, cfg config.Config) error {
	cfg, err := app.FillSecrets(cfg)
	if err != nil {
		return err
	}
	server, err := chembed.Start(cmd.Context(), app.EmbeddedClickHouse(cfg, logger(cfg)))
	if err != nil {
		return err
	}
	fmt.Fprintf(cmd.OutOrStdout(), "clickhouse is ready: %s (http) %s (native) data %s\n", server.HTTPAddr(),
		server.NativeAddr(), filepath.Clean(cfg.DataDir))
	select {
	case <-cmd.Context().Done():
	case <-server.Done():
	}
	return errors.Join(server.Err(), app.StopClickHouse(server))
}

func clickhouseUsersCmd() *cobra.Command {
	var also []string
	cmd := &cobra.Command{
		Use:   "users",
		Short: "Print the users kasi and analyst for a ClickHouse server of your own",
		Long: `users prints a file for the users.d directory of a ClickHouse server: the user kasi, who owns the
database, and the read-only user analyst, with the same rights and limits as on the embedded
ClickHouse. The passwords are KASI_CLICKHOUSE_PASSWORD and KASI_ANALYST_PASSWORD; the file holds
only their SHA-256. The server takes it up by itself. The database and its tables are made by the
first role that starts.`,
		Example: `  kasi clickhouse users > /etc/clickhouse-server/users.d/kasi.xml
  kasi clickhouse users --clickhouse-database premiums
  kasi clickhouse users --also 'kasi_test_*'                # what the tests need beside`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := load(cmd)
			if err != nil {
				return err
			}
			if cfg.Password == "" || cfg.AnalystPassword == "" {
				return errors.New("set KASI_CLICKHOUSE_PASSWORD and KASI_ANALYST_PASSWORD: the users that are printed log in " +
					"with them")
			}
			file, err := chembed.ServerUsers(cfg.Password, cfg.AnalystPassword, append([]string{cfg.Database}, also...)...)
			if err != nil {
				return err
			}
			fmt.Fprint(cmd.OutOrStdout(), file)
			return nil
		},
	}
	cmd.Flags().StringSliceVar(&also, "also", nil, "further databases that both users may use; a name may end in *")
	config.Flags(cmd.Flags(), "clickhouse-database", "log-level", "log-format")
	return cmd
}
