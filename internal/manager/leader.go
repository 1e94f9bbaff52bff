package manager

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/util/uuid"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	controllerconfig "sigs.k8s.io/controller-runtime/pkg/config"
	ctrlmanager "sigs.k8s.io/controller-runtime/pkg/manager"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/porter-dev/audit-operator/controllers"
)

// +kubebuilder:rbac:groups=coordination.k8s.io,namespace=audit-system,resources=leases,verbs=get;create;update

// The lease says which replica leads. One that goes without a word is followed
// after leaseDuration; one that can't renew its lease stops before that.
const (
	leaseName     = "audit-operator"
	leaseDuration = 15 * time.Second
	renewDeadline = 10 * time.Second
	retryPeriod   = 2 * time.Second
)

// leader does what one replica does for all.
type leader struct {
	kube      *kubeClients
	namespace string // of the lease
	store     *openedStore
	options   controllers.Options
	log       logr.Logger
}

// run leads until ctx ends: at once where there is one replica, else whenever
// this one holds the lease. A replica whose term ends before, because the API
// server is away or whatever fails, goes on with what every replica does, and
// stands for the next one.
func (l *leader) run(ctx context.Context) error {
	if !l.store.shared {
		return l.term(ctx, nil)
	}
	lock, err := l.lock()
	if err != nil {
		return err
	}
	for {
		err := l.term(ctx, lock)
		if ctx.Err() != nil {
			return err
		}
		l.log.Error(err, "Lost the leader lease; retrying")
		select {
		case <-ctx.Done():
		case <-time.After(retryPeriod):
		}
	}
}

func (l *leader) lock() (resourcelock.Interface, error) {
	host, err := os.Hostname()
	if err != nil {
		return nil, fmt.Errorf("name this replica: %w", err)
	}
	// Without a recorder, Events about the lease need no right of their own.
	identity := resourcelock.ResourceLockConfig{Identity: host + "_" + string(uuid.NewUUID())}
	return resourcelock.NewFromKubeconfig(resourcelock.LeasesResourceLock, l.namespace, leaseName, identity, l.kube.config, renewDeadline)
}

// term leads until ctx ends or the lease is lost. It waits for the lease, and
// gives it back after the last thing that it protects has ended.
func (l *leader) term(ctx context.Context, lock resourcelock.Interface) error {
	mgr, err := ctrl.NewManager(l.kube.config, ctrl.Options{
		Scheme:  l.kube.scheme,
		Metrics: metricsserver.Options{BindAddress: "0"}, // the followers' manager serves them
		// Each term has controllers of the same names.
		Controller:                          controllerconfig.Controller{SkipNameValidation: ptr.To(true)},
		NewCache:                            newCancellableCache,
		Cache:                               l.kube.cached(l.namespace),
		GracefulShutdownTimeout:             ptr.To(gracefulShutdown),
		LeaderElection:                      lock != nil,
		LeaderElectionID:                    leaseName,
		LeaderElectionResourceLockInterface: lock,
		LeaderElectionReleaseOnCancel:       true,
		LeaseDuration:                       ptr.To(leaseDuration),
		RenewDeadline:                       ptr.To(renewDeadline),
		RetryPeriod:                         ptr.To(retryPeriod),
	})
	if err != nil {
		return fmt.Errorf("set up the leader's manager: %w", err)
	}
	if err := controllers.Lead(mgr, l.options); err != nil {
		return fmt.Errorf("set up the controllers: %w", err)
	}
	for _, duty := range []ctrlmanager.RunnableFunc{l.createTypes, l.store.maintain} {
		if err := mgr.Add(duty); err != nil {
			return err
		}
	}
	return mgr.Start(ctx)
}

// createTypes makes the built-in types' objects, without which they are in force too.
func (l *leader) createTypes(ctx context.Context) error {
	if err := controllers.CreateBuiltInTypes(ctx, l.kube.api); err != nil && ctx.Err() == nil {
		l.log.Error(err, "Some built-in resource types have no object; they are in force without it")
	}
	return nil
}
