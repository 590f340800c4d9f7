package chtest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	"github.com/testcontainers/testcontainers-go"

	"github.com/kasi-collections/kasi/sinks/clickhouse/embedded"
)

// DefaultImage is run where KASI_TEST_CLICKHOUSE_IMAGE names none. Any image works that serves the ports 8123 and 9000
// and reads /etc/clickhouse-server/users.d, as the official one does.
const DefaultImage = "clickhouse/clickhouse-server:26.7"

// atAddresses takes a server that runs already.
func atAddresses(ctx context.Context) (*Server, error) {
	native := os.Getenv("KASI_TEST_CLICKHOUSE_ADDR")
	host, _, err := net.SplitHostPort(native)
	if err != nil {
		return nil, fmt.Errorf("KASI_TEST_CLICKHOUSE_ADDR=%s is not host:port", native)
	}
	s := &Server{
		Kind: Addresses, NativeAddr: native, HTTPAddr: cmp.Or(os.Getenv("KASI_TEST_CLICKHOUSE_HTTP"),
			net.JoinHostPort(host, "8123")),
		KasiPassword: os.Getenv("KASI_TEST_CLICKHOUSE_PASSWORD"), AnalystPassword: os.Getenv("KASI_TEST_ANALYST_PASSWORD"),
	}
	if s.KasiPassword == "" || s.AnalystPassword == "" {
		return nil, errors.New("KASI_TEST_CLICKHOUSE_PASSWORD and KASI_TEST_ANALYST_PASSWORD must be those of the " +
			"server's users; `kasi clickhouse users --also 'kasi_test_*'` makes them")
	}
	if err := s.try(ctx, "SELECT 1"); err != nil {
		return nil, fmt.Errorf("ClickHouse at %s, as user kasi: %w", native, err)
	}
	return s, nil
}

// inContainer runs a server in Docker, with the users that an operator gives a server of his own.
func inContainer(ctx context.Context) (*Server, error) {
	s := &Server{Kind: Containers, KasiPassword: random(), AnalystPassword: random()}
	users, err := embedded.ServerUsers(embedded.Options{
		KasiPassword: s.KasiPassword, AnalystPassword: s.AnalystPassword, Databases: []string{"kasi", databasePrefix + "*"},
	})
	if err != nil {
		return nil, err
	}
	s.container, err = testcontainers.Run(ctx, cmp.Or(os.Getenv("KASI_TEST_CLICKHOUSE_IMAGE"), DefaultImage),
		testcontainers.WithExposedPorts("8123/tcp", "9000/tcp"),
		// An image of the embedded engine asks for them too; they are no secret.
		testcontainers.WithEnv(map[string]string{
			"KASI_CLICKHOUSE_PASSWORD": s.KasiPassword,
			"KASI_ANALYST_PASSWORD":    s.AnalystPassword,
		}),
		testcontainers.WithLabels(map[string]string{"kasi.test": os.Getenv("KASI_TEST_RUN")}),
		testcontainers.WithFiles(testcontainers.ContainerFile{
			Reader: strings.NewReader(users), ContainerFilePath: "/etc/clickhouse-server/users.d/kasi.xml", FileMode: 0o644,
		}),
		testcontainers.WithHostConfigModifier(func(c *container.HostConfig) {
			loopback := []network.PortBinding{{HostIP: netip.MustParseAddr("127.0.0.1")}} // and any free port
			c.PortBindings = network.PortMap{
				network.MustParsePort("8123/tcp"): loopback,
				network.MustParsePort("9000/tcp"): loopback,
			}
		}))
	if err != nil {
		return nil, fmt.Errorf("is Docker running? %w", err)
	}
	if err := s.findPorts(ctx); err != nil {
		return nil, errors.Join(err, s.stop(true))
	}
	if err := s.answers(ctx); err != nil {
		return nil, errors.Join(err, s.stop(true))
	}
	return s, nil
}

// findPorts asks where Docker has published the two ports.
func (s *Server) findPorts(ctx context.Context) error {
	for port, addr := range map[string]*string{"8123/tcp": &s.HTTPAddr, "9000/tcp": &s.NativeAddr} {
		at, err := s.container.MappedPort(ctx, port)
		if err != nil {
			return err
		}
		*addr = net.JoinHostPort("127.0.0.1", at.Port())
	}
	return nil
}

// answers returns when user kasi can log in; a container that has ended is not waited for.
func (s *Server) answers(ctx context.Context) error {
	for {
		err := s.try(ctx, "SELECT 1")
		if err == nil {
			return nil
		}
		state, stateErr := s.container.State(ctx)
		if stateErr == nil && !state.Running {
			return fmt.Errorf("the ClickHouse container has ended: %w\n%s", err, s.logs(ctx))
		}
		var refused *clickhouse.Exception
		if errors.As(err, &refused) {
			return fmt.Errorf("the ClickHouse container does not let user kasi in: %w", err)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the ClickHouse container does not answer at %s: %w", s.NativeAddr, err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func (s *Server) logs(ctx context.Context) string {
	r, err := s.container.Logs(ctx)
	if err != nil {
		return err.Error()
	}
	defer r.Close()
	b, _ := io.ReadAll(r) // what there is
	return string(b[max(0, len(b)-3000):])
}
