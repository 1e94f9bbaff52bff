package selfaudit

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/util/uuid"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/auth"
	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/store"
)

// Bounds of what is recorded of looks and of refused log-ins.
const (
	// ViewsAnHour is how many are recorded of one caller in an hour, one by one;
	// the others of the hour are in one record. All refused log-ins together are
	// one caller, since nobody knows who they are.
	ViewsAnHour = 60
	// OngoingAnHour is that of what goes on from a look, such as a live tail: one,
	// and one for the others. Whoever only goes on is seen to.
	OngoingAnHour = 1
	// viewCallers bounds the callers that are counted at a time. What others do
	// meanwhile is lost.
	viewCallers = 4096
	// viewsWaiting bounds the records that wait for the store. What comes while it
	// is full is lost.
	viewsWaiting = 1024
	// viewsAtOnce is how many are stored by one commit.
	viewsAtOnce = 64
	// viewsSummedUp is how often it is looked whose hour is over.
	viewsSummedUp = time.Minute
	// viewsEnd bounds what is still stored when the process ends.
	viewsEnd = 5 * time.Second
)

var errLost = errors.New("too much to record at once")

// Views records looks at the log, and log-ins that were refused: beside the
// request, as well as it can. What is lost is counted, and nobody waits for it.
// A nil Views records nothing. It is safe for concurrent use.
type Views struct {
	recorder *Recorder
	waiting  chan viewRecord

	mu      sync.Mutex
	callers map[string]*viewCaller
}

type viewRecord struct {
	action Action
	event  audit.Event
}

// viewCaller is what one caller did in an hour.
type viewCaller struct {
	began  time.Time
	count  int
	others int // beyond what is recorded one by one
	last   Act
	status int
}

// NewViews returns a Views, which stores what it is told while Run runs.
func NewViews(r *Recorder) *Views {
	return &Views{recorder: r, waiting: make(chan viewRecord, viewsWaiting), callers: map[string]*viewCaller{}}
}

// Looked says that a request was answered with what a scope shows. It returns at
// once.
func (v *Views) Looked(request *http.Request, user auth.User, scope query.Scope, kind auth.Look) {
	if v == nil || kind == auth.Elsewhere {
		return
	}
	key, most := "user "+user.Name, ViewsAnHour
	if kind == auth.Ongoing {
		key, most = "ongoing "+user.Name, OngoingAnHour
	}
	_, names := scope.Namespaces()
	v.note(key, most, Act{Action: View, User: user, Request: request, Namespaces: names}, http.StatusOK)
}

// Refused says that a log-in by some means was refused. It returns at once.
func (v *Views) Refused(request *http.Request, means string) {
	if v == nil {
		return
	}
	v.note("", ViewsAnHour, Act{
		Action: Login, User: auth.User{Name: "system:anonymous", Groups: []string{"system:unauthenticated"}}, Request: request,
		Detail: map[string]string{"means": means, "outcome": "refused"},
	}, http.StatusUnauthorized)
}

func (v *Views) note(key string, most int, act Act, status int) {
	now := v.recorder.now()
	if !v.counted(key, most, act, status, now) {
		return
	}
	v.send(act, record{id: string(uuid.NewUUID()), stage: audit.StageResponseComplete, received: now, reached: now, status: status})
}

// counted reports whether an act is one of those that are recorded one by one.
func (v *Views) counted(key string, most int, act Act, status int, now time.Time) bool {
	v.mu.Lock()
	caller := v.callers[key]
	var over *viewCaller
	if caller != nil && now.Sub(caller.began) >= time.Hour {
		over, caller = caller, nil
		delete(v.callers, key)
	}
	full := caller == nil && len(v.callers) >= viewCallers
	if caller == nil && !full {
		caller = &viewCaller{began: now}
		v.callers[key] = caller
	}
	each := false
	if caller != nil {
		caller.count++
		if each = caller.count <= most; !each {
			caller.others++
			// The request is over when this is written.
			caller.last, caller.status = act, status
			caller.last.Request = act.Request.Clone(context.WithoutCancel(act.Request.Context()))
		}
	}
	v.mu.Unlock()
	v.sumUp(over)
	if full {
		v.recorder.Metrics.count(act.Action, errLost)
	}
	return each
}

// sumUp records what a caller did beyond what was recorded one by one.
func (v *Views) sumUp(caller *viewCaller) {
	if caller == nil || caller.others == 0 {
		return
	}
	now := v.recorder.now()
	v.send(caller.last, record{
		id: string(uuid.NewUUID()), stage: audit.StageResponseComplete, received: now, reached: now, status: caller.status,
		detail: map[string]string{"others": strconv.Itoa(caller.others), "since": formatTime(caller.began)},
	})
}

// send lets a record wait for the store, if there is a place for it.
func (v *Views) send(act Act, rec record) {
	e, err := v.recorder.event(act, rec)
	if err == nil {
		select {
		case v.waiting <- viewRecord{act.Action, *e}:
			return
		default:
			err = errLost
		}
	}
	v.recorder.Metrics.count(act.Action, err)
}

// Run stores what is recorded until ctx ends, and then what is left.
func (v *Views) Run(ctx context.Context) {
	if v == nil {
		return
	}
	tick := time.NewTicker(viewsSummedUp)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), viewsEnd)
			defer cancel()
			v.end(ending)
			return
		case <-tick.C:
			for _, caller := range v.over(v.recorder.now().Add(-time.Hour)) {
				v.sumUp(caller)
			}
		case first := <-v.waiting:
			v.store(ctx, first)
		}
	}
}

// end stores what is left.
func (v *Views) end(ctx context.Context) {
	for _, caller := range v.over(v.recorder.now()) {
		v.sumUp(caller)
	}
	for ctx.Err() == nil {
		select {
		case first := <-v.waiting:
			v.store(ctx, first)
		default:
			return
		}
	}
}

// over takes out the callers whose hour began until a time.
func (v *Views) over(until time.Time) []*viewCaller {
	v.mu.Lock()
	defer v.mu.Unlock()
	var over []*viewCaller
	for key, caller := range v.callers {
		if !caller.began.After(until) {
			over = append(over, caller)
			delete(v.callers, key)
		}
	}
	return over
}

// store stores a record and those that wait behind it.
func (v *Views) store(ctx context.Context, first viewRecord) {
	some := []viewRecord{first}
	for len(some) < viewsAtOnce && len(v.waiting) > 0 {
		some = append(some, <-v.waiting)
	}
	events := make([]audit.Event, len(some))
	for i := range some {
		events[i] = some[i].event
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
	defer cancel()
	_, err := v.recorder.Writer.Append(ctx, store.Batch{Source: audit.OwnSource, ReceivedAt: v.recorder.now(), Events: events})
	if err != nil {
		v.recorder.Log.Error(err, "Could not record who looked at the log", "records", len(some))
	}
	for _, one := range some {
		v.recorder.Metrics.count(one.action, err)
	}
}
