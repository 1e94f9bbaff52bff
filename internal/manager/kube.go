package manager

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/go-logr/logr"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/porter-dev/audit-operator/api/v1alpha1"
	"github.com/porter-dev/audit-operator/internal/auth"
	"github.com/porter-dev/audit-operator/internal/collector/webhook"
	"github.com/porter-dev/audit-operator/internal/query"
	"github.com/porter-dev/audit-operator/internal/store"
	"github.com/porter-dev/audit-operator/internal/version"
)

// gracefulShutdown bounds the end of the controllers. What one holds that waits
// for the API server is not worth the time that a Pod is given to end.
const gracefulShutdown = 10 * time.Second

// kubeClients reach the operator's own cluster.
type kubeClients struct {
	config *rest.Config
	scheme *runtime.Scheme
	kube   kubernetes.Interface
	api    client.Client // without a cache
	clock  *serverClock
	user   string // by which the operator's requests are known among the events
}

func newKubeClients(ctx context.Context) (*kubeClients, error) {
	config, err := ctrl.GetConfig()
	if err != nil {
		return nil, fmt.Errorf("find the API server: %w", err)
	}
	config.QPS, config.Burst = 100, 200
	config.UserAgent = "audit-operator/" + version.Version
	c := &kubeClients{config: config, scheme: runtime.NewScheme(), clock: &serverClock{}}
	c.clock.watch(config)
	if err := errors.Join(clientgoscheme.AddToScheme(c.scheme), v1alpha1.AddToScheme(c.scheme)); err != nil {
		return nil, err
	}
	if c.kube, err = kubernetes.NewForConfig(config); err != nil {
		return nil, err
	}
	if c.api, err = client.New(config, client.Options{Scheme: c.scheme}); err != nil {
		return nil, fmt.Errorf("reach the API server: %w", err)
	}
	review, err := c.kube.AuthenticationV1().SelfSubjectReviews().Create(ctx, &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
	if err != nil {
		return nil, fmt.Errorf("ask the API server who the operator is: %w", err)
	}
	c.user = review.Status.UserInfo.Username
	return c, nil
}

// What may be asked of the API server in a second about callers, and at once
// after a quiet time. Each has limits of its own: neither do people keep the
// controllers waiting nor the controllers people, a caller whose namespaces are
// looked for keeps nobody waiting who names one, and who makes tokens up keeps
// nobody waiting who is signed in. A caller that is known costs three reviews in
// ten seconds, a token that isn't one; a search asks about each namespace.
const (
	reviewsQPS, reviewsBurst             = 200, 400
	unknownTokenQPS, unknownTokenBurst   = 100, 200
	namespaceScanQPS, namespaceScanBurst = 200, 1000
)

// callers returns what finds out who callers are and what they may see.
func (c *kubeClients) callers(name string) (*auth.Auth, error) {
	limited := func(qps float32, burst int) *rest.Config {
		config := rest.CopyConfig(c.config)
		config.QPS, config.Burst = qps, burst
		return config
	}
	reviews, err := kubernetes.NewForConfig(limited(reviewsQPS, reviewsBurst))
	if err != nil {
		return nil, err
	}
	strangers, err := kubernetes.NewForConfig(limited(unknownTokenQPS, unknownTokenBurst))
	if err != nil {
		return nil, err
	}
	searches := limited(namespaceScanQPS, namespaceScanBurst)
	finder, err := kubernetes.NewForConfig(searches)
	if err != nil {
		return nil, err
	}
	lister, err := metadata.NewForConfig(searches)
	if err != nil {
		return nil, err
	}
	return auth.New(reviews, auth.Options{Cluster: name, Finder: finder, Strangers: strangers, Namespaces: func(ctx context.Context) ([]query.Namespace, error) {
		// One more than are looked at says that there are too many.
		list, err := lister.Resource(corev1.SchemeGroupVersion.WithResource("namespaces")).List(ctx, metav1.ListOptions{Limit: auth.MaxNamespaces + 1})
		if err != nil {
			return nil, err
		}
		found := make([]query.Namespace, 0, len(list.Items))
		for _, ns := range list.Items {
			found = append(found, query.Namespace{Name: ns.Name, Since: ns.CreationTimestamp.Time})
		}
		return found, nil
	}}), nil
}

// cached says what a cache holds: of Secrets the operator may read those of its
// own namespace alone.
func (c *kubeClients) cached(namespace string) cache.Options {
	return cache.Options{ByObject: map[client.Object]cache.ByObject{
		&corev1.Secret{}: {Namespaces: map[string]cache.Config{namespace: {}}},
	}}
}

// cancellableCache ends with its context. What fills a cache waits up to a minute
// for an API server that is away, whatever its context says, and holds nothing
// that would be lost.
type cancellableCache struct{ cache.Cache }

func newCancellableCache(config *rest.Config, opts cache.Options) (cache.Cache, error) {
	filled, err := cache.New(config, opts)
	return cancellableCache{filled}, err
}

// Start implements cache.Cache.
func (c cancellableCache) Start(ctx context.Context) error {
	ended := make(chan error, 1)
	go func() { ended <- c.Cache.Start(ctx) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
		return nil
	}
}

// newManager returns the manager of what every replica does; the leader has
// one of its own.
func newManager(c *kubeClients, callers *auth.Auth, o *options) (ctrl.Manager, error) {
	mgr, err := ctrl.NewManager(c.config, ctrl.Options{
		Scheme: c.scheme,
		// Who scrapes proves who they are, as at every other door.
		Metrics: metricsserver.Options{
			BindAddress: o.metricsAddress, SecureServing: true, ExtraHandlers: pprofHandlers(),
			FilterProvider: func(*rest.Config, *http.Client) (metricsserver.Filter, error) {
				return func(_ logr.Logger, next http.Handler) (http.Handler, error) { return callers.Guard(next), nil }, nil
			},
		},
		HealthProbeBindAddress:  o.healthAddress,
		GracefulShutdownTimeout: ptr.To(gracefulShutdown),
		NewCache:                newCancellableCache,
		Cache:                   c.cached(o.namespace),
	})
	if err != nil {
		return nil, fmt.Errorf("set up the manager: %w", err)
	}
	return mgr, mgr.AddHealthzCheck("ping", healthz.Ping)
}

// addChecks has ready mean that a delivery would be taken, and be durable, and
// healthy that it may be again without another process.
func addChecks(mgr ctrl.Manager, events store.Store, in *ingest) error {
	return errors.Join(
		mgr.AddHealthzCheck("store", func(*http.Request) error { return events.Live() }),
		mgr.AddReadyzCheck("store", func(r *http.Request) error { return events.Ready(r.Context()) }),
		mgr.AddReadyzCheck("collector", webhook.Probe(in.listener.Addr(), in.issuer.IngestHost(), in.issuer.ClientCAs)),
	)
}
