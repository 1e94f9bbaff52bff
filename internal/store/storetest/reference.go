package storetest

import (
	"context"
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/klauspost/compress/zstd"

	"github.com/porter-dev/audit-operator/internal/audit"
	"github.com/porter-dev/audit-operator/internal/store"
)

// Reference is the least that keeping events durably can cost, for benchmarks
// to compare with: each batch becomes compressed columns and compressed raws at
// the end of one file, which is synced. It knows no duplicates and answers no
// questions.
type Reference struct {
	packer *zstd.Encoder
	mu     sync.Mutex
	file   *os.File
}

var _ store.Writer = (*Reference)(nil)

// NewReference makes its file in a folder.
func NewReference(dir string) (*Reference, error) {
	packer, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest))
	if err != nil {
		return nil, err
	}
	file, err := os.Create(filepath.Join(dir, "reference"))
	return &Reference{packer: packer, file: file}, err
}

// Close closes the file.
func (r *Reference) Close() error { return r.file.Close() }

// Append implements store.Writer.
func (r *Reference) Append(_ context.Context, batch store.Batch) (store.Appended, error) {
	var numbers, texts, raws []byte
	for i := range batch.Events {
		e := &batch.Events[i]
		numbers = append(append(numbers, e.ID[:]...), e.RawSHA256[:]...)
		numbers = binary.LittleEndian.AppendUint64(numbers, uint64(e.OccurredAt.UnixMicro()))
		numbers = binary.LittleEndian.AppendUint64(numbers, uint64(e.StageAt.UnixMicro()))
		numbers = binary.LittleEndian.AppendUint16(numbers, uint16(e.StatusCode))
		raws = append(raws, e.Raw...)
	}
	for _, column := range []func(*audit.Event) string{
		func(e *audit.Event) string { return e.Source }, func(e *audit.Event) string { return e.Cluster },
		func(e *audit.Event) string { return e.AuditID }, func(e *audit.Event) string { return e.Level },
		func(e *audit.Event) string { return e.Stage }, func(e *audit.Event) string { return e.Actor },
		func(e *audit.Event) string { return e.ActorKind }, func(e *audit.Event) string { return e.ActedVia },
		func(e *audit.Event) string { return e.CredentialID }, func(e *audit.Event) string { return e.Method },
		func(e *audit.Event) string { return e.Verb }, func(e *audit.Event) string { return e.ResourceType },
		func(e *audit.Event) string { return e.Action }, func(e *audit.Event) string { return e.APIGroup },
		func(e *audit.Event) string { return e.APIVersion }, func(e *audit.Event) string { return e.Resource },
		func(e *audit.Event) string { return e.Subresource }, func(e *audit.Event) string { return e.Namespace },
		func(e *audit.Event) string { return e.ResourceName }, func(e *audit.Event) string { return e.Path },
		func(e *audit.Event) string { return e.Client }, func(e *audit.Event) string { return e.UserAgent },
		func(e *audit.Event) string { return strings.Join(e.Groups, "\n") }, func(e *audit.Event) string { return strings.Join(e.ActedViaGroups, "\n") },
	} {
		for i := range batch.Events {
			text := column(&batch.Events[i])
			texts = append(binary.AppendUvarint(texts, uint64(len(text))), text...)
		}
	}
	var packed []byte
	for _, part := range [][]byte{numbers, texts, raws} {
		packed = r.packer.EncodeAll(part, packed)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, err := r.file.Write(packed); err != nil {
		return store.Appended{}, err
	}
	return store.Appended{Stored: len(batch.Events)}, r.file.Sync()
}
