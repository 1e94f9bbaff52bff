-- +goose Up

-- The days that hold events. A reader takes this list first and looks at no
-- other day, so that a day goes from rows, raw and roll-ups at once.
CREATE TABLE audit_days (
    day date PRIMARY KEY
);
COMMENT ON TABLE audit_days IS 'UTC days that hold events; a day that is not here is being dropped';

-- Dictionaries. What repeats from event to event is stored once and is four
-- bytes in a row; filters are answered by the dictionaries before rows are
-- looked at, and roll-ups count by them. They are only added to, by one
-- transaction at a time, so that IDs appear in ascending order; who adds an
-- entry can't choose its ID, or what rows refer to could be replaced. key is the
-- first half of SHA-256 over the length-prefixed values: text of any length
-- is unique by it. last_day is the newest day that an event of this entry may
-- belong to; once the retention has passed it, the entry is removed.
CREATE SEQUENCE audit_dictionary_id AS integer;

CREATE TABLE audit_kinds (
    id            integer PRIMARY KEY DEFAULT nextval('audit_dictionary_id'),
    key           uuid NOT NULL UNIQUE,
    last_day      date NOT NULL,
    level         text COLLATE "C" NOT NULL,
    stage         text COLLATE "C" NOT NULL,
    method        text COLLATE "C" NOT NULL,
    verb          text COLLATE "C" NOT NULL,
    resource_type text COLLATE "C" NOT NULL,
    action        text COLLATE "C" NOT NULL,
    api_group     text COLLATE "C" NOT NULL,
    api_version   text COLLATE "C" NOT NULL,
    resource      text COLLATE "C" NOT NULL,
    subresource   text COLLATE "C" NOT NULL,
    status_code   integer NOT NULL,
    dry_run       boolean NOT NULL,
    client        text COLLATE "C" NOT NULL
);
COMMENT ON TABLE audit_kinds IS 'What was done and how it ended: the values that requests of one kind share. Empty text and code 0 mean that the event lacks the field';

-- Apart from the kinds, because every namespace has most kinds: counts by kind
-- alone are few. A scope is one place.
CREATE TABLE audit_places (
    id        integer PRIMARY KEY DEFAULT nextval('audit_dictionary_id'),
    key       uuid NOT NULL UNIQUE,
    last_day  date NOT NULL,
    cluster   text COLLATE "C" NOT NULL,
    namespace text COLLATE "C" NOT NULL
);
COMMENT ON TABLE audit_places IS 'Where it was done: a namespace of a cluster, or what of the cluster is in none';

CREATE TABLE audit_actors (
    id         integer PRIMARY KEY DEFAULT nextval('audit_dictionary_id'),
    key        uuid NOT NULL UNIQUE,
    last_day   date NOT NULL,
    actor      text COLLATE "C" NOT NULL,
    actor_kind text COLLATE "C" NOT NULL,
    acted_via  text COLLATE "C" NOT NULL
);
COMMENT ON TABLE audit_actors IS 'Who did it: the effective user and, when impersonating, the authenticated one';

CREATE TABLE audit_agents (
    id            integer PRIMARY KEY DEFAULT nextval('audit_dictionary_id'),
    key           uuid NOT NULL UNIQUE,
    last_day      date NOT NULL,
    source        text COLLATE "C" NOT NULL,
    user_agent    text COLLATE "C" NOT NULL,
    credential_id text COLLATE "C" NOT NULL
);
COMMENT ON TABLE audit_agents IS 'By what means: the API server that reported it, the program and its credential';

