package main

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/kasi-collections/kasi/cmd/internal/app"
	chembed "github.com/kasi-collections/kasi/sinks/clickhouse/embedded"
)

func clickhouseCmd() *cobra.Command {
	return group(&cobra.Command{
		Use:   "clickhouse",
		Short: "Serve the embedded ClickHouse alone, or give a server of your own its users",
		Example: `  kasi clickhouse serve --data-dir /var/lib/kasi
  kasi clickhouse users > /etc/clickhouse-server/users.d/kasi.xml`,
	}, clickhouseServeCmd(), clickhouseUsersCmd())
}

func clickhouseServeCmd() *cobra.Command {
	return leaf(&cobra.Command{
		Use:   "serve",
		Short: "Serve the embedded ClickHouse alone, until Ctrl-C",
		Long: `serve runs the ClickHouse that kasi up carries, and nothing else, on the same data directory: to
look at the data of a product that is stopped, or as a server that other machines' roles use
(--clickhouse-addr). Set KASI_CLICKHOUSE_PASSWORD and KASI_ANALYST_PASSWORD; what is not set is made
at random and kept in the data directory's secrets.yaml.`,
		Example: `  kasi clickhouse serve
  kasi clickhouse serve --data-dir /var/lib/kasi --clickhouse-http 0.0.0.0:8123 --clickhouse-native 0.0.0.0:9000`,
	}, func(c call) error {
		cfg, err := app.FillSecrets(c.cfg)
		if err != nil {
			return err
		}
		server, err := chembed.Start(c.Context(), app.EmbeddedClickHouse(cfg, c.log))
		if err != nil {
			return err
		}
		fmt.Fprintf(c.OutOrStdout(), "clickhouse is ready: %s (http) %s (native) data %s\n", server.HTTPAddr(),
			server.NativeAddr(), filepath.Clean(cfg.DataDir))
		select {
		case <-c.Context().Done():
		case <-server.Done():
		}
		return errors.Join(server.Err(), app.StopClickHouse(server))
	}, "data-dir", "clickhouse-http", "clickhouse-native")
}

func clickhouseUsersCmd() *cobra.Command {
	var also []string
	cmd := leaf(&cobra.Command{
		Use:   "users",
		Short: "Print the users kasi and analyst for a ClickHouse server of your own",
		Long: `users prints a file for the users.d directory of a ClickHouse server: the user kasi, who owns the
database, and the read-only user analyst, with the same rights and limits as on the embedded
ClickHouse. The passwords are KASI_CLICKHOUSE_PASSWORD and KASI_ANALYST_PASSWORD; each pair of
KASI_TENANT_ANALYST_PASSWORDS="acme=word1,other=word2" makes a user analyst_<tenant>, who sees that
tenant's rows. The file holds only the SHA-256 of passwords. The server takes it up by itself. The
database and its tables are made by the first role that starts.`,
		Example: `  kasi clickhouse users > /etc/clickhouse-server/users.d/kasi.xml
  kasi clickhouse users --clickhouse-database premiums
  kasi clickhouse users --also 'kasi_test_*'                # what the tests need beside`,
	}, func(c call) error {
		cfg := c.cfg
		if cfg.Password == "" || cfg.AnalystPassword == "" {
			return errors.New("set KASI_CLICKHOUSE_PASSWORD and KASI_ANALYST_PASSWORD: the users that are printed log in " +
				"with them")
		}
		file, err := chembed.ServerUsers(chembed.Options{
			KasiPassword: cfg.Password, AnalystPassword: cfg.AnalystPassword, Tenants: app.TenantAnalysts(cfg),
			Databases: append([]string{cfg.Database}, also...),
		})
		fmt.Fprint(c.OutOrStdout(), file)
		return err
	}, "clickhouse-database")
	cmd.Flags().StringSliceVar(&also, "also", nil, "further databases that both users may use; a name may end in *")
	return cmd
}
