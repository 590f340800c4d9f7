package deploy

import (
	"bufio"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	"helm.sh/helm/v3/pkg/lint"
	"helm.sh/helm/v3/pkg/lint/support"
	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
)

const chartDir = "../../../deploy/helm/kasi"

// values are the least that an operator must say.
func values() map[string]any {
	return map[string]any{
		"kafka":      map[string]any{"brokers": []any{"k1:9092", "k2:9092", "k3:9092"}},
		"clickhouse": map[string]any{"addr": []any{"ch1:9000"}, "http": "ch1:8123"},
		"secret":     map[string]any{"existing": "kasi"},
	}
}

// everything turns on all that is off by default.
func everything() map[string]any {
	v := values()
	tls := map[string]any{"enabled": true, "secretName": "kasi-ca", "cert": "own.crt", "key": "own.key"}
	v["clickhouse"].(map[string]any)["cluster"], v["clickhouse"].(map[string]any)["tls"] = "main", tls
	v["kafka"].(map[string]any)["tls"] = tls
	v["kafka"].(map[string]any)["sasl"] = map[string]any{"mechanism": "SCRAM-SHA-512"}
	v["rules"] = "proclaimed:\n  - {date: 2026-11-04, name: Local elections}\n"
	v["imagePullSecrets"] = []any{map[string]any{"name": "registry"}}
	v["podAnnotations"] = map[string]any{"a": "b"}
	v["nodeSelector"] = map[string]any{"disk": "fast"}
	v["tolerations"] = []any{map[string]any{"key": "kasi", "operator": "Exists"}}
	v["serviceAccount"] = map[string]any{"annotations": map[string]any{"a": "b"}}
	v["monitoring"] = map[string]any{"podMonitor": true, "rules": true, "dashboard": true}
	v["roles"] = map[string]any{"collect": map[string]any{"replicas": 5, "config": map[string]any{"log-level": "debug"}}}
	v["api"] = map[string]any{
		"tls":     map[string]any{"secretName": "kasi-api"},
		"ingress": map[string]any{"enabled": true, "className": "nginx", "host": "kasi.example", "tlsSecret": "kasi-tls"},
		"service": map[string]any{"annotations": map[string]any{"a": "b"}},
	}
	return v
}

// render is `helm template`: the text of each template.
func render(given map[string]any) (map[string]string, error) {
	chart, err := loader.Load(chartDir)
	if err != nil {
		return nil, err
	}
	v, err := chartutil.ToRenderValues(chart, given, chartutil.ReleaseOptions{Name: "kasi", Namespace: "premiums"}, nil)
	if err != nil {
		return nil, err
	}
	return engine.Render(chart, v)
}

// objects are what the chart makes, read strictly: an unknown or a doubled field is an error. Those of Prometheus'
// operator are returned as kinds only.
func objects(t *testing.T, given map[string]any) (all []runtime.Object, operators []string) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		apps.AddToScheme, core.AddToScheme, networking.AddToScheme, policy.AddToScheme,
	} {
		require.NoError(t, add(scheme))
	}
	decoder := serializer.NewCodecFactory(scheme, serializer.EnableStrict).UniversalDeserializer()
	files, err := render(given)
	require.NoError(t, err)
	for name, text := range files {
		if strings.HasSuffix(name, ".txt") || strings.TrimSpace(text) == "" {
			continue
		}
		r := utilyaml.NewYAMLReader(bufio.NewReader(strings.NewReader(text)))
		for {
			doc, err := r.Read()
			if errors.Is(err, io.EOF) {
				break
			}
			require.NoError(t, err, name)
			kind := regexp.MustCompile(`(?m)^kind: (\S+)$`).FindSubmatch(doc)
			if kind == nil {
				continue // comments only
			}
			if bytes.Contains(doc, []byte("apiVersion: monitoring.coreos.com/v1")) {
				operators = append(operators, string(kind[1]))
				continue
			}
			object, _, err := decoder.Decode(doc, nil, nil)
			require.NoError(t, err, "%s:\n%s", name, doc)
			all = append(all, object)
		}
	}
	return all, operators
}

