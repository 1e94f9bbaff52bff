package controllers

import (
	"errors"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/porter-dev/audit-operator/api/v1alpha1"
	"github.com/porter-dev/audit-operator/internal/query"
)

// conditioned is an object whose conditions follow the rules of kstatus: Ready
// is always there, Reconciling and Stalled only while they are True.
type conditioned interface {
	GetGeneration() int64
	GetConditions() []metav1.Condition
	SetConditions([]metav1.Condition)
}

// maxMessage bounds a message, in characters; what makes it long is mostly a
// user's own values.
const maxMessage = 1024

func setCondition(o conditioned, kind string, status metav1.ConditionStatus, reason, message string) {
	conditions := o.GetConditions()
	meta.SetStatusCondition(&conditions, metav1.Condition{
		Type: kind, Status: status, Reason: reason, Message: cut(message, maxMessage), ObservedGeneration: o.GetGeneration(),
	})
	o.SetConditions(conditions)
}

func removeConditions(o conditioned, kinds ...string) {
	conditions := o.GetConditions()
	for _, kind := range kinds {
		meta.RemoveStatusCondition(&conditions, kind)
	}
	o.SetConditions(conditions)
}

func markReady(o conditioned, reason, message string) {
	removeConditions(o, v1alpha1.ReconcilingCondition, v1alpha1.StalledCondition)
	setCondition(o, v1alpha1.ReadyCondition, metav1.ConditionTrue, reason, message)
}

func markProgressing(o conditioned, message string) {
	removeConditions(o, v1alpha1.StalledCondition)
	setCondition(o, v1alpha1.ReconcilingCondition, metav1.ConditionTrue, v1alpha1.ReasonProgressing, message)
	setCondition(o, v1alpha1.ReadyCondition, metav1.ConditionUnknown, v1alpha1.ReasonProgressing, message)
}

// markWaiting says that the operator goes on by itself at a time.
func markWaiting(o conditioned, ready metav1.ConditionStatus, reason, message string) {
	removeConditions(o, v1alpha1.StalledCondition)
	setCondition(o, v1alpha1.ReconcilingCondition, metav1.ConditionTrue, reason, message)
	setCondition(o, v1alpha1.ReadyCondition, ready, reason, message)
}

// markFailed says that the last attempt failed and another follows.
func markFailed(o conditioned, reason, message string) {
	removeConditions(o, v1alpha1.StalledCondition)
	setCondition(o, v1alpha1.ReconcilingCondition, metav1.ConditionTrue, v1alpha1.ReasonProgressingWithRetry, message)
	setCondition(o, v1alpha1.ReadyCondition, metav1.ConditionFalse, reason, message)
}

// markStalled says that only a change by a person can help.
func markStalled(o conditioned, reason, message string) {
	removeConditions(o, v1alpha1.ReconcilingCondition)
	setCondition(o, v1alpha1.StalledCondition, metav1.ConditionTrue, reason, message)
	setCondition(o, v1alpha1.ReadyCondition, metav1.ConditionFalse, reason, message)
}

// cut returns the first max characters of s.
func cut(s string, max int) string {
	n := 0
	for i := range s {
		if n == max {
			return s[:i]
		}
		n++
	}
	return s
}

// fieldProblems returns the text of an error about fields, and whether it is one.
func fieldProblems(err error) (string, bool) {
	var wrong *query.FieldError
	if !errors.As(err, &wrong) {
		return "", false
	}
	return strings.ReplaceAll(err.Error(), "\n", "; "), true
}
