package envelope

import "strings"

const cloudWatchAdvice = "let the subscription's filter pass the streams kube-apiserver-audit-* alone"

// lambda is the event of a Lambda function that a subscription calls.
var lambda = format{
	name: "CloudWatch Logs event of Lambda", advice: cloudWatchAdvice,
	open: func(o object, _ Context) (Content, bool) {
		data := o.object("awslogs").value("data")
		return Content{Value: data, Base64: true}, data != nil
	},
}

// kinesis is a record of a stream, as Lambda gets it.
var kinesis = format{
	name: "Kinesis record", advice: cloudWatchAdvice,
	open: func(o object, _ Context) (Content, bool) {
		data := o.object("kinesis").value("data")
		return Content{Value: data, Base64: true}, data != nil
	},
}

// firehose is a record of a delivery, or of a transformation by Lambda.
var firehose = format{
	name: "Firehose record", advice: cloudWatchAdvice,
	open: func(o object, _ Context) (Content, bool) {
		data := o.value("data")
		return encoded(data), data != nil
	},
}

// encoded is what stands under "data": base64, unless it is JSON as it is.
func encoded(data []byte) Content {
	return Content{Value: data, Base64: !LooksJSON(data)}
}

// cloudWatchEvent is one of logEvents, and one of events as filter-log-events
// and the console give them.
var cloudWatchEvent = format{
	name: "CloudWatch Logs event", advice: cloudWatchAdvice,
	open: func(o object, in Context) (Content, bool) {
		stream := o.text("logStreamName")
		if !o.has("message") || in.List != "logEvents" && stream == "" && !o.has("ingestionTime") {
			return Content{}, false
		}
		c := Content{Value: o.value("message"), Skip: streamSkip(stream)}
		if strings.HasPrefix(o.text("message"), "CWL CONTROL MESSAGE") {
			c.Skip = SkippedControl
		}
		return c, true
	},
}

// subscriptionSkip says of the events of a subscription's message why those that
// are no audit events are none that matter.
func subscriptionSkip(o object) string {
	if o.text("messageType") == "CONTROL_MESSAGE" {
		return SkippedControl
	}
	return streamSkip(o.text("logStream"))
}

// streamSkip knows the streams of a control plane's group. All but those of the
// audit log hold lines of other components.
func streamSkip(stream string) string {
	if strings.HasPrefix(stream, "kube-apiserver-audit") {
		return ""
	}
	for _, other := range []string{"authenticator-", "kube-apiserver-", "kube-scheduler-", "kube-controller-manager-", "cloud-controller-manager-"} {
		if strings.HasPrefix(stream, other) {
			return SkippedStream
		}
	}
	return ""
}
