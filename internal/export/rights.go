package export

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/porter-dev/audit-operator/internal/auth"
	"github.com/porter-dev/audit-operator/internal/query"
)

// What an answer that is being sent has to do with rights. The API server's last
// yes may be ten seconds old when it is heard, so that an answer ends within 30 s
// of its change of mind, and of its silence: 10 + rightsLast + lastWords.
const (
	// rightsEvery is how often rights are asked about.
	rightsEvery = 10 * time.Second
	// rightsLast is how long a yes is good for, from when it was asked for.
	rightsLast = 18 * time.Second
	// rightsAgain is how soon they are asked about again that got no answer.
	rightsAgain = time.Second
	// lastWords is how long a client may take for the row that says that an
	// answer broke off, and for what was written before.
	lastWords = 2 * time.Second
)

// errRights means that the caller may not see any more what is being sent, or
// that the API server does not say so.
var errRights = errors.New("the caller's rights have ended")

// Still says whether a caller may still see what a scope covers: nil, or one of
// auth's errors.
type Still func(ctx context.Context, r *http.Request, user auth.User, scope query.Scope) error

// stillIfLate asks about rights again where what came before the first byte took
// so long that they would have been asked about meanwhile.
func (x *Exporter) stillIfLate(ctx context.Context, r *http.Request, user auth.User, scope query.Scope, entered time.Time) error {
	if time.Since(entered) < x.RightsEvery {
		return nil
	}
	return x.Still(ctx, r, user, scope)
}

// watchRights asks about the caller's rights until the returned context ends. When they
// are gone, it ends that context with errRights, and gives the client lastWords
// for the rest. The stop that it returns waits until it asks no more.
func (x *Exporter) watchRights(ctx context.Context, r *http.Request, user auth.User, scope query.Scope, out *patient) (watched context.Context, stop func()) {
	watched, end := context.WithCancelCause(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := x.askWhile(watched, r, user, scope); err != nil {
			x.Log.Info("Broke an answer off because its caller's rights have ended", "user", user.Name, "reason", err.Error())
			out.hurry(lastWords)
			end(errRights)
		}
	}()
	return watched, func() {
		end(nil)
		<-done
	}
}

// askWhile asks about rights again and again. It returns nil when ctx has ended,
// else why there are none.
func (x *Exporter) askWhile(ctx context.Context, r *http.Request, user auth.User, scope query.Scope) error {
	last := time.Now() // the scope was just asked for
	wait := x.RightsEvery
	for {
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C:
		}
		asked := time.Now()
		within, cancel := context.WithDeadline(ctx, last.Add(x.RightsLast))
		err := x.Still(within, r, user, scope)
		cancel()
		switch {
		case ctx.Err() != nil:
			return nil
		case err == nil:
			last, wait = asked, x.RightsEvery
		case !errors.Is(err, auth.ErrNoAnswer):
			return err
		case !time.Now().Before(last.Add(x.RightsLast)):
			return err
		default:
			wait = min(rightsAgain, time.Until(last.Add(x.RightsLast)))
		}
	}
}
