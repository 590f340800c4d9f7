package deploy

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/kasi-collections/kasi/cmd/internal/app"
	"github.com/kasi-collections/kasi/cmd/internal/config"
)

const composeDir = "../../../deploy/compose"

// load reads compose.yaml as `docker compose` does, with these variables alone.
func load(t *testing.T, environ ...string) (*types.Project, error) {
	o, err := cli.NewProjectOptions([]string{composeDir + "/compose.yaml"}, cli.WithWorkingDirectory(composeDir),
		cli.WithEnv(environ))
	require.NoError(t, err)
	return o.LoadProject(t.Context())
}

// variables are what secrets.sh writes, with values of this test.
func variables(t *testing.T) (out []string) {
	script, err := os.ReadFile(composeDir + "/secrets.sh")
	require.NoError(t, err)
	for _, m := range regexp.MustCompile(`(?m)^([A-Z_]+)=(k?)\$\(`).FindAllStringSubmatch(string(script), -1) {
		out = append(out, m[1]+"=made-for-"+strings.ToLower(m[1]))
	}
	require.Len(t, out, 6)
	return append(out, "KASI_API_KEYS=demo=key")
}

// imageEnv is what deploy/Dockerfile sets.
func imageEnv(t *testing.T) map[string]string {
	text, err := os.ReadFile("../../../deploy/Dockerfile")
	require.NoError(t, err)
	line := regexp.MustCompile(`(?m)^ENV (.*)$`).FindStringSubmatch(string(text))
	require.NotNil(t, line)
	env := map[string]string{}
	for _, pair := range strings.Fields(line[1]) {
		name, value, _ := strings.Cut(pair, "=")
		env[name] = value
	}
	return env
}

// Every role is a service, and each service of ours has a configuration that kasi accepts: no misspelt variable, no
// value that would be refused at the start.
func TestComposeRunsEveryRole(t *testing.T) {
	project, err := load(t, variables(t)...)
	require.NoError(t, err)
	for _, role := range app.RoleNames() {
		s, err := project.GetService(role)
		require.NoError(t, err, "no service runs the role")
		require.Equal(t, []string{"run", role}, []string(s.Command))
		require.Equal(t, types.ServiceConditionHealthy, s.DependsOn["kafka"].Condition, role)
		require.Equal(t, types.ServiceConditionHealthy, s.DependsOn["clickhouse"].Condition, role)
	}
	ours := 0
	for _, s := range project.Services {
		if s.Image != "kasi:latest" {
			continue
		}
		ours++
		env := imageEnv(t)
		for name, value := range s.Environment {
			require.NotNil(t, value, name)
			env[name] = *value
		}
		var environ []string
		for name, value := range env {
			environ = append(environ, name+"="+value)
		}
		require.NoError(t, config.CheckEnv(environ), s.Name)
		_, err := config.Load("", pflag.NewFlagSet("", pflag.ContinueOnError), func(name string) (string, bool) {
			value, ok := env[name]
			return value, ok
		})
		require.NoError(t, err, s.Name)
		require.True(t, s.ReadOnly, s.Name)
		require.Equal(t, []string{"ALL"}, s.CapDrop, s.Name)
	}
	require.Equal(t, len(app.Roles)+2, ours, "and clickhouse-users and verify")
}

// Nothing is reached from outside the machine, and what is published, mounted and scraped is there.
func TestComposeIsReachedOnLoopbackOnly(t *testing.T) {
	project, err := load(t, variables(t)...)
	require.NoError(t, err)
	for _, s := range project.Services {
		for _, p := range s.Ports {
			require.Equal(t, "127.0.0.1", p.HostIP, s.Name)
		}
		for _, v := range s.Volumes {
			if v.Type == types.VolumeTypeBind {
				require.FileExists(t, strings.TrimSuffix(v.Source, "/provisioning")+map[bool]string{
					true: "/kasi.json",
				}[strings.HasSuffix(v.Source, "/provisioning")])
				require.True(t, v.ReadOnly, v.Source)
			} else {
				require.Contains(t, project.Volumes, v.Source, s.Name)
			}
		}
		require.True(t, s.Restart != "" || s.Name == "clickhouse-users", s.Name)
	}
	var scrape struct {
		ScrapeConfigs []struct {
			DNS []struct {
				Names []string
			} `yaml:"dns_sd_configs"`
		} `yaml:"scrape_configs"`
	}
	text, err := os.ReadFile(composeDir + "/prometheus.yaml")
	require.NoError(t, err)
	require.NoError(t, yaml.Unmarshal(text, &scrape))
	require.ElementsMatch(t, append(app.RoleNames(), "verify"), scrape.ScrapeConfigs[0].DNS[0].Names)
}

// No secret and no image is written into the file: without .env it says how to make one.
func TestComposeHoldsNoSecret(t *testing.T) {
	_, err := load(t)
	require.ErrorContains(t, err, "run ./secrets.sh first")
	text, err := os.ReadFile(composeDir + "/compose.yaml")
	require.NoError(t, err)
	given := map[string]bool{}
	secret := regexp.MustCompile(`(?m)^\s*(?:environment: \{)?([A-Za-z_]*(?:PASSWORDS?|SECRET|KEYS|image|CLUSTER_ID)): ` +
		`"?(.*?)"?\}?$`)
	for _, m := range secret.FindAllStringSubmatch(string(text), -1) {
		require.True(t, strings.HasPrefix(m[2], "${"), "%s is %s: it must be a variable", m[1], m[2])
		given[m[1]] = true
	}
	require.Subset(t, slices.Collect(maps.Keys(given)), []string{
		"image", "KASI_CLICKHOUSE_PASSWORD", "KASI_ANALYST_PASSWORD", "GF_SECURITY_ADMIN_PASSWORD", "KASI_WEBHOOKS_SECRET",
		"KASI_CONSOLE_SECRET", "KASI_API_KEYS",
	})
}
