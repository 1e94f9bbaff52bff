package selfaudit

import (
	"net/http"
	"strings"
	"time"

	"github.com/porter-dev/audit-operator/internal/audit"
)

// wireEvent is an event of audit.k8s.io/v1, as far as records use it.
type wireEvent struct {
	Kind                     string            `json:"kind"`
	APIVersion               string            `json:"apiVersion"`
	Level                    string            `json:"level"`
	AuditID                  string            `json:"auditID"`
	Stage                    string            `json:"stage"`
	RequestURI               string            `json:"requestURI"`
	Verb                     string            `json:"verb"`
	User                     wireUser          `json:"user"`
	SourceIPs                []string          `json:"sourceIPs,omitempty"`
	UserAgent                string            `json:"userAgent,omitzero"`
	ObjectRef                wireObject        `json:"objectRef"`
	ResponseStatus           wireStatus        `json:"responseStatus"`
	RequestReceivedTimestamp string            `json:"requestReceivedTimestamp"`
	StageTimestamp           string            `json:"stageTimestamp"`
	Annotations              map[string]string `json:"annotations,omitempty"`
}

type wireUser struct {
	Username string              `json:"username"`
	UID      string              `json:"uid,omitzero"`
	Groups   []string            `json:"groups,omitempty"`
	Extra    map[string][]string `json:"extra,omitempty"`
}

type wireObject struct {
	Resource    string `json:"resource"`
	Namespace   string `json:"namespace,omitzero"`
	Name        string `json:"name,omitzero"`
	APIGroup    string `json:"apiGroup"`
	Subresource string `json:"subresource"`
}

type wireStatus struct {
	Metadata struct{} `json:"metadata"`
	Code     int      `json:"code"`
}

const timeLayout = "2006-01-02T15:04:05.000000Z"

func (r *Recorder) wire(act Act, rec record) wireEvent {
	resource, subresource := subject(act.Action)
	return wireEvent{
		Kind: "Event", APIVersion: "audit.k8s.io/v1", Level: "Metadata",
		AuditID: rec.id, Stage: rec.stage, RequestURI: address(act), Verb: verb(act),
		User:      wireUser{act.User.Name, act.User.UID, act.User.Groups, act.User.Extra},
		SourceIPs: []string{r.ClientAddress(act.Request)}, UserAgent: act.Request.UserAgent(),
		ObjectRef:                wireObject{Resource: resource, Namespace: namespaceOf(act), Name: act.Name, APIGroup: apiGroup, Subresource: subresource},
		ResponseStatus:           wireStatus{Code: rec.status},
		RequestReceivedTimestamp: formatTime(rec.received), StageTimestamp: formatTime(rec.reached),
		Annotations: annotations(act.Detail, rec.detail),
	}
}

func formatTime(t time.Time) string { return t.Format(timeLayout) }

// address is what was called, without host. That of a log-in has no query:
// identity providers send codes in it.
func address(act Act) string {
	if act.Action == Login {
		return act.Request.URL.EscapedPath()
	}
	return act.Request.URL.RequestURI()
}

func verb(act Act) string {
	switch {
	case act.Action == View:
		return "get"
	case act.Request.Method == http.MethodPost:
		return "create"
	case act.Request.Method == http.MethodDelete:
		return "delete"
	}
	return "get"
}

// filterDetail is the detail that holds what somebody typed.
const filterDetail = "filter"

func annotations(details ...map[string]string) map[string]string {
	out := map[string]string{}
	for _, detail := range details {
		for name, value := range detail {
			if name == filterDetail {
				value = strings.TrimPrefix(audit.RedactURI("?"+value), "?")
			}
			out[annotationPrefix+name] = value
		}
	}
	return out
}
