package progress

import (
	"context"
	"fmt"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// LogDir is a directory of a broker, in bytes.
type LogDir struct {
	Broker int32
	Dir    string
	// Free and Total are of its volume; -1 where the broker does not say.
	Free, Total int64
	// Ours is what the topics kasi.* take in it.
	Ours int64
}

// LogDirs asks all brokers for their directories.
func LogDirs(ctx context.Context, cl *kgo.Client) ([]LogDir, error) {
	all, err := kadm.NewClient(cl).DescribeAllLogDirs(ctx, nil)
	if err != nil {
		return nil, fmt.Errorf("directories of the brokers: %w", err)
	}
	var out []LogDir
	for _, dir := range all.Sorted() {
		if dir.Err != nil {
			return nil, fmt.Errorf("directory %s of broker %d: %w", dir.Dir, dir.Broker, dir.Err)
		}
		d := LogDir{Broker: dir.Broker, Dir: dir.Dir, Free: dir.UsableBytes, Total: dir.TotalBytes}
		dir.Topics.Each(func(p kadm.DescribedLogDirPartition) {
			if strings.HasPrefix(p.Topic, "kasi.") {
				d.Ours += p.Size
			}
		})
		out = append(out, d)
	}
	return out, nil
}
