package manager

import (
	"io"
	"testing"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/api/resource"
	"sigs.k8s.io/yaml"

	"github.com/porter-dev/audit-operator/internal/storeurl"
)

// shippedOptions are the defaults of the flags.
func shippedOptions(t *testing.T) *options {
	t.Helper()
	o := &options{}
	if err := o.flags(io.Discard).Parse(nil); err != nil {
		t.Fatal(err)
	}
	return o
}

// shippedLimit is the memory limit of the StatefulSet.
func shippedLimit(t *testing.T) int64 {
	t.Helper()
	var set struct {
		Spec struct {
			Template struct {
				Spec struct {
					Containers []struct {
						Resources struct{ Limits map[string]string }
					}
				}
			}
		}
	}
	if err := yaml.Unmarshal([]byte(readText(t, "../../config/manager/statefulset.yaml")), &set); err != nil {
		t.Fatal(err)
	}
	limit, err := resource.ParseQuantity(set.Spec.Template.Spec.Containers[0].Resources.Limits["memory"])
	if err != nil {
		t.Fatal(err)
	}
	return limit.Value()
}

// All that the operator may take at once, as it is shipped, is below the limit
// that it is shipped with, and what Go leaves is enough for DuckDB.
func TestShippedMemoryAddsUp(t *testing.T) {
	o, limit := shippedOptions(t), shippedLimit(t)
	p := planMemory(limit, o)
	if p.needed > limit {
		t.Errorf("the operator may need %d MiB, and the limit is %d MiB", p.needed>>20, limit>>20)
	}
	if p.database != maxDatabase || p.golang+p.database*5/4 > limit {
		t.Errorf("DuckDB has %d MiB and Go %d MiB of %d", p.database>>20, p.golang>>20, limit>>20)
	}
	o.maxBytesInFlight += limit - p.needed + 1
	if again := planMemory(limit, o); again.needed <= limit {
		t.Errorf("--max-bytes-in-flight=%d is not noticed to be too much", o.maxBytesInFlight)
	}
}

func TestPlanMemory(t *testing.T) {
	const mib = 1 << 20
	for _, tt := range []struct {
		name             string
		limit            int64
		store            string
		database, golang int64
	}{
		{"no limit", 0, storeurl.Embedded, 512 * mib, 0},
		{"shipped", 2048 * mib, storeurl.Embedded, 512 * mib, 1312 * mib},
		{"small", 1024 * mib, storeurl.Embedded, 256 * mib, 608 * mib},
		{"tiny", 256 * mib, storeurl.Embedded, 64 * mib, 128 * mib},
		{"large", 8192 * mib, storeurl.Embedded, 512 * mib, 7456 * mib},
		{"PostgreSQL", 1024 * mib, "postgres://db", 0, 928 * mib},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := shippedOptions(t)
			o.store = tt.store
			if p := planMemory(tt.limit, o); p.database != tt.database || p.golang != tt.golang {
				t.Errorf("DuckDB has %d MiB and Go %d, want %d and %d", p.database/mib, p.golang/mib, tt.database/mib, tt.golang/mib)
			}
		})
	}
	if limit := memoryLimit(logr.Discard()); limit < 0 {
		t.Errorf("the limit of this machine is %d", limit)
	}
}