func TestChartIsLinted(t *testing.T) {
	for _, given := range []map[string]any{values(), everything()} {
		result := lint.All(chartDir, given, "premiums", true)
		for _, m := range result.Messages {
			require.Less(t, m.Severity, support.WarningSev, m.Error())
		}
	}
}

// roles are those of the program, in the order of its help.
func roles(t *testing.T) []string {
	out, err := exec.CommandContext(t.Context(), kasi(t), "run", "--help").Output()
	require.NoError(t, err)
	_, list, _ := strings.Cut(string(out), "The roles:")
	list, _, _ = strings.Cut(list, "Usage:")
	var names []string
	for _, m := range regexp.MustCompile(`(?m)^  (\w+) +\w`).FindAllStringSubmatch(list, -1) {
		names = append(names, m[1])
	}
	require.Greater(t, len(names), 5)
	return names
}

// kasi is the program that `make build` made.
func kasi(t *testing.T) string {
	path, err := filepath.Abs("../../../bin/kasi")
	require.NoError(t, err)
	require.FileExists(t, path, "make test-deploy builds it")
	return path
}

// Each role of the program is a set of pods of its own, scaled apart, with probes, limits and no rights.
func TestChartRunsEveryRole(t *testing.T) {
	all, operators := objects(t, everything())
	require.ElementsMatch(t, []string{"PodMonitor", "PrometheusRule"}, operators)
	sets, budgets := map[string]*apps.StatefulSet{}, map[string]bool{}
	var pods []core.PodSpec
	for _, o := range all {
		switch o := o.(type) {
		case *apps.StatefulSet:
			sets[o.Labels["app.kubernetes.io/component"]] = o
			require.Equal(t, o.Spec.Selector.MatchLabels["app.kubernetes.io/component"],
				o.Spec.Template.Labels["app.kubernetes.io/component"])
			pods = append(pods, o.Spec.Template.Spec)
		case *apps.Deployment:
			pods = append(pods, o.Spec.Template.Spec)
		case *policy.PodDisruptionBudget:
			budgets[o.Spec.Selector.MatchLabels["app.kubernetes.io/component"]] = true
		}
	}
	for _, role := range roles(t) {
		require.Contains(t, sets, role)
		require.True(t, budgets[role], role)
		require.Equal(t, []string{"run", role}, sets[role].Spec.Template.Spec.Containers[0].Args)
	}
	require.EqualValues(t, 5, *sets["collect"].Spec.Replicas)
	require.Equal(t, []string{"tls-api", "tls-clickhouse", "tls-kafka"}, secretsOf(sets["api"].Spec.Template.Spec))
	require.Equal(t, []string{"tls-clickhouse", "tls-kafka"}, secretsOf(sets["sink"].Spec.Template.Spec))
	require.Contains(t, sets["sink"].Spec.Template.Spec.Containers[0].Env, core.EnvVar{
		Name: "KASI_KAFKA_USER", Value: "kasi-sink",
	})
	require.Len(t, sets["api"].Spec.VolumeClaimTemplates, 1)
	require.Len(t, pods, len(sets)+1)
	for _, pod := range pods {
		c := pod.Containers[0]
		require.True(t, *pod.SecurityContext.RunAsNonRoot, c.Name)
		require.False(t, *c.SecurityContext.AllowPrivilegeEscalation, c.Name)
		require.True(t, *c.SecurityContext.ReadOnlyRootFilesystem, c.Name)
		require.Equal(t, []core.Capability{"ALL"}, c.SecurityContext.Capabilities.Drop, c.Name)
		require.False(t, *pod.AutomountServiceAccountToken, c.Name)
		require.Equal(t, "/readyz", c.ReadinessProbe.HTTPGet.Path, c.Name)
		require.Equal(t, "/livez", c.LivenessProbe.HTTPGet.Path, c.Name)
		require.Contains(t, c.Resources.Limits, core.ResourceMemory, c.Name)
		require.Contains(t, c.Resources.Requests, core.ResourceCPU, c.Name)
	}
}

func secretsOf(pod core.PodSpec) (names []string) {
	for _, v := range pod.Volumes {
		if v.Secret != nil {
			names = append(names, v.Name)
		}
	}
	slices.Sort(names)
	return names
}

