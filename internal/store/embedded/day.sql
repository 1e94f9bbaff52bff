-- The typed rows of one UTC day; {table} is made from the day's number. One
-- table a day makes retention a DROP: deleting rows would grow the file.
-- Fields that an event lacks are '' or 0, as in audit.Event.
CREATE TABLE IF NOT EXISTS {table} (
    id            UUID,   -- 16 bytes in line, ordered by byte; no real UUID
    occurred_at   BIGINT,
    stage_at      BIGINT,
    ingested_at   BIGINT,
    source        VARCHAR,
    cluster       VARCHAR,
    audit_uuid    UUID,   -- an audit ID in a UUID's usual form takes 16 bytes
    audit_id      VARCHAR,-- any other one
    level         VARCHAR,
    stage         VARCHAR,
    actor         VARCHAR,
    actor_kind    VARCHAR,
    acted_via     VARCHAR,
    credential_id VARCHAR,
    method        VARCHAR,
    verb          VARCHAR,
    resource_type VARCHAR,
    action        VARCHAR,
    api_group     VARCHAR,
    api_version   VARCHAR,
    resource      VARCHAR,
    subresource   VARCHAR,
    namespace     VARCHAR,
    resource_name VARCHAR,
    path          VARCHAR,
    status_code   INTEGER,
    dry_run       UTINYINT,-- audit.DryRun; of format 3, see upgrade.go
    client        VARCHAR,
    user_agent    VARCHAR,
    ip            UUID,   -- the last address as 16 bytes, IPv4 mapped into IPv6
    more_ips      UUID[], -- the addresses before it
    raw_sha_high  UUID,
    raw_sha_low   UUID,
    raw_frame     BIGINT, -- where the frame starts in the day's segment file
    raw_start     INTEGER,-- where the event starts in the unpacked frame
    raw_size      INTEGER,-- 0: no raw was given
    truncated     BOOLEAN DEFAULT false, -- from here on columns of format 2, see upgrade.go
    is_foreign    BOOLEAN DEFAULT false,
    groups        VARCHAR,-- from here on columns of format 4; see groups.go. NULL is unknown
    acted_via_groups VARCHAR
)
