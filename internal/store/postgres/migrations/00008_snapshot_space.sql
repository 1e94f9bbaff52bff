-- +goose Up

-- What snapshots take, so that quotas can be kept. A body counts from the first
-- part that is written until its last part is removed, whoever names it.
ALTER TABLE audit_snapshots ADD COLUMN bytes bigint NOT NULL DEFAULT 0;
UPDATE audit_snapshots AS s SET bytes = 4096 + octet_length(s.manifest::text)
    + coalesce((SELECT sum(octet_length(p.data)) FROM audit_snapshot_parts AS p WHERE p.body = s.body), 0);
CREATE INDEX audit_snapshots_space ON audit_snapshots (cluster, namespace) INCLUDE (bytes);

ALTER TABLE audit_loose_bodies
    ADD COLUMN cluster   text COLLATE "C" NOT NULL DEFAULT '',
    ADD COLUMN namespace text COLLATE "C" NOT NULL DEFAULT '',
    ADD COLUMN bytes     bigint NOT NULL DEFAULT 0;
COMMENT ON TABLE audit_loose_bodies IS 'Bodies in audit_snapshot_parts that no snapshot names; they are removed after ten minutes';

-- What the operator remembers about snapshots and their owners.
CREATE TABLE audit_snapshot_marks (
    kind text COLLATE "C" NOT NULL,
    id   text COLLATE "C" NOT NULL, -- of a snapshot, or an owner's UID
    at   timestamptz NOT NULL,
    PRIMARY KEY (kind, id)
);
COMMENT ON TABLE audit_snapshot_marks IS 'Snapshots that were deleted by their ID, and owners that no query is';