// What the chart gives each pod is a configuration that the program accepts, misspelt variables included.
func TestChartsConfigurationIsAccepted(t *testing.T) {
	for _, given := range []map[string]any{values(), everything()} {
		all, _ := objects(t, given)
		var config *core.ConfigMap
		for _, o := range all {
			if c, ok := o.(*core.ConfigMap); ok && c.Data["kasi.yaml"] != "" {
				config = c
			}
		}
		dir := t.TempDir()
		for name, text := range config.Data {
			text = strings.ReplaceAll(text, "/etc/kasi-tls/", dir+"/")
			require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
		}
		certificates(t, dir)
		for _, o := range all {
			var c core.Container
			switch o := o.(type) {
			case *apps.StatefulSet:
				c = o.Spec.Template.Spec.Containers[0]
			case *apps.Deployment:
				c = o.Spec.Template.Spec.Containers[0]
			default:
				continue
			}
			cmd := exec.CommandContext(t.Context(), kasi(t), "config", "check")
			cmd.Env = append(os.Environ(), podEnv(c, dir)...)
			out, err := cmd.CombinedOutput()
			require.NoError(t, err, "%s: %s", c.Name, out)
			require.Contains(t, string(out), "kafka-brokers: k1:9092,k2:9092,k3:9092", c.Name)
			require.Contains(t, string(out), "clickhouse-password: set", c.Name)
		}
	}
}

// podEnv is what a pod's process finds in its environment, with the files of the ConfigMap in dir.
func podEnv(c core.Container, dir string) (out []string) {
	for _, e := range c.Env {
		value := strings.NewReplacer("/etc/kasi/", dir+"/", "/etc/kasi-tls/", dir+"/").Replace(e.Value)
		switch {
		case e.ValueFrom == nil:
		case e.ValueFrom.SecretKeyRef != nil && e.Name == "KASI_API_KEYS":
			value = "acme=key"
		default:
			value = "kasi-" + c.Name + "-0"
		}
		out = append(out, e.Name+"="+value)
	}
	// The file of the rules lies elsewhere here.
	return append(out, "KASI_RULES="+func() string {
		if _, err := os.Stat(filepath.Join(dir, "rules.yaml")); err != nil {
			return ""
		}
		return filepath.Join(dir, "rules.yaml")
	}())
}

// certificates writes what the mounted Secrets would hold: the program reads each file that its configuration names.
func certificates(t *testing.T, dir string) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	about := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true}
	made, err := x509.CreateCertificate(rand.Reader, about, about, &key.PublicKey, key)
	require.NoError(t, err)
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: made})
	private := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	for _, name := range []string{
		"kafka/ca.crt", "kafka/own.crt", "clickhouse/ca.crt", "clickhouse/own.crt", "api/tls.crt",
	} {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), cert, 0o600))
	}
	for _, name := range []string{"kafka/own.key", "clickhouse/own.key", "api/tls.key"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), private, 0o600))
	}
}

// What is missing is said by name.
func TestChartSaysWhatItNeeds(t *testing.T) {
	for key, want := range map[string]string{
		"kafka": "kafka.brokers: name your brokers", "clickhouse": "clickhouse.addr: name your ClickHouse servers",
		"secret": "secret.existing: name a Secret",
	} {
		given := values()
		if given[key] = map[string]any{}; key == "clickhouse" {
			given[key] = map[string]any{"http": "ch1:8123"}
		}
		_, err := render(given)
		require.ErrorContains(t, err, want)
	}
}

// The chart carries the same alert rules and the same dashboard as deploy/prometheus and deploy/grafana.
func TestChartsFilesAreTheProjects(t *testing.T) {
	for chart, project := range map[string]string{
		"alerts.yaml": "prometheus/alerts.yaml", "kasi.json": "grafana/kasi.json",
	} {
		a, err := os.ReadFile(chartDir + "/files/" + chart)
		require.NoError(t, err)
		b, err := os.ReadFile(chartDir + "/../../" + project)
		require.NoError(t, err)
		require.Equal(t, string(b), string(a), chart)
	}
}
