// Package selfaudit records what people do with the records: exports, downloads
// of snapshots, log-ins. A record is an event like any other, of a source that
// nobody else can deliver for, and goes the way of all events: it is decoded,
// redacted and identified, and durable before what it speaks of happens.
package selfaudit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/util/uuid"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/auth"
	"github.com/porter-dev/audit-operator/internal/store"
)

// Action is what was done, as events name it.
type Action string

// The actions.
const (
	Export   Action = "project.audit_export"
	Login    Action = "project.audit_login"
	Download Action = "project.audit_snapshot_download"
	View     Action = "project.audit_view"
	Delete   Action = "project.audit_snapshot_delete"
)

// ErrNotRecorded means that an act could not be recorded, so it must not
// happen. It wraps the store's error.
var ErrNotRecorded = errors.New("the record of this could not be stored")

const (
	resourceType = "project"
	apiGroup     = auth.Group
	// annotations of a record begin so.
	annotationPrefix = auth.Group + "/"
	// storeTimeout bounds how long a record may take, also one of something
	// whose client is gone.
	storeTimeout = 10 * time.Second
)

// Options of New. Metrics, Now and Log are optional.
type Options struct {
	Writer store.Writer
	// Key is the store's; see audit.Decoder.
	Key audit.Key
	// Cluster is the operator's own.
	Cluster string
	// ClientAddress returns the address of who sends a request; nil means that
	// of the connection.
	ClientAddress func(*http.Request) string
	// Metrics count the records; nil counts nothing.
	Metrics *Metrics
	Now     func() time.Time
	Log     logr.Logger
}

// Recorder records. It is safe for concurrent use.
type Recorder struct {
	Options
	classifier *audit.Classifier
}

// New returns a Recorder. It fails when an option is missing.
func New(opts Options) (*Recorder, error) {
	if opts.Writer == nil || opts.Cluster == "" {
		return nil, errors.New("selfaudit: Writer and Cluster are required")
	}
	if opts.ClientAddress == nil {
		opts.ClientAddress = peer
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	// Whatever rules a cluster has, these records are of one type.
	classifier, err := audit.NewClassifier([]audit.ResourceType{{Name: resourceType, Match: []audit.Rule{{}}}}, "")
	if err != nil {
		return nil, err
	}
	return &Recorder{Options: opts, classifier: classifier}, nil
}

// Act is something that a person does with records.
type Act struct {
	Action  Action
	User    auth.User
	Request *http.Request
	// Namespaces are those that the user's rights limit it to. The record belongs
	// to the namespace where there is exactly one, else to the cluster.
	Namespaces []string
	// Name is that of the thing, such as a snapshot's ID; may be empty.
	Name string
	// Detail becomes annotations. It must hold nothing secret; of a filter,
	// which is whatever somebody typed, what looks secret is taken out.
	Detail map[string]string
}

// Begin records that an act begins, and returns after the record is durable.
// Its error is ErrNotRecorded: then the act must not happen. What became of the
// act is recorded by end, whether or not ctx is done; a failure of that is only
// logged.
func (r *Recorder) Begin(ctx context.Context, act Act) (end func(ctx context.Context, status int, detail map[string]string), err error) {
	auth.LookIs(ctx, auth.Elsewhere)
	began := r.now()
	id := string(uuid.NewUUID())
	if err := r.record(ctx, act, record{id: id, stage: audit.StageResponseStarted, received: began, reached: began, status: http.StatusOK}); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotRecorded, err)
	}
	return func(ctx context.Context, status int, detail map[string]string) {
		ended := record{id: id, stage: audit.StageResponseComplete, received: began, reached: r.now(), status: status, detail: detail}
		if err := r.record(context.WithoutCancel(ctx), act, ended); err != nil {
			r.Log.Error(err, "Could not record how something ended", "action", string(act.Action), "user", act.User.Name, "auditID", id)
		}
	}, nil
}

// SignedIn records a log-in by some means. It happened: a failure is logged and
// counted, and stops nobody.
func (r *Recorder) SignedIn(request *http.Request, user auth.User, means string) {
	at := r.now()
	act := Act{Action: Login, User: user, Request: request, Detail: map[string]string{"means": means}}
	done := record{id: string(uuid.NewUUID()), stage: audit.StageResponseComplete, received: at, reached: at, status: http.StatusSeeOther}
	if err := r.record(context.WithoutCancel(request.Context()), act, done); err != nil {
		r.Log.Error(err, "Could not record a log-in", "user", user.Name)
	}
}

func (r *Recorder) now() time.Time { return r.Now().UTC().Truncate(time.Microsecond) }

// record is what differs between the stages of an act.
type record struct {
	id, stage         string
	received, reached time.Time
	status            int
	detail            map[string]string
}

func (r *Recorder) record(ctx context.Context, act Act, rec record) error {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	err := r.store(ctx, act, rec)
	r.Metrics.count(act.Action, err)
	return err
}

func (r *Recorder) store(ctx context.Context, act Act, rec record) error {
	e, err := r.event(act, rec)
	if err != nil {
		return err
	}
	appended, err := r.Writer.Append(ctx, store.Batch{Source: audit.OwnSource, ReceivedAt: r.now(), Events: []audit.Event{*e}})
	switch {
	case err != nil:
		return err
	case appended.Stored != 1:
		return errors.New("the store keeps no event of this time; is the clock right?")
	}
	return nil
}

// event writes the act as an API server would, and reads it as one of its
// events is read.
func (r *Recorder) event(act Act, rec record) (*audit.Event, error) {
	written, err := json.Marshal(r.wire(act, rec), json.Deterministic(true), jsontext.AllowInvalidUTF8(true))
	if err != nil {
		return nil, fmt.Errorf("write the record: %w", err)
	}
	decoder := audit.Decoder{Source: audit.OwnSource, Cluster: r.Cluster, Key: r.Key, Classifier: r.classifier, Now: r.Now}
	var e *audit.Event
	err = decoder.Decode(bytes.NewReader(written), func(item audit.Item) error {
		if item.Event == nil {
			return errors.New("the record is no event: " + item.Quarantined.Reason)
		}
		e = item.Event
		return nil
	})
	if err != nil {
		return nil, err
	}
	// The address that was called says nothing of these, whoever wrote it.
	e.Namespace, e.DryRun, e.Client = namespaceOf(act), audit.DryRunFalse, audit.ClientOperator
	// As a shell is a POST however it begins, so that who leaves GET out of a
	// view still sees what was taken away.
	e.ResourceType, e.Action, e.Method = resourceType, string(act.Action), http.MethodPost
	switch act.Action {
	case View:
		e.Method = http.MethodGet // who leaves GET out wants to see what was changed and taken away
	case Delete:
		e.Method = http.MethodDelete
	}
	return e, nil
}

func namespaceOf(act Act) string {
	if len(act.Namespaces) == 1 {
		return act.Namespaces[0]
	}
	return ""
}

// peer is the address of the connection.
func peer(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

// subject is what an action is about, as an objectRef names it.
func subject(a Action) (resource, subresource string) {
	_, subresource, _ = strings.Cut(string(a), ".")
	switch a {
	case Login:
		return "auditsessions", subresource
	case Download, Delete:
		return "auditsnapshots", subresource
	}
	return "auditlogs", subresource
}
