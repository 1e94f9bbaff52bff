package envelope

import (
	"bytes"
	"slices"
)

// viaqLevel is where OpenShift's collector keeps an event's level, since it has
// a level of its own.
const viaqLevel = "k8s_audit_level"

const openshiftLevel = "openshift_audit_level"

// viaq is a record of OpenShift's cluster logging that is no event by itself.
var viaq = format{
	name: "record of OpenShift logging (ViaQ)", advice: "let the pipeline forward the input audit alone, of the sources kubeAPI and openshiftAPI",
	open: func(o object, _ Context) (Content, bool) {
		if !o.has("log_type") && !o.has("log_source") && !o.has("viaq_msg_id") {
			return Content{}, false
		}
		c := Content{Value: o.first("structured", "message"), Skip: viaqSkip(o)}
		return c, c.Value != nil || c.Skip != ""
	},
}

func viaqSkip(o object) string {
	switch o.text("log_source") {
	case "auditd", "ovn":
		return SkippedHost
	}
	switch o.text("log_type") {
	case "application", "infrastructure":
		return SkippedNotAudit
	}
	if o.has("audit.linux") {
		return SkippedHost
	}
	return ""
}

// MayBeViaQ reports whether the members of an event that are none of its own may
// be those of OpenShift's cluster logging.
func MayBeViaQ(unknown []byte) bool {
	return bytes.Contains(unknown, []byte(viaqLevel)) || bytes.Contains(unknown, []byte(openshiftLevel))
}

// fromViaQ are the members that the collector adds to an event.
var fromViaQ = []string{
	"@timestamp", "hostname", "log_type", "log_source", viaqLevel, openshiftLevel, "openshift", "structured", "message", "viaq_msg_id",
	"viaq_index_name", "kubernetes", "pipeline_metadata", "tag", "file", "source_type", "timestamp", "host",
}

// FromViaQ returns the event of a record of OpenShift's cluster logging, as the
// API server wrote it; false for one of another kind.
func FromViaQ(record []byte) (event []byte, ok bool) {
	o, ok := parseObject(record)
	level := o.value(viaqLevel)
	if level == nil {
		level = o.value(openshiftLevel)
	}
	if !ok || level == nil {
		return nil, false
	}
	for _, m := range o {
		switch {
		case m.name == "level", slices.Contains(fromViaQ, m.name):
		case m.name == "auditID":
			event = appendMember(event, "level", level)
			fallthrough
		default:
			event = appendMember(event, m.name, m.value)
		}
	}
	if !o.has("auditID") {
		event = appendMember(event, "level", level)
	}
	return append(event, '}'), true
}
