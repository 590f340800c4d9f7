// Package once keeps the answers to API calls that carry an Idempotency-Key, for 30 days: kasi.idempotency.v1, one
// partition, compacted, keyed by a hash of tenant and key. Every API instance follows the topic, so its order decides
// for all of them: of several calls with one key the first whose record is on it is carried out.
//
// Guarantee: at most one call of a key is under way that has not been given up. A call is given up where its instance
// has not said for Lease that it is alive: it was killed, or cut off from Kafka. Then another call takes its place,
// under the same identity (Call.Tried), so what the first one did is recognised by whoever carries out the second.
//
// What happens on each failure:
//   - An instance is killed before its record is on the topic: nothing has happened.
//   - Behind it: others hear 409 until Lease is over; then the next call is carried out, and told so (Call.Tried).
//   - A call ends without an answer that is final (a 5xx): it frees the key at once.
//   - An instance that was given up comes back: its answer is not taken in any more, and it is told so.
package once

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kasi-collections/kasi/schemas"
	"github.com/kasi-collections/kasi/streams/follow"
	"github.com/kasi-collections/kasi/streams/progress"
	"github.com/kasi-collections/kasi/streams/retry"
	"github.com/kasi-collections/kasi/streams/stage"
	"github.com/kasi-collections/kasi/streams/topics"
)

// Keep is for how long a key is remembered.
const Keep = 30 * 24 * time.Hour

// writeTimeout bounds a wait for Kafka: a caller must get its answer.
const writeTimeout = 10 * time.Second

// The states of a key.
const (
	running  = "running"
	alive    = "alive" // still running
	answered = "answered"
	freed    = "freed"
)

// said is a record of the topic.
type said struct {
	State string `json:"state"`
	// Token names the call; Takes the one that it takes the place of, because that was given up.
	Token string `json:"token"`
	Takes string `json:"takes,omitempty"`
	// Body stands for what the call asks.
	Body   []byte               `json:"body,omitempty"`
	Answer *schemas.KeyedAnswer `json:"answer,omitempty"`
}

// entry is what is known of a key.
type entry struct {
	state, token string
	body         [sha256.Size]byte
	since        time.Time // of the record that first used the key
	heard        time.Time // by our clock: when its instance was last heard of
	offset       int64     // of the answer
}

// Calls keeps the keys. It is safe for concurrent use.
type Calls struct {
	ctx   context.Context
	cfg   stage.Config
	lease time.Duration
	cl    *kgo.Client
	looks *progress.Tracker

	mu      sync.Mutex // guards the rest
	entries map[string]*entry
	waiting map[string]chan struct{} // by token: closed once its record has been taken in
	sweepAt int
}

// Lease is how long a call may not be heard of before it is given up.
const Lease = 10 * time.Second

// Open knows all keys there are and hears of others until ctx ends. The topic must exist (topics.Ensure).
func Open(ctx context.Context, cfg stage.Config) (*Calls, error) { return open(ctx, cfg, Lease) }

func open(ctx context.Context, cfg stage.Config, lease time.Duration) (*Calls, error) {
	cl, _, err := topics.Open(cfg)
	if err != nil {
		return nil, err
	}
	context.AfterFunc(ctx, cl.Close)
	c := &Calls{
		ctx: ctx, cfg: cfg, lease: lease, cl: cl, looks: progress.New(cl), entries: map[string]*entry{},
		waiting: map[string]chan struct{}{}, sweepAt: 1_000,
	}
	return c, follow.Topic(ctx, cfg, schemas.TopicIdempotency, c.take)
}

