package redact

import (
	"bytes"
	"strings"
)

// KindOf returns what a kind, or that of a list, says.
func KindOf(kind []byte) Kind {
	kind = bytes.TrimSuffix(kind, []byte("List"))
	switch string(kind) {
	case "Secret":
		return Secret
	case "ConfigMap":
		return ConfigMap
	case "ExternalSecret", "ClusterExternalSecret", "SecretStore", "ClusterSecretStore", "PushSecret", "ClusterPushSecret", "SecretProviderClass", "SecretProviderClassPodStatus":
		return Other // they say where secrets are
	}
	for _, part := range []string{"Secret", "Credential", "Password"} {
		if bytes.Contains(kind, []byte(part)) {
			return SecretLike
		}
	}
	return Other
}

// KindOfResource returns what the resource of a request says.
func KindOfResource(group, resource string) Kind {
	switch {
	case group == "" && resource == "secrets":
		return Secret
	case group == "" && resource == "configmaps":
		return ConfigMap
	}
	switch resource {
	case "externalsecrets", "clusterexternalsecrets", "secretstores", "clustersecretstores", "pushsecrets", "clusterpushsecrets", "secretproviderclasses", "secretproviderclasspodstatuses":
		return Other
	}
	for _, part := range []string{"secret", "credential", "password"} {
		if strings.Contains(resource, part) {
			return SecretLike
		}
	}
	return Other
}

// isPlainHeader reports whether a header's value is no secret. Those of others
// are taken out.
func isPlainHeader(name []byte) bool {
	for _, plain := range []string{
		"Host", "Accept", "Accept-Encoding", "Accept-Language", "Content-Type", "Content-Length", "User-Agent", "Connection", "Cache-Control", "Origin", "Referer",
		"X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-Port", "X-Request-Id",
	} {
		if bytes.EqualFold(name, []byte(plain)) {
			return true
		}
	}
	return false
}

// isValue reports whether a member is the value of a pair.
func isValue(name []byte) bool {
	switch string(name) {
	case "value", "Value", "values", "Values", "default", "defaultValue", "val", "stringValue", "string_value", "ParameterValue", "parameterValue", "headerValue":
		return true
	}
	return false
}

// isVariables reports whether a member holds environment variables: env,
// extraEnvVars, environment.
func isVariables(name []byte) bool {
	var space foldSpace
	f := fold(space[:0], name)
	for _, end := range []string{"env", "envs", "envvar", "envvars", "environment", "environmentvariables", "variables"} {
		if hasSuffix(f.text, end) {
			return true
		}
	}
	return false
}

// isArguments reports whether a member holds a command line.
func isArguments(name []byte) bool {
	switch string(name) {
	case "command", "cmd", "commands", "entrypoint", "Cmd", "Entrypoint", "Command", "commandLine":
		return true
	}
	for _, end := range []string{"args", "Args", "arguments", "Arguments", "Command", "ARGS"} {
		if hasSuffix(name, end) {
			return true
		}
	}
	return false
}