-- One row for each event, in daily partitions. Columns of fixed size come
-- first, so that nothing is lost to alignment.
CREATE TABLE audit_rows (
    occurred_at   timestamptz NOT NULL,
    stage_at      timestamptz NOT NULL,
    ingested_at   timestamptz NOT NULL,
    raw_batch     bigint  NOT NULL, -- which of audit_raw holds the raw event
    raw_start     integer NOT NULL, -- where it starts in the unpacked blob
    raw_size      integer NOT NULL, -- 0: no raw was given
    kind_id       integer NOT NULL,
    place_id      integer NOT NULL,
    actor_id      integer NOT NULL,
    agent_id      integer NOT NULL,
    folded        boolean NOT NULL, -- audit_fold leaves name and path as they are
    id            uuid    NOT NULL,
    audit_uuid    uuid,             -- an audit ID in a UUID's usual form
    ip            inet,             -- the last address, which can't be forged
    raw_sha256    bytea   NOT NULL,
    audit_id      text COLLATE "C", -- any other audit ID
    more_ips      inet[],           -- the addresses before the last
    resource_name text COLLATE "C" NOT NULL,
    path          text COLLATE "C" NOT NULL,
    CONSTRAINT audit_rows_key UNIQUE (occurred_at, id)
) PARTITION BY RANGE (occurred_at);
-- Of the actor alone, so that an event takes a few bytes of it: equal values are
-- held once.
CREATE INDEX audit_rows_actor ON audit_rows (actor_id);
CREATE INDEX audit_rows_id ON audit_rows USING hash (id);
COMMENT ON TABLE audit_rows IS 'One row for each event; read the view audit_events instead';

-- The raw events of a commit or a part of it, as one zstd blob.
CREATE TABLE audit_raw (
    batch bigint NOT NULL,
    day   date   NOT NULL,
    blob  bytea  NOT NULL,
    CONSTRAINT audit_raw_key UNIQUE (batch, day)
) PARTITION BY RANGE (day);
ALTER TABLE audit_raw ALTER COLUMN blob SET STORAGE EXTERNAL; -- compressed already
COMMENT ON TABLE audit_raw IS 'Redacted raw events, many in one zstd blob; audit_rows says where each one lies';
CREATE SEQUENCE audit_raw_batch INCREMENT BY 1000; -- a process takes a thousand at once

-- Roll-ups count events by hour and kind: of all, by place and by actor. A
-- commit appends what it added as one row of arrays, so that replicas do not
-- wait for each other; now and then the leader adds these deltas up. The truth
-- is the sum of both.
CREATE TABLE audit_rollup_deltas (
    day    date NOT NULL,
    batch  bigint NOT NULL,
    hours  smallint[] NOT NULL, -- of the day, 0 to 23
    kinds  integer[] NOT NULL,
    places integer[] NOT NULL,
    actors integer[] NOT NULL,
    counts integer[] NOT NULL
) PARTITION BY RANGE (day);
ALTER TABLE audit_rollup_deltas
    ALTER COLUMN hours SET STORAGE EXTERNAL, ALTER COLUMN kinds SET STORAGE EXTERNAL, ALTER COLUMN places SET STORAGE EXTERNAL,
    ALTER COLUMN actors SET STORAGE EXTERNAL, ALTER COLUMN counts SET STORAGE EXTERNAL;
CREATE INDEX audit_rollup_deltas_batch ON audit_rollup_deltas (batch);

CREATE TABLE audit_rollup_kinds (
    count    bigint  NOT NULL, -- of the day
    day      date    NOT NULL,
    kind_id  integer NOT NULL,
    h0  integer NOT NULL, h1  integer NOT NULL, h2  integer NOT NULL, h3  integer NOT NULL,
    h4  integer NOT NULL, h5  integer NOT NULL, h6  integer NOT NULL, h7  integer NOT NULL,
    h8  integer NOT NULL, h9  integer NOT NULL, h10 integer NOT NULL, h11 integer NOT NULL,
    h12 integer NOT NULL, h13 integer NOT NULL, h14 integer NOT NULL, h15 integer NOT NULL,
    h16 integer NOT NULL, h17 integer NOT NULL, h18 integer NOT NULL, h19 integer NOT NULL,
    h20 integer NOT NULL, h21 integer NOT NULL, h22 integer NOT NULL, h23 integer NOT NULL,
    CONSTRAINT audit_rollup_kinds_key UNIQUE (day, kind_id)
) PARTITION BY RANGE (day);
COMMENT ON TABLE audit_rollup_kinds IS 'Events of each hour of a UTC day by kind, without those of audit_rollup_deltas';

