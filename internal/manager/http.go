package manager

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/sync/errgroup"
	"sigs.k8s.io/controller-runtime/pkg/certwatcher"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/porter-dev/audit-operator/controllers"
	"github.com/porter-dev/audit-operator/internal/auth"
	"github.com/porter-dev/audit-operator/internal/dashboard"
	"github.com/porter-dev/audit-operator/internal/door"
	"github.com/porter-dev/audit-operator/internal/login"
	"github.com/porter-dev/audit-operator/internal/selfaudit"
	"github.com/porter-dev/audit-operator/internal/store"
	"github.com/porter-dev/audit-operator/internal/web"
)

func newPages(ctx context.Context, events store.Store, in *ingest, callers *auth.Auth, deleted func(store.Owner), doors *door.Watch, o *options, log logr.Logger) (http.Handler, *selfaudit.Views, error) {
	hash, block, err := in.issuer.SessionKeys(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("prepare the dashboard's session keys: %w", err)
	}
	oidc, proxy := o.login.providers()
	recorder, err := selfaudit.New(selfaudit.Options{
		Writer: events, Key: events.Key(), Cluster: o.clusterName, ClientAddress: proxy.ClientAddress, Metrics: selfaudit.NewMetrics(metrics.Registry), Log: log.WithName("selfaudit"),
	})
	if err != nil {
		return nil, nil, err
	}
	var views *selfaudit.Views
	if o.recordViews {
		views = selfaudit.NewViews(recorder)
	}
	authenticator, err := login.New(login.Options{
		Auth: callers, Sessions: events, HashKey: hash, BlockKey: block, Secure: o.secure(), Lifetime: o.login.lifetime, OIDC: oidc, Proxy: proxy, Log: log.WithName("login"),
		SignedIn: func(r *http.Request, user auth.User, means login.Means) { recorder.SignedIn(r, user, string(means)) },
		Refused:  func(r *http.Request, means login.Means) { views.Refused(r, string(means)) },
	})
	if err != nil {
		return nil, nil, err
	}
	pages, err := web.New(web.Options{
		Store: events, Auth: callers, Login: authenticator, Records: recorder, Views: views, Deleted: deleted, Types: resourceTypeChoices(in.types),
		Retention: o.retention, HTTPS: o.secure(), Doors: doors, Log: log,
	})
	return pages, views, err
}

func resourceTypeChoices(types *controllers.ResourceTypes) func() []dashboard.ResourceType {
	return func() []dashboard.ResourceType {
		var out []dashboard.ResourceType
		for _, t := range types.All() {
			out = append(out, dashboard.ResourceType{Name: t.Name, DisplayName: t.DisplayName, Description: t.Description})
		}
		return out
	}
}

func servePages(ctx context.Context, pages http.Handler, o *options, log logr.Logger) error {
	server := &http.Server{
		Handler: pages, ReadHeaderTimeout: 10 * time.Second, // internal/web bounds the reading of bodies
		WriteTimeout: 5 * time.Minute, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
	}
	listener, err := listen(ctx, o.dashboardAddress, "--dashboard-bind-address")
	if err != nil {
		return err
	}
	if o.dashboardCert == "" {
		return serve(ctx, server, o.drainTimeout, log, func() error { return server.Serve(listener) })
	}
	files, err := certwatcher.New(o.dashboardCert, o.dashboardKey)
	if err != nil {
		return fmt.Errorf("--dashboard-tls-cert-file, --dashboard-tls-key-file: %w", err)
	}
	server.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: files.GetCertificate}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return files.Start(ctx) })
	group.Go(func() error {
		return serve(ctx, server, o.drainTimeout, log, func() error { return server.ServeTLS(listener, "", "") })
	})
	return group.Wait()
}
