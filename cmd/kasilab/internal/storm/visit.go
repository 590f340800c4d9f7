package storm

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/kasi-collections/kasi/cmd/internal/wait"
)

// visit lets one more instance of a role join and leave again, every other time by a kill.
//
// kfake, which is what there is where no broker can be killed, starts the session of a member only when it answers its
// join: one that dies before holds its group up for the whole rebalance timeout, a minute. So there instances leave in
// peace, and no member is killed while another joins.
func (k *killer) visit(ctx context.Context, n int) {
	role := []string{"collect", "sink", "intake"}[n%3]
	v := k.victims[slices.IndexFunc(k.victims, func(v *victim) bool { return v.role == role })]
	gentle := k.o.Cluster == nil
	if gentle {
		if !k.spare(v) {
			return
		}
		defer k.release(v)
	}
	name := fmt.Sprintf("%s-visitor-%d", role, n)
	if err := k.ps.start(role, name); err != nil {
		k.fail(err)
		return
	}
	if wait.For(ctx, stay/3+k.pause(stay*2/3)) != nil {
		return
	}
	k.mu.Lock()
	k.joined++
	k.mu.Unlock()
	if gentle || n%2 == 0 {
		k.ps.stop(name)
		return
	}
	back := v.use(name)
	if k.ps.kill(name) {
		k.counted(v)
		k.measure(ctx, v, name, time.Now(), back)
	}
}

// spare keeps a role from being killed until its release, unless it is on its way back already.
func (k *killer) spare(v *victim) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if v.away {
		return false
	}
	v.away = true
	return true
}

func (k *killer) release(v *victim) {
	k.mu.Lock()
	defer k.mu.Unlock()
	v.away = false
}
