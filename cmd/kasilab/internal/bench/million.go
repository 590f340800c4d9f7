package bench

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/pflag"

	"github.com/kasi-collections/kasi/api/client"
	"github.com/kasi-collections/kasi/cmd/internal/app"
	"github.com/kasi-collections/kasi/cmd/internal/config"
	"github.com/kasi-collections/kasi/streams/retry"
)

// embedded is a running `kasi up` on the embedded engines.
type embedded struct {
	kasi, dir, http, kafka string
	child                  *child
	peak                   *peak
}

// benchMillion imports many policies of one tenant into the product on the embedded engines, executes them, and lets
// days pass. No bank answers.
func benchMillion(ctx context.Context, _ *kafka, o *options, t *table) (err error) {
	e, err := startEmbedded(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.stop()) }()
	t.section("Many policies, embedded engines", "policies", "seconds", "processor s",
		"resident after it, MB: kasi + ClickHouse")
	step := func(name string, do func() (string, error)) {
		if err != nil {
			return
		}
		began, used, note := time.Now(), e.child.usage(), ""
		if note, err = do(); err != nil {
			err = fmt.Errorf("%s: %w", name, err)
			return
		}
		took, used := fmt.Sprintf("%.2f", time.Since(began).Seconds()), e.child.usage()-used
		own, clickhouse := resident(e.child.cmd.Process.Pid)
		memory := fmt.Sprintf("%d + %d", own>>20, clickhouse>>20)
		t.row(name+note, fmt.Sprint(o.policies), took, fmt.Sprintf("%.1f", used.Seconds()), memory)
		say("   %s%s: %s s, processor %.1f s, %s MB", name, note, took, used.Seconds(), memory)
	}
	id := ""
	step("import", func() (string, error) { return "", e.importFile(ctx, o.policies) })
	step("execution, accepted", func() (_ string, err error) { id, err = e.execute(ctx, o.policies); return "", err })
	step("execution, until it is done", func() (string, error) { return "", e.executed(ctx, id) })
	for _, day := range []string{"2025-11-03", "2025-11-04", "2025-11-05", "2025-11-06"} {
		step("calendar to "+day, func() (string, error) { return "", e.advance(ctx, day) })
	}
	if o.heap != "" && err == nil {
		err = e.heapProfile(ctx, o.heap)
	}
	t.note("Many policies: %d policies of as many customers, without a feed; the calendar begins on 1 November; its "+
		"times include the start of the command that moves it. The most that all processes together had resident: %d MB.",
		o.policies, e.peak.end()>>20)
	return err
}

func startEmbedded(ctx context.Context) (*embedded, error) {
	kasi, err := kasiProgram()
	if err != nil {
		return nil, err
	}
	dir, err := tempDir()
	if err != nil {
		return nil, err
	}
	e := &embedded{kasi: kasi, dir: dir, http: freeAddr(), kafka: freeAddr()}
	e.child, err = spawn(ctx, "up", "embedded", "--", "--calendar", "manual", "--date", "2025-11-01", "--data-dir", dir,
		"--http", e.http, "--kafka", e.kafka, "--clickhouse-http", freeAddr(), "--clickhouse-native", freeAddr(),
		"--queries-per-minute", "0", "--updates-per-minute", "0", "--log-level", "warn")
	if err != nil {
		return nil, err
	}
	e.peak = watchPeak(e.child.cmd.Process.Pid)
	p := &product{child: e.child}
	return e, p.ready(ctx)
}

func (e *embedded) stop() error { return errors.Join(e.child.stop(), os.RemoveAll(e.dir)) }

// runUp is `kasi up` in this program, which writes a profile of its heap when it gets SIGUSR1: into heap.pprof of its
// data directory.
func runUp(ctx context.Context, args []string) error {
	flags := pflag.NewFlagSet("up", pflag.ContinueOnError)
	config.Flags(flags)
	if err := flags.Parse(args); err != nil {
		return err
	}
	asked := map[string]string{"KASI_API_KEYS": "acme=bench"}
	cfg, err := config.Load("", flags, func(name string) (string, bool) { v, ok := asked[name]; return v, ok })
	if err != nil {
		return err
	}
	s, err := app.Up(ctx, cfg, app.Logger(os.Stderr, cfg.LogLevel, cfg.LogFormat))
	if err != nil {
		return err
	}
	fmt.Println("kasi is ready")
	profile := make(chan os.Signal, 1)
	signal.Notify(profile, syscall.SIGUSR1)
	for {
		select {
		case <-profile:
			if err := writeHeap(filepath.Join(cfg.DataDir, heapFile)); err != nil {
				return errors.Join(err, s.Stop())
			}
		case <-ctx.Done():
			return s.Stop()
		case <-s.Done():
			return s.Stop()
		}
	}
}

