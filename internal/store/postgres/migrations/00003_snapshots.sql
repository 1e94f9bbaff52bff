-- +goose Up

-- Snapshots never change: there is no UPDATE of these tables.
CREATE TABLE audit_snapshots (
    id        text COLLATE "C" PRIMARY KEY, -- 32 lower-case hexadecimal digits
    body      bigint  NOT NULL,
    parts     integer NOT NULL,             -- of the body
    owner_uid text COLLATE "C" NOT NULL,
    taken_at  timestamptz NOT NULL,
    namespace text COLLATE "C" NOT NULL,    -- whose readers may read it; empty: cluster-wide
    cluster   text COLLATE "C" NOT NULL,
    manifest  json NOT NULL                 -- as it was saved, to the byte
);
CREATE INDEX audit_snapshots_owner ON audit_snapshots (owner_uid);
COMMENT ON TABLE audit_snapshots IS 'Snapshots of the answers to queries; their bytes are in audit_snapshot_parts';

CREATE TABLE audit_snapshot_parts (
    body bigint  NOT NULL,
    part integer NOT NULL,
    data bytea   NOT NULL, -- a zstd frame of its own
    PRIMARY KEY (body, part)
);
ALTER TABLE audit_snapshot_parts ALTER COLUMN data SET STORAGE EXTERNAL;
COMMENT ON TABLE audit_snapshot_parts IS 'The bytes of snapshots, in order, as zstd frames';

-- Bodies that no snapshot names: those that are being written, and those whose
-- snapshot was deleted, which somebody may still read. They are removed once
-- nobody can need them any more.
CREATE TABLE audit_loose_bodies (
    body  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    since timestamptz NOT NULL
);
COMMENT ON TABLE audit_loose_bodies IS 'Bodies in audit_snapshot_parts that no snapshot names; they are removed after an hour';
