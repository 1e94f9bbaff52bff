package manager

import (
	"context"
	"net"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/cache"
)

// What waits for an API server that is away holds up no end.
func TestCacheEndsWithoutAPIServer(t *testing.T) {
	refused := make(chan struct{}, 100)
	listener, err := listen(t.Context(), "127.0.0.1:0", "--test")
	if err != nil {
		t.Fatal(err)
	}
	if err := listener.Close(); err != nil { // nobody answers there
		t.Fatal(err)
	}
	config := &rest.Config{Host: "http://" + listener.Addr().String(), Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
		refused <- struct{}{}
		return conn, err
	}}
	mapper := meta.NewDefaultRESTMapper(nil)
	mapper.Add(corev1.SchemeGroupVersion.WithKind("Secret"), meta.RESTScopeNamespace)
	c, err := newCancellableCache(config, cache.Options{Scheme: clientgoscheme.Scheme, Mapper: mapper})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- c.Start(ctx) }()
	if _, err := c.GetInformer(ctx, &corev1.Secret{}, cache.BlockUntilSynced(false)); err != nil {
		t.Fatal(err)
	}
	for range 3 { // it waits twice as long each time, now for 3 seconds at least
		<-refused
	}
	cancel()
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(time.Second):
		t.Error("the cache still waits for the API server")
	}
}
