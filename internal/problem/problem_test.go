package problem

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/porter-dev/audit-operator/internal/auth"
	"github.com/porter-dev/audit-operator/internal/export"
	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/store"
)

func TestOf(t *testing.T) {
	own := Problem{Kind: TooLarge, Status: 413, Title: "x", Detail: "y"}
	for _, tt := range []struct {
		err    error
		kind   Kind
		status int
		fields []Field
	}{
		{own, TooLarge, 413, nil},
		{fmt.Errorf("wrapped: %w", own), TooLarge, 413, nil},
		{&query.FieldError{Field: "ip", Value: "x", Problem: "is none"}, Invalid, 400, []Field{{"ip", "x", "is none"}}},
		{errors.Join(&query.FieldError{Field: "ip", Problem: "a"}, errors.Join(&query.FieldError{Field: "to", Problem: "b"})), Invalid, 400, []Field{{"ip", "", "a"}, {"to", "", "b"}}},
		{query.ErrCursor, Invalid, 400, []Field{{Reason: query.ErrCursor.Error()}}},
		{auth.ErrUnauthenticated, Unauthenticated, 401, nil},
		{fmt.Errorf("%w: the role of bob is gone", auth.ErrForbidden), Forbidden, 403, nil},
		{auth.ErrNamespaceNeeded, NamespaceNeeded, 403, nil},
		{store.ErrNotFound, NotFound, 404, nil},
		{fmt.Errorf("secret: %w", store.ErrUnavailable), Unavailable, 503, nil},
		{store.ErrOverloaded, Unavailable, 503, nil},
		{store.ErrClosed, Unavailable, 503, nil},
		{fmt.Errorf("secret: %w", store.ErrBusy), Unavailable, 503, nil},
		{context.DeadlineExceeded, Unavailable, 503, nil},
		{fmt.Errorf("secret: %w", auth.ErrNoAnswer), Unavailable, 503, nil},
		{export.ErrCrossSite, CrossOrigin, 403, nil},
		{errors.New("secret of the driver"), Internal, 500, nil},
	} {
		p := Of(tt.err)
		if p.Kind != tt.kind || p.Status != tt.status || p.Title == "" || p.Detail == "" {
			t.Errorf("%v is %+v, want %s, %d", tt.err, p, tt.kind, tt.status)
		}
		if diff := cmp.Diff(tt.fields, p.Fields); diff != "" {
			t.Errorf("%v: %s", tt.err, diff)
		}
		if strings.Contains(fmt.Sprint(p), "secret") || strings.Contains(fmt.Sprint(p), "bob") {
			t.Errorf("%v: the problem tells too much: %v", tt.err, p)
		}
	}
}

// What ran out of time while rights were checked says nothing of the events,
// and what passes by itself says when to come back.
func TestOfWhatPasses(t *testing.T) {
	for _, tt := range []struct {
		err     error
		detail  string
		seconds string
	}{
		{fmt.Errorf("%w: %w", auth.ErrNoAnswer, context.DeadlineExceeded), "rights can't be checked", "5"},
		{fmt.Errorf("%w: %w", store.ErrUnavailable, context.DeadlineExceeded), "events can't be read", "5"},
		{export.ErrBusy, "may at once", "10"},
		{export.ErrYourOthers, "may at once", "10"},
		{fmt.Errorf("view events: %w", store.ErrBusy), "Try again shortly", "5"},
		{store.ErrNotFound, "nothing here", ""},
	} {
		p, h := Of(tt.err), http.Header{}
		p.WriteRetryAfter(h)
		if !strings.Contains(p.Detail, tt.detail) || h.Get("Retry-After") != tt.seconds {
			t.Errorf("%v: %q, to come back after %q s", tt.err, p.Detail, h.Get("Retry-After"))
		}
	}
}
