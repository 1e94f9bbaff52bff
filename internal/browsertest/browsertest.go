// Package browsertest drives a real Chromium through the pages, as people do:
// it clicks, types and looks, in any theme and width, with and without scripts.
//
// One browser serves all tests of a package; each test has a profile of its
// own, without cookies. A test fails by itself when the browser complains: on
// an exception, an error in the console, a breach of the content security
// policy, a dialog, or a request to anything but this machine.
package browsertest

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"sync"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/porter-dev/audit-operator/internal/webtest"
)

// Main makes the world, runs a package's tests in it, ends the browser and the
// process.
func Main(m *testing.M, world *webtest.World) {
	code := webtest.Run(m, world)
	chromium.end()
	os.Exit(code)
}

// chromium is the one process that every tab is in, once the first is open.
var chromium process

type process struct {
	mu   sync.Mutex
	ctx  context.Context
	ends []context.CancelFunc
}

// Chromium returns the path of the browser.
func Chromium() (string, error) {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil {
			return found, nil
		}
	}
	return "", errors.New("there is no Chromium: apt-get install chromium, or run make test as root, which installs it")
}

func (p *process) start() (context.Context, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ctx != nil {
		return p.ctx, nil
	}
	path, err := Chromium()
	if err != nil {
		return nil, err
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-domain-reliability", true), chromedp.Flag("no-pings", true),
		// No name but this machine's address can be found, so nothing can leave it.
		chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"))
	allocator, endAllocator := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, end := chromedp.NewContext(allocator)
	if err := chromedp.Do(ctx); err != nil {
		end()
		endAllocator()
		return nil, err
	}
	p.ctx, p.ends = ctx, []context.CancelFunc{end, endAllocator}
	return p.ctx, nil
}

func (p *process) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, end := range p.ends {
		end()
	}
	p.ctx, p.ends = nil, nil
}
