package demo

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"strings"
	"time"

	"github.com/porter-dev/audit-operator/hack/devenv/cluster"
	"github.com/porter-dev/audit-operator/internal/audit"
)

// logReader reads what an API server wrote down beside sending it.
type logReader struct {
	path    string
	decoder audit.Decoder
}

func newLogReader(c *cluster.Cluster, s cluster.APIServer) (logReader, error) {
	source, err := c.Source(s)
	if err != nil {
		return logReader{}, err
	}
	classifier, err := audit.NewClassifier(audit.BuiltInResourceTypes(), cluster.OperatorUser)
	if err != nil {
		return logReader{}, err
	}
	decoder := audit.Decoder{Source: source.Name, Cluster: source.Spec.Cluster, Classifier: classifier}
	return logReader{path: c.AuditLog(s), decoder: decoder}, nil
}

// trace tells events apart by what their API servers wrote: the identities that
// the operator gives them depend on a key of its store.
func trace(source, auditID, stage string, stageAt time.Time) string {
	return strings.Join([]string{source, auditID, stage, stageAt.UTC().Format(time.RFC3339Nano)}, " ")
}

func traceOf(e *audit.Event) string { return trace(e.Source, e.AuditID, e.Stage, e.StageAt) }

// read returns the distinct events of the log as it is now, by their traces.
func (l *logReader) read() (map[string]*audit.Event, error) {
	data, err := os.ReadFile(l.path)
	if err != nil {
		return nil, err
	}
	// The last line may still be in the writing.
	data = data[:bytes.LastIndexByte(data, '\n')+1]
	events := map[string]*audit.Event{}
	err = l.decoder.Decode(bytes.NewReader(data), func(item audit.Item) error {
		if item.Event == nil {
			return fmt.Errorf("%s holds what is no event: %+v", l.path, item.Quarantined)
		}
		events[traceOf(item.Event)] = item.Event
		return nil
	})
	return events, err
}

// logs are those of the API servers.
type logs struct {
	readers []logReader
	stopped interval // when the API servers were stopped
}

type interval struct{ from, to time.Time }

func newLogs(c *cluster.Cluster) (logs, error) {
	var l logs
	for _, s := range cluster.APIServers {
		reader, err := newLogReader(c, s)
		if err != nil {
			return logs{}, err
		}
		l.readers = append(l.readers, reader)
	}
	return l, nil
}

// read returns the distinct events of all logs as they are now.
func (l *logs) read() (map[string]*audit.Event, error) {
	all := map[string]*audit.Event{}
	for i := range l.readers {
		events, err := l.readers[i].read()
		if err != nil {
			return nil, err
		}
		maps.Copy(all, events)
	}
	return all, nil
}

// unsent reports whether an event is the end of a watch that an API server's
// own end brought about. It logs these after it has closed its webhook and
// never sends them.
func (l *logs) unsent(e *audit.Event) bool {
	return e.Verb == "watch" && e.Stage == audit.StageResponseComplete &&
		!e.StageAt.Before(l.stopped.from) && e.StageAt.Before(l.stopped.to)
}
