package config_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kasi-collections/kasi/cmd/internal/config"
)

// A variable that nothing reads is an error, which names the nearest one.
func TestUnknownVariables(t *testing.T) {
	require.NoError(t, config.CheckEnv([]string{
		"PATH=/bin", "KASI_KAFKA_BROKERS=k1:9092", "KASI_CONFIG=x", "KASI_TO=2025-11-01", "KASI_TEST_KAFKA=local",
		"KASI_LIBCHDB=/lib", "KASI_API_KEYS=demo=k", "KASI_SERVICE_HOST=10.0.0.1", "KASI_API_PORT_8080_TCP_ADDR=10.0.0.1",
		"KASI_API_PORT=tcp://10.0.0.1:8080", "KASI_SERVICE_PORT_HTTP=80",
	}, "to"))
	err := config.CheckEnv([]string{"KASI_KAFKA_BROKER=k1:9092", "KASI_TOO=x", "KASI_apikeys=secret", "KASI_DATADIR=/"},
		"to")
	require.ErrorContains(t, err, "KASI_KAFKA_BROKER: nothing reads this variable; did you mean KASI_KAFKA_BROKERS?")
	require.ErrorContains(t, err, "KASI_TOO: nothing reads this variable; did you mean KASI_TO?")
	require.ErrorContains(t, err, "KASI_DATADIR: nothing reads this variable; did you mean KASI_DATA_DIR?")
	require.ErrorContains(t, err, "KASI_apikeys:")
	require.NotContains(t, err.Error(), "secret")
}
