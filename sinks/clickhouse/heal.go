package clickhouse

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"

	"github.com/kasi-collections/kasi/sinks/clickhouse/migrate"
)

// lacksCodes are ClickHouse's words for "I have no such thing": column in an insert, identifier, table, database.
var lacksCodes = []int32{16, 47, 60, 81}

// lacking tells whether ClickHouse refuses because a table, a column or the whole database is not there.
func lacking(err error) bool {
	var refusal *clickhouse.Exception
	return errors.As(err, &refusal) && slices.Contains(lacksCodes, refusal.Code)
}

// watch looks again and again after what is stored already, beside the loop that stores what is new: whether ClickHouse
// has all tables, whether its marks are where this sink left them, and whether each partition that this sink owns is
// whole up to its mark. It rests ten times as long as it looked. An alarm calls it at once.
func (s *sink) watch(ctx context.Context) {
	for ctx.Err() == nil {
		began := time.Now()
		err := s.lookAfter(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case beginsAnew(err) || errors.As(err, new(*stopError)):
			s.stop(err)
			return
		}
		s.trouble("clickhouse", "", err)
		if err != nil {
			s.cfg.Log.Warn("sink: looking for what ClickHouse may have lost", "err", err)
		}
		select {
		case <-ctx.Done():
		case <-s.alarm:
		case <-time.After(max(s.tuning.watch, s.tuning.rest*time.Since(began))):
		}
	}
}

// raise calls the watch.
func (s *sink) raise() {
	select {
	case s.alarm <- struct{}{}:
	default: // it is on its way
	}
}

func (s *sink) lookAfter(ctx context.Context) error {
	if err := s.mendSchema(ctx); err != nil {
		return err
	}
	had := s.marked() // before the marks are read: by then the loop may have set new ones
	if len(had) == 0 {
		return nil
	}
	marks, err := readMarks(ctx, s.conn, "")
	if err != nil {
		return err
	}
	for tp, offset := range had {
		if err := setBack(tp, offset, marks); err != nil {
			return err
		}
	}
	own := make(map[topicPartition]mark)
	for tp, m := range marks {
		topic, _, _ := strings.Cut(tp.topic, "/")
		if _, ours := had[topicPartition{topic, tp.partition}]; ours {
			own[tp] = m
		}
	}
	if _, err = s.heal(ctx, own, func(Filled) {}); err != nil {
		return err
	}
	return s.healStates(ctx)
}

// trouble says what is wrong, or, without an error, that it is over.
func (s *sink) trouble(kind, where string, err error) {
	if s.cfg.Observer == nil {
		return
	}
	text := ""
	if err != nil {
		text = err.Error()
	}
	s.cfg.Observer.Troubled("sink", kind, where, text)
}

// marked is ClickHouse's mark of each partition of ours as we know it.
func (s *sink) marked() map[topicPartition]int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make(map[topicPartition]int64, len(s.parts))
	for tp, p := range s.parts {
		out[tp] = p.marked
	}
	return out
}

// mendSchema makes again what was dropped: the database, tables, views. A database that this version cannot use stops
// the sink.
func (s *sink) mendSchema(ctx context.Context) error {
	lacks, err := migrate.Lacks(ctx, s.conn)
	if len(lacks) == 0 && !lacking(err) {
		return err
	}
	s.statesDue = time.Time{}
	s.cfg.Log.Warn("sink: ClickHouse lacks parts of the database, which are made again and filled from Kafka", "lacks",
		strings.Join(lacks, ", "), "err", err)
	err = migrate.UpOn(ctx, s.cfg.Cluster, s.cfg.ClickHouse, s.cfg.Log)
	if errors.As(err, new(*migrate.RefusedError)) {
		return &stopError{err}
	}
	return err
}
