package main

import (
	"cmp"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"

	"github.com/kasi-collections/kasi/cmd/internal/app"
	"github.com/kasi-collections/kasi/cmd/internal/config"
)

func upCmd() *cobra.Command {
	return leaf(&cobra.Command{
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
  kasi up --kafka-brokers k1:9092,k2:9092 --clickhouse-addr ch1:9000
  kasi up --http 0.0.0.0:8443 --http-cert api.pem --http-key api.key    # https`,
	}, func(c call) error {
		s, err := app.Up(c.Context(), c.cfg, c.log)
		if err != nil {
			return err
		}
		fmt.Fprintln(c.OutOrStdout(), readyLine(s.Config(), c.cfg.APIKeys == ""))
		select {
		case <-c.Context().Done():
		case <-s.Done():
		}
		return s.Stop()
	})
}

// readyLine is the one line that says all is ready, and where; also where the API keys are, if they were made and not
// set.
func readyLine(c config.Config, keysMade bool) string {
	scheme := "http"
	if c.HTTPCert != "" {
		scheme = "https"
	}
	line := fmt.Sprintf("kasi is ready: api %s://%s/v1 kafka %s clickhouse %s calendar %s data %s", scheme, c.HTTP,
		cmp.Or(c.KafkaBrokers, c.Kafka), cmp.Or(c.ClickHouseAddr, c.ClickHouseHTTP+" (http) "+c.ClickHouseNative+" (native)"),
		c.Calendar, c.DataDir)
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
	return leaf(&cobra.Command{
		Use:   "run ROLE",
		Short: "Run one role as a process of its own, on real servers",
		Long: `run runs one role until Ctrl-C. Several processes of one role share its work. Give each a stable
--instance of its own, because it names the process's Kafka transactions. The roles:
` + roles.String(),
		Example: `  kasi run collect --instance collect-1 --kafka-brokers k1:9092 --clickhouse-addr ch1:9000
  kasi run sink --instance sink-1 --kafka-brokers k1:9092 --clickhouse-addr ch1:9000
  KASI_KAFKA_PASSWORD_FILE=/run/secrets/kafka kasi run collect --clickhouse-addr ch1:9440 --clickhouse-tls \
    --kafka-brokers k1:9093 --kafka-tls --kafka-ca ca.pem --kafka-sasl SCRAM-SHA-512 --kafka-user kasi`,
		ValidArgs: completions,
		Args:      oneRole,
	}, func(c call) error { return runRole(c, c.args[0]) })
}

// oneRole says which roles there are; cobra's own check does not.
func oneRole(_ *cobra.Command, args []string) error {
	if roles := app.RoleNames(); len(args) != 1 || !slices.Contains(roles, args[0]) {
		return fmt.Errorf("one role is needed, not %q; the roles are %s", strings.Join(args, " "), strings.Join(roles, ", "))
	}
	return nil
}

func apiCmd() *cobra.Command {
	return leaf(&cobra.Command{
		Use:   "api",
		Short: "Run the REST API as a process of its own, on real servers",
		Example: `  KASI_API_KEYS="demo=key1" kasi api --http 0.0.0.0:8080 \
    --kafka-brokers k1:9092 --clickhouse-addr ch1:9000`,
	}, func(c call) error { return runRole(c, "api") })
}

func runRole(c call, role string) error {
	return app.RunAlone(c.Context(), c.cfg, role, c.log.With("role", role, "instance", c.cfg.Instance))
}

func configCmd() *cobra.Command {
	return group(&cobra.Command{
		Use: "config", Short: "Look at the configuration",
		Example: "  kasi config check --config kasi.yaml",
	}, leaf(&cobra.Command{
		Use:   "check",
		Short: "Check the configuration and print it, without its secrets",
		Long: `check reads the configuration as the other commands do (defaults, YAML file, KASI_... in the
environment, flags), lists every mistake at once, and prints what is in force as YAML.`,
		Example: `  kasi config check --config kasi.yaml
  KASI_HTTP=0.0.0.0:80 kasi config check`,
	}, func(c call) error {
		if err := app.CheckFiles(c.cfg, c.log); err != nil {
			return err
		}
		b, err := yaml.Marshal(c.cfg.Printable())
		fmt.Fprint(c.OutOrStdout(), string(b))
		return err
	}))
}

func rulesCmd() *cobra.Command {
	return leaf(&cobra.Command{
		Use:   "rules",
		Short: "Print the hash of the rules that this program and its --rules file decide by",
		Long: `rules prints what stands for the built-in dated rules and the override file: 16 hexadecimal digits. Stages
write it beside their state. One that finds a state made by other rules refuses it: the same records
might be decided otherwise. Start it with --accept-rules HASH where the change is meant. The word holds
for that hash alone, and may stay set.`,
		Example: `  kasi rules --rules fees.yaml
  kasi run collect --kafka-brokers k1:9092 --rules fees.yaml --accept-rules $(kasi rules --rules fees.yaml)`,
	}, func(c call) error {
		hash, err := app.RulesHash(c.cfg)
		if err == nil {
			_, err = fmt.Fprintln(c.OutOrStdout(), hash)
		}
		return err
	}, "rules")
}

func versionCmd() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print version, commit and Go", Example: "  kasi version", Args: cobra.NoArgs,
		Run: func(cmd *cobra.Command, _ []string) { fmt.Fprintln(cmd.OutOrStdout(), "kasi", version()) },
	}
}

// version names the version, the commit and the Go that this program was built from, as the Go tool noted them.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	name, commit, mended := info.Main.Version, "unknown", ""
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			commit = s.Value
		case "vcs.modified":
			if s.Value == "true" {
				mended = " with changes"
			}
		}
	}
	if name == "" || name == "(devel)" {
		name = "development build"
	}
	return fmt.Sprintf("%s (commit %s%s, %s)", name, commit, mended, info.GoVersion)
}
