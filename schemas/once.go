package schemas

import (
	"errors"
	"fmt"
	"time"
)

// KeyedAnswer is the answer to an API call that had an Idempotency-Key, as it is given again.
type KeyedAnswer struct {
	Status int               `json:"status"`
	Header map[string]string `json:"header,omitempty"`
	Body   []byte            `json:"body"`
}

// StillRunning says that a call with the same key is under way. After is when another look is worth it.
type StillRunning struct{ After time.Duration }

func (e *StillRunning) Error() string {
	return fmt.Sprintf("a call with this key is under way; look again in %s", e.After)
}

// ErrOtherBody says that a key has been used for another call.
var ErrOtherBody = errors.New("the key has been used for another call")
