package envelope

import "strings"

const azureAdvice = "let the diagnostic setting export kube-audit or kube-audit-admin alone"

// azureLog is a record of a resource's log, as Event Hub and storage accounts
// have it.
var azureLog = format{
	name: "Azure resource log", advice: azureAdvice,
	open: func(o object, _ Context) (Content, bool) {
		properties := o.value("properties")
		if properties == nil || !o.has("category") && !o.has("operationName") && !o.has("resourceId") {
			return Content{}, false
		}
		c := Content{Value: properties, Skip: categorySkip(o.text("category"))}
		inner, ok := parseObject(properties)
		if text, isText := unquote(properties); isText {
			inner, ok = parseObject(trimText(text))
		}
		if ok && inner.has("log") {
			c.Value = inner.value("log")
		}
		return c, true
	},
}

// categorySkip knows the audit log by its two categories. A record without one
// may be anything.
func categorySkip(category string) string {
	if category == "" || strings.HasPrefix(strings.ToLower(category), "kube-audit") {
		return ""
	}
	return SkippedStream
}

// azureDiagnostics is a row of the table AzureDiagnostics.
var azureDiagnostics = format{
	name: "row of AzureDiagnostics", advice: azureAdvice,
	open: func(o object, _ Context) (Content, bool) {
		return Content{Value: o.value("log_s"), Skip: categorySkip(o.text("Category"))}, o.has("log_s")
	},
}

// azureColumns are those of the tables AKSAudit and AKSAuditAdmin that an event
// has, by its own names.
var azureColumns = []struct{ column, field string }{
	{"Level", "level"}, {"AuditId", "auditID"}, {"Stage", "stage"}, {"RequestUri", "requestURI"}, {"Verb", "verb"},
	{"User", "user"}, {"ImpersonatedUser", "impersonatedUser"}, {"SourceIps", "sourceIPs"}, {"UserAgent", "userAgent"},
	{"ObjectRef", "objectRef"}, {"ResponseStatus", "responseStatus"}, {"RequestObject", "requestObject"}, {"ResponseObject", "responseObject"},
	{"RequestReceivedTime", "requestReceivedTimestamp"}, {"StageReceivedTime", "stageTimestamp"}, {"Annotations", "annotations"},
}

// azureTable is a row of AKSAudit: the event, with its members renamed. Objects
// may stand there as texts.
var azureTable = format{
	name: "row of AKSAudit", advice: "export the table with all of its columns",
	open: func(o object, _ Context) (Content, bool) {
		if !o.has("AuditId") || !o.has("Stage") || !o.has("RequestUri") {
			return Content{}, false
		}
		var event []byte
		for _, c := range azureColumns {
			value := o.value(c.column)
			if text, ok := unquote(value); ok {
				if len(text) == 0 {
					continue
				}
				if text := trimText(text); len(text) > 0 && (text[0] == '{' || text[0] == '[') && valueLength(text) == len(text) && c.field != "requestURI" {
					value = text
				}
			}
			if value != nil {
				event = appendMember(event, c.field, value)
			}
		}
		return Content{Value: append(event, '}')}, true
	},
}

// appendMember adds a member to an object that is not closed yet.
func appendMember(b []byte, name string, value []byte) []byte {
	if len(b) == 0 {
		b = append(b, '{')
	} else {
		b = append(b, ',')
	}
	return append(append(append(b, quote(name)...), ':'), value...)
}