// take puts a record in its place. All instances take the same records in the same order and decide alike: by the
// records alone, never by their clocks.
func (c *Calls) take(rec *kgo.Record) {
	var s said
	if json.Unmarshal(rec.Value, &s) != nil || s.Token == "" {
		return // not of our making
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if done, ours := c.waiting[s.Token]; ours {
		close(done)
		delete(c.waiting, s.Token)
	}
	key := string(rec.Key)
	e := c.entries[key]
	if e != nil && rec.Timestamp.Sub(e.since) > Keep {
		e = nil
	}
	switch {
	case s.State == running && (e == nil || bytes.Equal(s.Body, e.body[:]) &&
		(e.state == freed || e.state == running && s.Takes == e.token)):
		now := &entry{state: running, token: s.Token, since: rec.Timestamp, heard: time.Now()}
		copy(now.body[:], s.Body)
		if e != nil {
			now.since, now.body = e.since, e.body
		}
		c.entries[key] = now
		c.sweep(rec.Timestamp)
	case e == nil || e.token != s.Token || e.state != running:
	case s.State == alive:
		e.heard = time.Now()
	case s.State == answered, s.State == freed:
		e.state, e.offset = s.State, rec.Offset
	}
}

// sweep forgets what is older than Keep, each time that the keys have doubled.
func (c *Calls) sweep(now time.Time) {
	if len(c.entries) < c.sweepAt {
		return
	}
	for key, e := range c.entries {
		if now.Sub(e.since) > Keep {
			delete(c.entries, key)
		}
	}
	c.sweepAt = max(1_000, 2*len(c.entries))
}

// Call is a call that is carried out here, or the answer of one that was.
type Call struct {
	answer *schemas.KeyedAnswer
	again  bool
	since  time.Time

	calls      *Calls
	key, token string
	stop       context.CancelFunc // of the beats
}

// First is the first answer; nil where the call is ours to carry out. Then Done or Free must be called.
func (call *Call) First() *schemas.KeyedAnswer { return call.answer }

// Tried tells when the key was first used: with tenant and key that names the call, however often it is tried. again
// tells that an earlier try may have done something.
func (call *Call) Tried() (since time.Time, again bool) { return call.since, call.again }

// Begin takes the key of a call that asks for body, or finds its answer. The error is a *schemas.StillRunning, or
// schemas.ErrOtherBody; any other means that Kafka could not be asked.
func (c *Calls) Begin(ctx context.Context, tenant, key string, body [sha256.Size]byte) (*Call, error) {
	hash := sha256.Sum256([]byte(tenant + "\x1f" + key))
	name := base64.RawURLEncoding.EncodeToString(hash[:])
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	for {
		s, e, err := c.look(name, body)
		switch {
		case err != nil:
			return nil, err
		case e.state == answered:
			answer, err := c.answer(ctx, e.offset)
			return &Call{answer: answer, since: e.since}, err
		}
		if err := c.write(ctx, name, s); err != nil {
			return nil, err
		}
		if call := c.ours(name, s.Token); call != nil {
			call.again = e.state != ""
			var beats context.Context
			beats, call.stop = context.WithCancel(c.ctx)
			go call.beat(beats)
			return call, nil
		}
		// Another call was faster: look again.
	}
}

// look says what is known of a key, and what a call that takes it must write.
func (c *Calls) look(name string, body [sha256.Size]byte) (s said, known entry, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s = said{State: running, Token: rand.Text(), Body: body[:]}
	e := c.entries[name]
	if e == nil || time.Since(e.since) > Keep {
		return s, known, nil
	}
	if e.body != body {
		return s, *e, schemas.ErrOtherBody
	}
	if e.state == running {
		if left := c.lease - time.Since(e.heard); left > 0 {
			return s, *e, &schemas.StillRunning{After: left}
		}
		s.Takes = e.token
	}
	return s, *e, nil
}

// ours is the call, where its record has taken the key.
func (c *Calls) ours(name, token string) *Call {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.entries[name]
	if e == nil || e.token != token {
		return nil
	}
	return &Call{since: e.since, calls: c, key: name, token: token}
}

// write writes a record and waits until it has been taken in, and with it all before it.
func (c *Calls) write(ctx context.Context, name string, s said) error {
	value, err := json.Marshal(s)
	if err != nil {
		return err
	}
	taken := make(chan struct{})
	c.mu.Lock()
	c.waiting[s.Token] = taken
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		delete(c.waiting, s.Token)
		c.mu.Unlock()
	}()
	rec := &kgo.Record{Topic: schemas.TopicIdempotency, Key: []byte(name), Value: value}
	if err := c.cl.ProduceSync(ctx, rec).FirstErr(); err != nil {
		return fmt.Errorf("idempotency keys: %w", err)
	}
	select {
	case <-taken:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("idempotency keys: the topic cannot be read: %w", ctx.Err())
	}
}

// answer reads an answer back.
func (c *Calls) answer(ctx context.Context, offset int64) (answer *schemas.KeyedAnswer, err error) {
	at := progress.Place{Topic: schemas.TopicIdempotency}
	_, err = c.looks.Scan(ctx, at, offset, offset+1, 1<<20, func(rec *kgo.Record) error {
		var s said
		if rec.Offset != offset || json.Unmarshal(rec.Value, &s) != nil {
			return errFound
		}
		answer = s.Answer
		return errFound
	})
	if answer != nil {
		return answer, nil
	}
	return nil, fmt.Errorf("idempotency keys: the answer at offset %d cannot be read: %w", offset, err)
}

var errFound = errors.New("found")

// beat tells that the call is alive until ctx ends.
func (call *Call) beat(ctx context.Context) {
	c := call.calls
	value, err := json.Marshal(said{State: alive, Token: call.token})
	for err == nil && retry.Pause(ctx, c.lease/3) == nil {
		rec := &kgo.Record{Topic: schemas.TopicIdempotency, Key: []byte(call.key), Value: value}
		_ = c.cl.ProduceSync(ctx, rec) // the next one may come through
	}
}

// Done keeps the answer. An error means that it may not be kept: the call was given up, or Kafka is away.
func (call *Call) Done(ctx context.Context, answer schemas.KeyedAnswer) error {
	return call.end(ctx, said{State: answered, Answer: &answer})
}

// Free lets the next call with the key be carried out.
func (call *Call) Free(ctx context.Context) error { return call.end(ctx, said{State: freed}) }

func (call *Call) end(ctx context.Context, s said) error {
	c := call.calls
	call.stop()
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	s.Token = call.token
	if err := c.write(ctx, call.key, s); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.entries[call.key]; e == nil || e.token != call.token || e.state != s.State {
		return errors.New("idempotency keys: the call was given up for dead, and another has its place")
	}
	return nil
}
