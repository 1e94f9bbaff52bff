package controllers

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/api/equality"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// statusWriter writes an object's status, each time against what it wrote last.
type statusWriter struct {
	client  client.Client
	written client.Object
	version string // of the object as it was written last; empty before
}

// newStatusWriter takes the object as it was read.
func newStatusWriter(c client.Client, read client.Object) *statusWriter {
	return &statusWriter{client: c, written: read.DeepCopyObject().(client.Object)}
}

// write does nothing when nothing changed.
func (w *statusWriter) write(ctx context.Context, o client.Object) error {
	if equality.Semantic.DeepEqual(w.written, o) {
		return nil
	}
	// The client reads the answer into what it is given; the object here may
	// hold work that is not for writing yet.
	answer := o.DeepCopyObject().(client.Object)
	if err := w.client.Status().Patch(ctx, answer, client.MergeFrom(w.written)); err != nil {
		return fmt.Errorf("write the status: %w", err)
	}
	w.written = o.DeepCopyObject().(client.Object)
	w.version = answer.GetResourceVersion()
	return nil
}
