package kafkatest

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	"github.com/testcontainers/testcontainers-go"
)

// DefaultImage is run where KASI_TEST_KAFKA_IMAGE names none. Any image works that turns KAFKA_X_Y=z in its environment
// into the property x.y=z, as the official one does.
const DefaultImage = "apache/kafka:4.3.0"

// inContainer runs one broker in Docker. The testcontainers' reaper removes it after the test process, unless
// TESTCONTAINERS_RYUK_DISABLED=true; then it is removed by whoever runs the tests: it has the label kasi.test with the
// value of KASI_TEST_RUN.
func inContainer() (*Kafka, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	free, err := freePorts(1)
	if err != nil {
		return nil, err
	}
	addr := free[0]
	_, err = testcontainers.Run(ctx, cmp.Or(os.Getenv("KASI_TEST_KAFKA_IMAGE"), DefaultImage),
		testcontainers.WithEnv(containerEnv(addr)),
		testcontainers.WithExposedPorts("9092/tcp"),
		testcontainers.WithLabels(map[string]string{"kasi.test": os.Getenv("KASI_TEST_RUN")}),
		testcontainers.WithHostConfigModifier(func(h *container.HostConfig) {
			// The address that the broker advertises must be known before it starts.
			at := netip.MustParseAddrPort(addr)
			h.PortBindings = network.PortMap{network.MustParsePort("9092/tcp"): {{
				HostIP:   at.Addr(),
				HostPort: fmt.Sprint(at.Port()),
			}}}
		}))
	if err != nil {
		return nil, fmt.Errorf("is Docker running? %w", err)
	}
	for {
		meta, err := metadata(ctx, addr)
		if err == nil && len(meta.Brokers) == 1 {
			return &Kafka{Kind: Containers, Brokers: []string{addr}, Replication: 1}, nil
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("the container does not answer at %s: %w", addr, err)
		case <-time.After(pause):
		}
	}
}

func containerEnv(addr string) map[string]string {
	all := map[string]string{
		"node.id": "1", "process.roles": "broker,controller", "controller.quorum.voters": "1@localhost:9093",
		// The broker sends itself the markers of transactions: not to the published address, which does not lead back into
		// the container.
		"listeners": "PLAINTEXT://:9092,INTERNAL://:19092,CONTROLLER://:9093", "advertised.listeners": "PLAINTEXT://" + addr +
			",INTERNAL://localhost:19092",
		"listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT",
		"controller.listener.names":      "CONTROLLER", "inter.broker.listener.name": "INTERNAL",
	}
	maps.Copy(all, settings(1))
	env := map[string]string{"CLUSTER_ID": clusterID()}
	for k, v := range all {
		env["KAFKA_"+strings.ToUpper(strings.ReplaceAll(k, ".", "_"))] = v
	}
	return env
}
