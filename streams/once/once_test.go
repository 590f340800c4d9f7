package once

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kasi-collections/kasi/schemas"
	"github.com/kasi-collections/kasi/streams/internal/rig"
)

func body(text string) [sha256.Size]byte { return sha256.Sum256([]byte(text)) }

func instance(t *testing.T, r *rig.Rig, lease time.Duration) (*Calls, context.CancelFunc) {
	t.Helper()
	ctx, kill := context.WithCancel(t.Context())
	c, err := open(ctx, r.Cfg, lease)
	require.NoError(t, err)
	return c, kill
}

func TestAKeyFromFirstCallToLast(t *testing.T) {
	r := rig.New(t)
	a, _ := instance(t, r, time.Minute)
	b, _ := instance(t, r, time.Minute)
	begin := func(c *Calls, tenant, key, text string) (*Call, error) {
		return c.Begin(t.Context(), tenant, key, body(text))
	}
	call, err := begin(a, "acme", "k", "x")
	require.NoError(t, err)
	require.Nil(t, call.First())
	since, again := call.Tried()
	require.False(t, again)
	for _, c := range []*Calls{a, b} {
		_, err = begin(c, "acme", "k", "x")
		require.ErrorAs(t, err, new(*schemas.StillRunning))
		_, err = begin(c, "acme", "k", "y")
		require.ErrorIs(t, err, schemas.ErrOtherBody)
	}
	other, err := begin(b, "other", "k", "y")
	require.NoError(t, err)
	require.Nil(t, other.First(), "a key is the tenant's own")

	// What one instance has written, the others hear of a moment later; until then the call is under way to them.
	heard := func(c *Calls) (call *Call) {
		require.Eventually(t, func() (ok bool) {
			call, err = begin(c, "acme", "k", "x")
			return !errors.As(err, new(*schemas.StillRunning))
		}, 10*time.Second, time.Millisecond)
		require.NoError(t, err)
		return call
	}
	require.NoError(t, call.Free(t.Context()))
	call = heard(b)
	now, again := call.Tried()
	require.True(t, again)
	require.Equal(t, since, now, "both tries are one call")
	first := schemas.KeyedAnswer{Status: 201, Header: map[string]string{"Location": "/v1/x"}, Body: []byte("{}")}
	require.NoError(t, call.Done(t.Context(), first))
	late, _ := instance(t, r, time.Minute)
	for _, c := range []*Calls{a, b, late} {
		require.Equal(t, first, *heard(c).First())
		_, err = begin(c, "acme", "k", "y")
		require.ErrorIs(t, err, schemas.ErrOtherBody)
	}
}

// TestAKilledInstanceGivesItsKeysUp: after the lease another one carries the call out, and the first one's answer does
// not count any more. One that lives keeps its key however long the call takes.
func TestAKilledInstanceGivesItsKeysUp(t *testing.T) {
	r := rig.New(t)
	const lease = 300 * time.Millisecond
	a, kill := instance(t, r, lease)
	b, _ := instance(t, r, lease)
	dead, err := a.Begin(t.Context(), "acme", "dead", body("x"))
	require.NoError(t, err)
	lives, err := b.Begin(t.Context(), "acme", "lives", body("x"))
	require.NoError(t, err)
	kill()
	var taken *Call
	require.Eventually(t, func() bool {
		taken, err = b.Begin(t.Context(), "acme", "dead", body("x"))
		return err == nil
	}, 10*time.Second, 10*time.Millisecond)
	_, again := taken.Tried()
	require.True(t, again)
	c, _ := instance(t, r, lease)
	dead.calls = c // the process was only paused
	require.ErrorContains(t, dead.Done(t.Context(), schemas.KeyedAnswer{Status: 500}), "given up for dead")
	require.NoError(t, taken.Done(t.Context(), schemas.KeyedAnswer{Status: 201}))
	for range 20 { // longer than the lease
		_, err = c.Begin(t.Context(), "acme", "lives", body("x"))
		require.ErrorAs(t, err, new(*schemas.StillRunning))
		<-time.After(lease / 10)
	}
	require.NoError(t, lives.Done(t.Context(), schemas.KeyedAnswer{Status: 200}))
}

// The records alone decide whose call it is: a key that is in use goes to whoever names the call it was given up by,
// and only his answer counts.
func TestRecordsDecideWhoseCallItIs(t *testing.T) {
	c := &Calls{entries: map[string]*entry{}, waiting: map[string]chan struct{}{}, sweepAt: 1_000}
	x := body("x")
	say := func(offset int64, s said) *entry {
		value, err := json.Marshal(s)
		require.NoError(t, err)
		c.take(&kgo.Record{Key: []byte("k"), Value: value, Offset: offset, Timestamp: time.Unix(1, 0)})
		return c.entries["k"]
	}
	require.Equal(t, "a", say(0, said{State: running, Token: "a", Body: x[:]}).token)
	require.Equal(t, "a", say(1, said{State: running, Token: "b", Body: x[:]}).token, "b did not know of a yet")
	require.Equal(t, "b", say(2, said{State: running, Token: "b", Takes: "a", Body: x[:]}).token, "a was given up")
	require.Equal(t, running, say(3, said{State: answered, Token: "a"}).state, "a was only paused")
	e := say(4, said{State: answered, Token: "b"})
	require.Equal(t, answered, e.state)
	require.EqualValues(t, 4, e.offset)
}

