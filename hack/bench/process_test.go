package bench

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// usage is what the operator's process takes of the machine.
type usage struct {
	cpu            time.Duration
	resident, peak int64 // bytes
}

var memory = regexp.MustCompile(`(VmHWM|VmRSS):\s+(\d+) kB`)

func (o *operator) usage() (usage, error) {
	var u usage
	folder := "/proc/" + strconv.Itoa(o.cluster.OperatorPID())
	status, err := os.ReadFile(folder + "/status")
	if err != nil {
		return u, err
	}
	for _, match := range memory.FindAllSubmatch(status, -1) {
		kilobytes, err := strconv.ParseInt(string(match[2]), 10, 64)
		if err != nil {
			return u, err
		}
		if string(match[1]) == "VmHWM" {
			u.peak = kilobytes << 10
		} else {
			u.resident = kilobytes << 10
		}
	}
	stat, err := os.ReadFile(folder + "/stat")
	if err != nil {
		return u, err
	}
	// After the name: state is the first field, user and system time the
	// twelfth and thirteenth, in hundredths of a second.
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	for _, field := range fields[11:13] {
		ticks, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return u, err
		}
		u.cpu += time.Duration(ticks) * 10 * time.Millisecond
	}
	return u, nil
}

func (o *operator) reportMemory(b *testing.B) {
	u, err := o.usage()
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(u.resident>>20), "resident-MiB")
	b.ReportMetric(float64(u.peak>>20), "peak-MiB")
}

// page gets one of the dashboard.
func (o *operator) page(ctx context.Context, path string) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, o.cluster.DashboardURL()+path, nil)
	if err != nil {
		return "", err
	}
	request.Header.Set("Authorization", "Bearer "+o.token)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s answers %s", path, response.Status)
	}
	return string(body), err
}
