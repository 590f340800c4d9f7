package main

import (
	"fmt"
	"log/slog"
	"os"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/kasi-collections/kasi/cmd/internal/app"
	"github.com/kasi-collections/kasi/cmd/internal/config"
)

// load reads the configuration of a command: its flags, the environment and the YAML file.
func load(cmd *cobra.Command) (config.Config, error) {
	c, err := config.Load(configFile(cmd), cmd.Flags(), os.LookupEnv, flagNames(cmd.Root())...)
	if err != nil {
		return c, fmt.Errorf("the configuration has mistakes:\n%w", err)
	}
	return c, nil
}

// configFile is the YAML file of --config, which KASI_CONFIG has set already where the command line does not.
func configFile(cmd *cobra.Command) string { return cmd.Flag("config").Value.String() }

// flagNames are the flags of a command and of all below it: one file serves all of them.
func flagNames(cmd *cobra.Command) []string {
	var names []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
	for _, sub := range cmd.Commands() {
		names = append(names, flagNames(sub)...)
	}
	return names
}

func logger(c config.Config) *slog.Logger { return app.Logger(os.Stderr, c.LogLevel, c.LogFormat) }

func upCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Serve the whole product on embedded engines",
		Long: `up starts the embedded Kafka and ClickHouse (or uses real servers, each on its own: --kafka-brokers,
--clickhouse-addr), the stages intake, collect and settle, the ClickHouse sink, the ticker and the
REST API. It prints one line when all is ready, keeps its data in --data-dir, and stops at Ctrl-C.

KASI_API_KEYS="tenant=key,..." names tenants and keys; KASI_CLICKHOUSE_PASSWORD and
KASI_ANALYST_PASSWORD are the passwords of the ClickHouse users kasi and analyst. What is not set is
made at random and kept in the data directory's secrets.yaml.`,
		Example: `  KASI_API_KEYS="demo=key1" kasi up
  kasi up --calendar manual --date 2025-11-01 --data-dir /tmp/kasi
  kasi up --kafka-brokers k1:9092,k2:9092 --clickhouse-addr ch1:9000`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := load(cmd)
			if err != nil {
				return err
			}
			s, err := app.Up(cmd.Context(), cfg, logger(cfg))
			if err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), readyLine(s.Config(), cfg.APIKeys == ""))
			select {
			case <-cmd.Context().Done():
			case <-s.Done():
			}
			return s.Stop()
		},
	}
	config.Flags(cmd.Flags())
	return cmd
}

// readyLine is the one line that says all is ready, and where; also where the API keys are, if they were made and not
// set.
func readyLine(c config.Config, keysMade bool) string {
	kafka, clickhouse := c.Kafka, c.ClickHouseHTTP+" (http) "+c.ClickHouseNative+" (native)"
	if c.KafkaBrokers != "" {
		kafka = c.KafkaBrokers
	}
	if c.ClickHouseAddr != "" {
		clickhouse = c.ClickHouseAddr
	}
	line := fmt.Sprintf("kasi is ready: api http://%s/v1 kafka %s clickhouse %s calendar %s data %s", c.HTTP, kafka,
		clickhouse, c.Calendar, c.DataDir)
	if keysMade {
		line += " keys " + app.SecretsFile(c.DataDir)
	}
	return line
}

func runCmd() *cobra.Command {
	var roles strings.Builder
	var completions []string
	for _, r := range app.Roles {
		fmt.Fprintf(&roles, "\n  %-8s %s", r.Name, r.About)
		completions = append(completions, r.Name+"\t"+r.About)
	}
	cmd := &cobra.Command{
		Use:   "run ROLE",
		Short: "Run one role as a process of its own, on real servers",
		Long: `run runs one role until Ctrl-C. Several processes of one role share its work. Give each a stable
--instance of its own, because it names the process's Kafka transactions. The roles:
` + roles.String(),
		Example: `  kasi run collect --instance collect-1 --kafka-brokers k1:9092 --clickhouse-addr ch1:9000
  kasi run sink --instance sink-1 --kafka-brokers k1:9092 --clickhouse-addr ch1:9000`,
		ValidArgs: completions,
		Args:      oneRole,
		RunE:      func(cmd *cobra.Command, args []string) error { return runRole(cmd, args[0]) },
	}
	config.Flags(cmd.Flags())
	return cmd
}

// oneRole says which roles there are; cobra's own check does not.
func oneRole(_ *cobra.Command, args []string) error {
	if roles := app.RoleNames(); len(args) != 1 || !slices.Contains(roles, args[0]) {
		return fmt.Errorf("one role is needed, not %q; the roles are %s", strings.Join(args, " "), strings.Join(roles, ", "))
	}
	return nil
}

func apiCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "api",
		Short: "Run the REST API as a process of its own, on real servers",
		Example: `  KASI_API_KEYS="demo=key1" kasi api --http 0.0.0.0:8080 \
    --kafka-brokers k1:9092 --clickhouse-addr ch1:9000`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runRole(cmd, "api") },
	}
	config.Flags(cmd.Flags())
	return cmd
}

func runRole(cmd *cobra.Command, role string) error {
	cfg, err := load(cmd)
	if err != nil {
		return err
	}
	return app.RunAlone(cmd.Context(), cfg, role, logger(cfg).With("role", role, "instance", cfg.Instance))
}

func versionCmd() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Example: "  kasi version", Args: cobra.NoArgs,
		Run: func(cmd *cobra.Command, _ []string) {
			version := "development build"
			if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
				version = info.Main.Version
			}
			fmt.Fprintln(cmd.OutOrStdout(), "kasi", version)
		},
	}
}