// What a caller does and hears, for the history's model.
type (
	asks  struct{ key, body string }
	hears struct {
		kind   string // done, replayed, other, unknown
		answer string
	}
)

// oneKey is the model: a key has the body and the answer of the call that was carried out first; all others of its body
// hear that answer, and other bodies are refused once somebody uses the key.
var oneKey = porcupine.NondeterministicModel{
	Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
		byKey := map[string][]porcupine.Operation{}
		for _, op := range history {
			byKey[op.Input.(asks).key] = append(byKey[op.Input.(asks).key], op)
		}
		var out [][]porcupine.Operation
		for _, ops := range byKey {
			out = append(out, ops)
		}
		return out
	},
	Init: func() []any { return []any{keyState{}} },
	Step: func(state, input, output any) []any {
		s, in, out := state.(keyState), input.(asks), output.(hears)
		claimed := keyState{body: in.body, answer: s.answer}
		mayClaim := s.body == "" || s.body == in.body
		switch {
		case out.kind == "done" && mayClaim && s.answer == "":
			return []any{keyState{in.body, out.answer}}
		case out.kind == "replayed" && s == keyState{in.body, out.answer}:
			return []any{s}
		case out.kind == "other" && s.body != "" && s.body != in.body:
			return []any{s}
		case out.kind == "unknown" && mayClaim && s.answer == "":
			// killed: nothing, the key only, or the answer too
			return []any{s, claimed, keyState{in.body, out.answer}}
		case out.kind == "unknown":
			return []any{s}
		}
		return nil
	},
	Equal: func(a, b any) bool { return a == b },
}

type keyState struct{ body, answer string }

// TestHistoriesOfKeys: many callers, three instances of which one after the other is killed in the middle of its calls,
// and a broker that refuses. Whatever is heard could have been heard from one instance that does one thing at a time,
// and no call is carried out twice while the first one lives.
func TestHistoriesOfKeys(t *testing.T) {
	r := rig.New(t)
	const lease, callers, keys = 150 * time.Millisecond, 12, 6
	var mu sync.Mutex
	instances := make([]*Calls, 3)
	kills := make([]context.CancelFunc, 3)
	for i := range instances {
		instances[i], kills[i] = instance(t, r, lease)
	}
	var history []porcupine.Operation
	var clock, answers atomic.Int64
	note := func(caller int, began int64, in asks, out hears) {
		mu.Lock()
		defer mu.Unlock()
		history = append(history, porcupine.Operation{
			ClientId: caller, Input: in, Call: began, Output: out, Return: clock.Add(1),
		})
	}
	var group sync.WaitGroup
	for caller := range callers {
		group.Go(func() {
			chance := rand.New(rand.NewPCG(uint64(caller), 7))
			for n := range 40 {
				in := asks{fmt.Sprint("key", n/8, chance.IntN(keys)), []string{"x", "x", "x", "y"}[chance.IntN(4)]}
				mu.Lock()
				c := instances[chance.IntN(len(instances))]
				mu.Unlock()
				began := clock.Add(1)
				call, err := c.Begin(t.Context(), "acme", in.key, body(in.body))
				running := (*schemas.StillRunning)(nil)
				answer := fmt.Sprint(answers.Add(1))
				switch {
				case err == nil && call.First() != nil:
					note(caller, began, in, hears{"replayed", string(call.First().Body)})
				case err == nil && chance.IntN(5) == 0: // its instance dies, or the call fails
					note(caller, began, in, hears{"unknown", answer})
					if chance.IntN(2) == 0 {
						_ = call.Free(t.Context())
					} else {
						call.stop()
					}
				case err == nil:
					kind := "done"
					if call.Done(t.Context(), schemas.KeyedAnswer{Status: 201, Body: []byte(answer)}) != nil {
						kind = "unknown"
					}
					note(caller, began, in, hears{kind, answer})
				case errors.Is(err, schemas.ErrOtherBody):
					note(caller, began, in, hears{kind: "other"})
				case !asRunning(err, &running): // it was killed on the way
					note(caller, began, in, hears{"unknown", answer})
				}
			}
		})
	}
	stop := make(chan struct{})
	var killer sync.WaitGroup
	killer.Go(func() {
		for i := 0; ; i = (i + 1) % len(instances) {
			select {
			case <-stop:
				return
			case <-time.After(200 * time.Millisecond):
			}
			fresh, kill := instance(t, r, lease)
			mu.Lock()
			kills[i]()
			instances[i], kills[i] = fresh, kill
			mu.Unlock()
		}
	})
	group.Wait()
	close(stop)
	killer.Wait()
	kinds := map[string]int{}
	for _, op := range history {
		kinds[op.Output.(hears).kind]++
	}
	t.Log(kinds)
	for _, kind := range []string{"done", "replayed", "other", "unknown"} {
		require.Positive(t, kinds[kind], kind)
	}
	require.True(t, porcupine.CheckOperations(oneKey.ToModel(), slices.Clone(history)))
}

func asRunning(err error, to **schemas.StillRunning) bool {
	return errors.As(err, to)
}
