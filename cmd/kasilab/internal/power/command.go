package power

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/spf13/cobra"
)

// Command is `kasilab power`.
func Command() *cobra.Command {
	o := Options{Out: os.Stdout}
	var durable, keep bool
	var kasi string
	cmd := &cobra.Command{
		Use:   "power",
		Short: "Cut the power under kasi up again and again over a month, then check the books",
		Long: `power plays November 2025 with simulated customers on kasi up, whose data directory is on a disk that
keeps nothing without fsync. Again and again the power is cut: every process is killed -9, the disk
forgets what was not fsynced, with torn ends, and the product starts on what is left. At the end kasi
verify compares the bank's book, what the feeds had acknowledged, the topics and ClickHouse. The exit
code is 1 where there is any difference. It needs Linux, root and /dev/fuse.`,
		Example: `  make power
  make power ARGS="--cuts 100 --seed 7 --strict"`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if durable {
				o.Flags = []string{"--durable"}
			}
			return run(cmd.Context(), o, kasi, keep)
		},
	}
	cmd.Flags().IntVar(&o.Customers, "customers", 300, "customers, 40 or more; one in 16 holds two policies")
	cmd.Flags().IntVar(&o.Records, "records", 20_000, "bank transactions fed, at least")
	cmd.Flags().IntVar(&o.Cuts, "cuts", 30, "power cuts")
	cmd.Flags().Uint64Var(&o.Disk.Seed, "seed", 1,
		"decides people, moments and what is torn; what the machine's own timing adds is not in it")
	cmd.Flags().BoolVar(&o.Disk.Strict, "strict", false,
		"names are durable only by an fsync of their directory, as POSIX has it; else any fsync keeps them, as ext4 does")
	cmd.Flags().BoolVar(&durable, "durable", true, "the flag of kasi up under test; without it data may be lost")
	cmd.Flags().BoolVar(&keep, "keep", false, "keep the logs and the data where all went well, too")
	cmd.Flags().StringVar(&kasi, "kasi", "bin/kasi", "the binary to try")
	return cmd
}

func run(ctx context.Context, o Options, kasi string, keep bool) error {
	kasi, err := filepath.Abs(kasi)
	if err == nil {
		_, err = os.Stat(kasi)
	}
	if err != nil {
		return fmt.Errorf("--kasi: %w; make build builds it", err)
	}
	o.Kasi = func(args ...string) *exec.Cmd {
		cmd := exec.Command(kasi, args...)
		cmd.Env = append(os.Environ(), Env()...)
		return cmd
	}
	if o.Dir, err = os.MkdirTemp("", "kasi-power-"); err != nil {
		return err
	}
	fmt.Fprintln(o.Out, "logs and data in", o.Dir)
	if err := Run(ctx, o); err != nil || keep {
		return err
	}
	return os.RemoveAll(o.Dir)
}
