-- +goose Up

-- Snapshots never change: there is no UPDATE of these tables.
CREATE TABLE audit_snapshots (
    id        text COLLATE "C" PRIMARY KEY, -- 32 lower-case hexadecimal digits
    owner_uid text COLLATE "C" NOT NULL,
    taken_at  timestamptz NOT NULL,
    namespace text COLLATE "C" NOT NULL,    -- whose readers may read it; empty: cluster-wide
    cluster   text COLLATE "C" NOT NULL,
    manifest  json NOT NULL
);
CREATE INDEX audit_snapshots_owner ON audit_snapshots (owner_uid, taken_at, id);
COMMENT ON TABLE audit_snapshots IS 'Snapshots of the answers to queries; their bytes are in audit_snapshot_parts';

CREATE TABLE audit_snapshot_parts (
    snapshot_id text COLLATE "C" NOT NULL,
    part        integer NOT NULL,
    data        bytea   NOT NULL, -- a zstd frame of its own
    PRIMARY KEY (snapshot_id, part)
);
ALTER TABLE audit_snapshot_parts ALTER COLUMN data SET STORAGE EXTERNAL;
