package envelope

// dockerLog is a line as container runtimes and Fluent Bit have it.
var dockerLog = format{
	name: "line of a container's log (docker json-file, Fluent Bit)", advice: "let the shipper send the audit log alone, and whole lines",
	open: func(o object, _ Context) (Content, bool) {
		v := o.first("log", "log_processed")
		return Content{Value: v}, v != nil
	},
}

// messageLog is a line as Vector, Fluentd, Logstash and exports of Graylog have it.
var messageLog = format{
	name: "line of a log (Vector, Fluentd)", advice: "let the shipper send the audit log alone, and whole lines",
	open: func(o object, _ Context) (Content, bool) {
		v := o.value("message")
		return Content{Value: v}, v != nil
	},
}

// gelf is Graylog's message.
var gelf = format{
	name: "GELF message", advice: "let the input send the audit log alone, with the event in full_message",
	open: func(o object, _ Context) (Content, bool) {
		if !o.has("short_message") && !o.has("full_message") {
			return Content{}, false
		}
		return Content{Value: o.first("full_message", "short_message", "message")}, true
	},
}

// elastic is a document of the Elastic Common Schema. The text is the event as
// it was; the object's names may have been changed on the way.
var elastic = format{
	name: "document of the Elastic Common Schema", advice: "let the agent keep event.original",
	open: func(o object, _ Context) (Content, bool) {
		if inner := o.object("_source"); inner != nil {
			return Content{Value: o.value("_source")}, true
		}
		original := o.object("event").value("original")
		if original == nil {
			original = o.value("event.original")
		}
		event := o.object("kubernetes").value("audit")
		if event == nil {
			event = o.value("kubernetes.audit")
		}
		switch {
		case LooksJSON(original):
			return Content{Value: original}, true
		case event != nil:
			return Content{Value: event}, true
		}
		return Content{Value: original}, original != nil
	},
}
