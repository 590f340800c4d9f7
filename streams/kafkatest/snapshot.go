package kafkatest

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"syscall"
)

// Snapshot copies the directories of all nodes into `to`, as a snapshot of their volumes would: all at one instant,
// while the nodes run. They are stopped in their tracks for as long as the copy takes.
func (c *Cluster) Snapshot(to string) (err error) {
	for _, n := range c.nodes {
		group := -n.process.cmd.Process.Pid
		defer func() { err = errors.Join(err, syscall.Kill(group, syscall.SIGCONT)) }()
		if err := syscall.Kill(group, syscall.SIGSTOP); err != nil {
			return err
		}
	}
	for _, n := range c.nodes {
		if err := os.CopyFS(filepath.Join(to, filepath.Base(n.dir)), os.DirFS(n.dir)); err != nil {
			return err
		}
	}
	return nil
}

// Restore kills all nodes, removes what they had, and starts them on what Snapshot has copied.
func (c *Cluster) Restore(ctx context.Context, from string) error {
	jars, err := findJars()
	if err != nil {
		return err
	}
	for _, n := range c.nodes {
		n.process.kill()
		err := os.RemoveAll(n.dir)
		if err == nil {
			err = os.CopyFS(n.dir, os.DirFS(filepath.Join(from, filepath.Base(n.dir))))
		}
		if err != nil {
			return err
		}
	}
	for _, n := range c.nodes {
		if err := c.start(n, jars); err != nil {
			return err
		}
	}
	return c.Ready(ctx)
}
