package audit

import (
	"strings"
	"testing"
)

// The API server quotes objects that it refuses: what is secret in them goes,
// and what was wrong stays.
func TestRefusals(t *testing.T) {
	d := newDecoder(t)
	for name, tc := range map[string]struct{ status, want string }{
		"field beside the value": {
			`{"status":"Failure","message":"Widget \"a\" is invalid: spec.dbPassword: Invalid value: \"hunter2\": too short","details":{"causes":[{"reason":"FieldValueInvalid","message":"Invalid value: \"hunter2\": too short","field":"spec.dbPassword"}]},"code":422}`,
			"spec.dbPassword",
		},
		"difference": {
			`{"status":"Failure","message":"Pod \"a\" is invalid: spec: Forbidden: pod updates may not change fields other than x\n  {\n-  \"Value\": \"hunter2\",\n+  \"Value\": \"hunter2\",\n","details":{"causes":[{"message":"Forbidden: pod updates may not change fields other than x\n-  \"hunter2\"","field":"spec"}]},"code":422}`,
			"pod updates may not change fields",
		},
		"no secret": {
			`{"status":"Failure","message":"Deployment \"a\" is invalid: spec.replicas: Invalid value: -1","details":{"causes":[{"message":"Invalid value: -1: must not be negative","field":"spec.replicas"}]},"code":422}`,
			`{"message":"Invalid value: -1: must not be negative","field":"spec.replicas"}`,
		},
		"a list of reasons, no difference": {
			`{"status":"Failure","message":"admission webhook \"policy-422\" denied the request:\n- replicas are too many","code":403}`,
			"replicas are too many",
		},
	} {
		for where, in := range map[string]string{
			"status": change(t, `{"metadata":{},"code":200}`, tc.status),
			"answer": change(t, `"responseStatus"`, `"responseObject":{"kind":"Status",`+tc.status[1:]+`,"responseStatus"`),
			// As some carriers write it anew.
			"spaced status": change(t, `{"metadata":{},"code":200}`, strings.ReplaceAll(tc.status, `":`, `" : `)),
			"spaced answer": change(t, `"responseStatus"`, `"responseObject":{"kind": "Status",`+strings.ReplaceAll(tc.status[1:], `":`, `" : `)+`,"responseStatus"`),
		} {
			raw := string(one(t, d, in).Raw)
			if strings.Contains(raw, "hunter2") || !strings.Contains(strings.ReplaceAll(raw, `" : `, `":`), tc.want) {
				t.Errorf("%s, %s: of the refusal stays %s", name, where, raw)
			}
		}
	}
}
