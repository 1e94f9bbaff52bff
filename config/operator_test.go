package config_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/landlock-lsm/go-landlock/landlock"
	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"k8s.io/utils/ptr"
)

// confined is the argument by which this program becomes another that can
// write to one folder alone.
const confined = "confined"

// becomeConfined is what a read-only root filesystem and a volume leave of a
// disk. The kernel holds the program to it, and all that it starts.
func becomeConfined(dir string, program []string) error {
	err := landlock.V1.RestrictPaths(landlock.RODirs("/"), landlock.RWDirs(dir), landlock.RWFiles("/dev/null"))
	if err != nil {
		return fmt.Errorf("confine the program: %w", err)
	}
	return syscall.Exec(program[0], program, os.Environ())
}

func TestConfined(t *testing.T) {
	inside, outside := t.TempDir(), t.TempDir()
	for dir, may := range map[string]bool{inside: true, outside: false} {
		file := filepath.Join(dir, "file")
		err := exec.CommandContext(t.Context(), os.Args[0], confined, inside, "/bin/sh", "-c", "echo > "+file).Run()
		if _, missing := os.Stat(file); may != (err == nil) || may != (missing == nil) {
			t.Errorf("writing to %s: %v, %v", dir, err, missing)
		}
	}
}

// manager builds the binary once and returns its path.
func manager(t *testing.T) string {
	t.Helper()
	path, err := world.manager()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func buildManager(path string) (string, error) {
	if out, err := exec.CommandContext(context.Background(), "go", "build", "-o", path, "..").CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the manager: %w\n%s", err, out)
	}
	return path, nil
}

// operator is a running manager.
type operator struct {
	process *exec.Cmd
	ended   chan struct{}
	err     error // once it has ended
	log     logBuffer
	addresses
}

// addresses are what an operator listens on.
type addresses struct{ ingest, dashboard, health, metrics string }

func freeAddresses(t *testing.T) addresses {
	t.Helper()
	return addresses{ingest: free(t), dashboard: free(t), health: free(t), metrics: free(t)}
}

// startOperator runs the binary as its Pod would: with the arguments that ship,
// by its service account, with one folder to write to. What it listens on and
// where its data lies is the test's.
func (s *scenario) startOperator(at addresses, env ...string) *operator {
	t := s.t
	t.Helper()
	o := &operator{ended: make(chan struct{}), addresses: at}
	args := slices.Concat([]string{confined, s.dir, manager(t)}, shippedArguments(t, s.backend.installation), []string{
		"--kubeconfig=" + s.kubeconfig,
		"--ingest-url=https://" + o.ingest, "--ingest-bind-address=" + o.ingest,
		"--dashboard-url=http://" + o.dashboard, "--record-views=false", "--dashboard-bind-address=" + o.dashboard,
		"--health-probe-bind-address=" + o.health, "--metrics-bind-address=" + o.metrics,
	}, s.backend.flags(s.dir))
	o.process = exec.CommandContext(context.WithoutCancel(t.Context()), os.Args[0], args...)
	o.process.Dir = "/"
	o.process.Env = append(env, s.backend.env...) // an image has no home and no folder of its own
	o.process.Stdout, o.process.Stderr = &o.log, &o.log
	if err := o.process.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		o.err = o.process.Wait()
		close(o.ended)
	}()
	t.Cleanup(func() { o.stop(t) })
	return o
}

// starts awaits that the operator is ready. Where another process took one of
// its addresses before it did, it starts once more with others.
func (s *scenario) starts() error {
	err := s.becomesReady()
	if err != nil && strings.Contains(s.o.log.String(), syscall.EADDRINUSE.Error()) {
		s.o = s.startOperator(freeAddresses(s.t))
		err = s.becomesReady()
	}
	return err
}

// stop ends the operator as a Pod is ended.
func (o *operator) stop(t *testing.T) {
	t.Helper()
	_ = o.process.Process.Signal(syscall.SIGTERM)
	select {
	case <-o.ended:
	case <-time.After(30 * time.Second):
		t.Error("the operator does not end; it is killed")
		_ = o.process.Process.Kill()
		<-o.ended
	}
}

// shippedArguments are those of the operator's container, with what a kubelet
// puts in.
func shippedArguments(t *testing.T, installation string) []string {
	t.Helper()
	objects := build(t, installation)
	container := templates(t, objects)[operatorName].Spec.Containers[0]
	values := map[string]string{"NAMESPACE": operatorNamespace}
	for _, from := range container.EnvFrom {
		maps.Copy(values, settings(t, objects, from.ConfigMapRef.Name))
	}
	var args []string
	for _, arg := range container.Args {
		for key, value := range values {
			arg = strings.ReplaceAll(arg, "$("+key+")", value)
		}
		if strings.Contains(arg, "$(") {
			t.Errorf("%s is not set by anything", arg)
		}
		args = append(args, arg)
	}
	return args
}

// settings are what a ConfigMap holds.
func settings(t *testing.T, objects []unstructured.Unstructured, name string) map[string]string {
	t.Helper()
	for _, o := range objects {
		if o.GetKind() == "ConfigMap" && o.GetName() == name {
			data, _, err := unstructured.NestedStringMap(o.Object, "data")
			if err != nil {
				t.Fatal(err)
			}
			return data
		}
	}
	t.Fatalf("there is no ConfigMap %s", name)
	return nil
}

// operatorKubeconfig holds a token of the operator's service account and
// nothing else. It reaches the API server at the address.
func operatorKubeconfig(t *testing.T, address string) string {
	t.Helper()
	config := clientcmdapi.NewConfig()
	config.Clusters["c"] = &clientcmdapi.Cluster{Server: address, CertificateAuthorityData: world.config.CAData}
	config.AuthInfos["u"] = &clientcmdapi.AuthInfo{Token: token(t, operatorNamespace, operatorName)}
	config.Contexts["x"] = &clientcmdapi.Context{Cluster: "c", AuthInfo: "u"}
	config.CurrentContext = "x"
	path := filepath.Join(t.TempDir(), "kubeconfig")
	if err := clientcmd.WriteToFile(*config, path); err != nil {
		t.Fatal(err)
	}
	return path
}

func token(t *testing.T, namespace, account string) string {
	t.Helper()
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: ptr.To[int64](3600)}}
	got, err := world.kube.CoreV1().ServiceAccounts(namespace).CreateToken(t.Context(), account, request, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return got.Status.Token
}

// free returns an address of loopback that nothing listens on.
func free(t *testing.T) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// logBuffer holds what a process prints while it prints.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

var errEnded = errors.New("the operator has ended")

// alive returns errEnded, with the last that it said, after its end.
func (o *operator) alive() error {
	select {
	case <-o.ended:
		lines := strings.Split(strings.TrimSpace(o.log.String()), "\n")
		return fmt.Errorf("%w: %s", errEnded, lines[len(lines)-1])
	default:
		return nil
	}
}
