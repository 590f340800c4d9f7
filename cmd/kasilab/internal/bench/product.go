package bench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/kasi-collections/kasi/schemas"
	"github.com/kasi-collections/kasi/streams/retry"
)

// product is a running `kasi up` on the Apache Kafka of this part and a ClickHouse of its own.
type product struct {
	kafka   *kafka
	child   *child
	dir     string
	conn    driver.Conn
	world   world
	random  *rand.Rand
	day     time.Time
	n, fed  int
	cutoffs int
}

func startProduct(ctx context.Context, k *kafka, o *options) (*product, error) {
	say("starting kasi up ...")
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	kasi := filepath.Join(filepath.Dir(self), "kasi")
	if _, err := os.Stat(kasi); err != nil {
		return nil, fmt.Errorf("%w: make build makes it", err)
	}
	dir, err := tempDir()
	if err != nil {
		return nil, err
	}
	native := freeAddr()
	cmd := exec.CommandContext(ctx, kasi, "up", "--calendar", "manual", "--date", "2025-11-03", "--data-dir", dir,
		"--http", freeAddr(), "--clickhouse-http", freeAddr(),
		"--clickhouse-native", native, "--log-level", "warn", "--kafka-brokers", k.brokers(), "--partitions",
		strconv.Itoa(o.partitions))
	cmd.Env = append(os.Environ(), "KASI_API_KEYS=acme=bench", "KASI_CLICKHOUSE_PASSWORD="+clickHousePassword)
	c, err := start(cmd)
	if err != nil {
		return nil, err
	}
	p := &product{
		kafka: k, child: c, dir: dir, world: world{o.customers, o.partitions}, random: newRandom(),
		day: time.Date(2025, 11, 3, 9, 0, 0, 0, schemas.Johannesburg),
	}
	return p, errors.Join(p.ready(ctx), p.connect(native))
}

// ready waits until kasi up says so.
func (p *product) ready(ctx context.Context) error {
	for {
		b, err := os.ReadFile(p.child.log.Name())
		if err != nil {
			return err
		}
		if strings.Contains(string(b), "kasi is ready") {
			return nil
		}
		if p.child.gone() {
			return fmt.Errorf("kasi up: %w\n%s", p.child.stop(), b)
		}
		if err := retry.Pause(ctx, 10*look); err != nil {
			return err
		}
	}
}

func (p *product) connect(native string) (err error) {
	p.conn, err = clickhouse.Open(childClickHouse(native, "kasi"))
	return err
}

func (p *product) stop() {
	_ = p.conn.Close()
	if err := p.child.stop(); err != nil {
		say("%v", err)
	}
	_ = os.RemoveAll(p.dir)
}

// until waits until a table shows so many rows.
func (p *product) until(ctx context.Context, table string, rows int) error {
	for said := time.Now(); ; {
		var n uint64
		if err := p.conn.QueryRow(ctx, "SELECT count() FROM "+table).Scan(&n); err != nil {
			return err
		}
		if n >= uint64(rows) {
			return nil
		}
		if time.Since(said) > 5*time.Second {
			said = time.Now()
			say("   %s: %d of %d", table, n, rows)
		}
		if err := retry.Pause(ctx, 2*look); err != nil {
			return err
		}
	}
}

// freeAddr is a loopback address that nobody listens at.
func freeAddr() string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err) // loopback has ports
	}
	defer l.Close()
	return l.Addr().String()
}
