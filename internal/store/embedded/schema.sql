-- The tables that live as long as the store. None has a key: there is one
-- writer, which knows what is there, and an index costs ingestion dearly.

-- One row for each day that has a table of events. segment_bytes is how much
-- of the day's segment file committed rows refer to; what lies behind it in
-- the file was never acknowledged.
CREATE TABLE IF NOT EXISTS days (
    day           INTEGER NOT NULL, -- days since 1970-01-01
    segment_bytes BIGINT  NOT NULL
);

-- This store's own totals since a source first delivered, written with what
-- they count.
CREATE TABLE IF NOT EXISTS sources (
    source           VARCHAR NOT NULL,
    received         BIGINT  NOT NULL,
    stored           BIGINT  NOT NULL,
    duplicate        BIGINT  NOT NULL,
    quarantined      BIGINT  NOT NULL,
    own              BIGINT  NOT NULL,
    last_received_at BIGINT  NOT NULL, -- microseconds since 1970, as all times
    last_event_at    BIGINT  NOT NULL
);

-- Who this store is, to those that it was copied to, and what other stores had
-- counted whose events were copied to this one.
CREATE TABLE IF NOT EXISTS identity (
    id UUID NOT NULL
);
INSERT INTO identity SELECT gen_random_uuid() WHERE NOT EXISTS (FROM identity);

-- The one key under which is hashed what must not be guessed; see key.go.
CREATE TABLE IF NOT EXISTS secret_key (
    key BLOB NOT NULL
);

CREATE TABLE IF NOT EXISTS other_totals (
    store            VARCHAR NOT NULL, -- its identity
    source           VARCHAR NOT NULL,
    received         BIGINT  NOT NULL,
    stored           BIGINT  NOT NULL,
    duplicate        BIGINT  NOT NULL,
    quarantined      BIGINT  NOT NULL,
    own              BIGINT  NOT NULL,
    last_received_at BIGINT  NOT NULL,
    last_event_at    BIGINT  NOT NULL
);

CREATE TABLE IF NOT EXISTS quarantine (
    seq         BIGINT  NOT NULL, -- order of arrival
    source      VARCHAR NOT NULL,
    received_at BIGINT  NOT NULL,
    reason      VARCHAR NOT NULL,
    size        BIGINT  NOT NULL,
    sha256      BLOB    NOT NULL,
    redacted    BLOB
);
-- Of the source; empty where unknown.
ALTER TABLE quarantine ADD COLUMN IF NOT EXISTS cluster VARCHAR DEFAULT '';