const heapFile = "heap.pprof"

// writeHeap writes what the heap holds after a collection of garbage.
func writeHeap(file string) error {
	runtime.GC()
	f, err := os.Create(file + ".part")
	if err != nil {
		return err
	}
	return errors.Join(pprof.Lookup("heap").WriteTo(f, 0), f.Close(), os.Rename(f.Name(), file))
}

// kasiProgram is the product beside this program.
func kasiProgram() (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	kasi := filepath.Join(filepath.Dir(self), "kasi")
	if _, err := os.Stat(kasi); err != nil {
		return "", fmt.Errorf("%w: make build makes it", err)
	}
	return kasi, nil
}

// call makes a call of the API and reads its answer into out.
func (e *embedded) call(ctx context.Context, method, path, kind string, body io.Reader, out any) error {
	req, err := http.NewRequestWithContext(ctx, method, "http://"+e.http+"/v1"+path, body)
	if err != nil {
		return err
	}
	req.Header.Set("X-API-Key", "bench")
	req.Header.Set("Content-Type", kind)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode >= http.StatusBadRequest {
		return fmt.Errorf("%s %s: %s: %s", method, path, resp.Status, b)
	}
	return json.Unmarshal(b, out)
}

// importFile uploads a file of so many policies, each of a customer of its own.
func (e *embedded) importFile(ctx context.Context, policies int) error {
	r, w := io.Pipe()
	form := multipart.NewWriter(w)
	go func() {
		file, err := form.CreateFormFile("file", "policies.csv")
		if err == nil {
			rows := bufio.NewWriterSize(file, 1<<16)
			fmt.Fprintln(rows, "customer_id,external_customer_ref,policy_number,product_code,collection_amount")
			for i := range policies {
				fmt.Fprintf(rows, "CUST%07d,EXT%07d,POL%07d,FUNERAL_01,%d.00\n", i, i, i, 100+i%200)
			}
			err = errors.Join(rows.Flush(), form.Close())
		}
		_ = w.CloseWithError(err) // a pipe's never fails
	}()
	var done client.ImportResult
	err := e.call(ctx, http.MethodPost, "/policies/import", form.FormDataContentType(), r, &done)
	if err == nil && done.Imported != policies {
		err = fmt.Errorf("%d of %d policies were imported", done.Imported, policies)
	}
	return err
}

func (e *embedded) execute(ctx context.Context, policies int) (id string, err error) {
	var done client.ExecutionAccepted
	err = e.call(ctx, http.MethodPost, "/collections/execute", "application/json",
		bytes.NewBufferString(`{"period_month":"2025-11"}`), &done)
	if err == nil && done.PoliciesQueued != policies {
		err = fmt.Errorf("%d of %d policies were queued", done.PoliciesQueued, policies)
	}
	return done.ExecutionID, err
}

func (e *embedded) executed(ctx context.Context, id string) error {
	for {
		var x client.Execution
		if err := e.call(ctx, http.MethodGet, "/executions/"+id, "", nil, &x); err != nil {
			return err
		}
		if x.Status == "completed" {
			return nil
		}
		if err := retry.Pause(ctx, 20*look); err != nil {
			return err
		}
	}
}

func (e *embedded) advance(ctx context.Context, day string) error {
	out, err := exec.CommandContext(ctx, e.kasi, "calendar", "advance", "--kafka", e.kafka, "--to", day).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

// heapProfile keeps what the product has on its heap.
func (e *embedded) heapProfile(ctx context.Context, file string) error {
	if err := e.child.cmd.Process.Signal(syscall.SIGUSR1); err != nil {
		return err
	}
	for {
		b, err := os.ReadFile(filepath.Join(e.dir, heapFile))
		if err == nil {
			return os.WriteFile(file, b, 0o600)
		}
		if err := retry.Pause(ctx, 20*look); err != nil {
			return err
		}
	}
}

// peak is the most memory that a process and its descendants had resident together.
type peak struct {
	stop, done chan struct{}
	once       sync.Once
	most       int
}

func watchPeak(pid int) *peak {
	p := &peak{stop: make(chan struct{}), done: make(chan struct{})}
	go func() {
		defer close(p.done)
		for {
			own, others := resident(pid)
			p.most = max(p.most, own+others)
			select {
			case <-p.stop:
				return
			case <-time.After(100 * time.Millisecond):
			}
		}
	}()
	return p
}

func (p *peak) end() int {
	p.once.Do(func() { close(p.stop) })
	<-p.done
	return p.most
}