CREATE TABLE audit_rollup_places (
    count    bigint  NOT NULL, -- of the day
    day      date    NOT NULL,
    place_id integer NOT NULL,
    kind_id  integer NOT NULL,
    h0  integer NOT NULL, h1  integer NOT NULL, h2  integer NOT NULL, h3  integer NOT NULL,
    h4  integer NOT NULL, h5  integer NOT NULL, h6  integer NOT NULL, h7  integer NOT NULL,
    h8  integer NOT NULL, h9  integer NOT NULL, h10 integer NOT NULL, h11 integer NOT NULL,
    h12 integer NOT NULL, h13 integer NOT NULL, h14 integer NOT NULL, h15 integer NOT NULL,
    h16 integer NOT NULL, h17 integer NOT NULL, h18 integer NOT NULL, h19 integer NOT NULL,
    h20 integer NOT NULL, h21 integer NOT NULL, h22 integer NOT NULL, h23 integer NOT NULL,
    CONSTRAINT audit_rollup_places_key UNIQUE (day, place_id, kind_id)
) PARTITION BY RANGE (day);
COMMENT ON TABLE audit_rollup_places IS 'Events of each hour of a UTC day by place and kind, without those of audit_rollup_deltas';

CREATE TABLE audit_rollup_actors (
    count    bigint  NOT NULL, -- of the day
    day      date    NOT NULL,
    actor_id integer NOT NULL,
    kind_id  integer NOT NULL,
    h0  integer NOT NULL, h1  integer NOT NULL, h2  integer NOT NULL, h3  integer NOT NULL,
    h4  integer NOT NULL, h5  integer NOT NULL, h6  integer NOT NULL, h7  integer NOT NULL,
    h8  integer NOT NULL, h9  integer NOT NULL, h10 integer NOT NULL, h11 integer NOT NULL,
    h12 integer NOT NULL, h13 integer NOT NULL, h14 integer NOT NULL, h15 integer NOT NULL,
    h16 integer NOT NULL, h17 integer NOT NULL, h18 integer NOT NULL, h19 integer NOT NULL,
    h20 integer NOT NULL, h21 integer NOT NULL, h22 integer NOT NULL, h23 integer NOT NULL,
    CONSTRAINT audit_rollup_actors_key UNIQUE (day, actor_id, kind_id)
) PARTITION BY RANGE (day);
COMMENT ON TABLE audit_rollup_actors IS 'Events of each hour of a UTC day by actor and kind, without those of audit_rollup_deltas';

-- This store's own totals since a source first delivered: the sum of what was
-- merged and of what commits appended since.
CREATE TABLE audit_source_totals (
    source           text COLLATE "C" PRIMARY KEY,
    received         bigint NOT NULL,
    stored           bigint NOT NULL,
    duplicate        bigint NOT NULL,
    quarantined      bigint NOT NULL,
    own              bigint NOT NULL,
    last_received_at timestamptz NOT NULL,
    last_event_at    timestamptz
);
CREATE TABLE audit_source_deltas (LIKE audit_source_totals);

-- Who this store is, to those that it was copied to, and what other stores had
-- counted whose events were copied to this one.
CREATE TABLE audit_identity (
    id uuid NOT NULL
);
INSERT INTO audit_identity VALUES (gen_random_uuid());
CREATE TABLE audit_other_totals (
    LIKE audit_source_totals,
    store uuid NOT NULL, -- its identity
    PRIMARY KEY (store, source)
);

CREATE TABLE audit_quarantine (
    seq         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source      text COLLATE "C" NOT NULL,
    received_at timestamptz NOT NULL,
    reason      text COLLATE "C" NOT NULL,
    size        bigint NOT NULL,
    sha256      bytea NOT NULL,
    redacted    bytea
);
CREATE INDEX audit_quarantine_newest ON audit_quarantine (source, received_at, seq);
COMMENT ON TABLE audit_quarantine IS 'What could not become an event, with the reason';
