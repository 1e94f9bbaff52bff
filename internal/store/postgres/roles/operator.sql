-- What the role that the operator runs as may do. It adds events and reads
-- them; it can neither change nor delete one, nor change the schema. Days come
-- and go by functions of the owner.
GRANT USAGE ON SCHEMA :schema TO audit_operator;
GRANT CONNECT, TEMPORARY ON DATABASE :database TO audit_operator; -- rows pass through a temporary table
GRANT SELECT ON audit_schema_version, audit_days, audit_events, audit_sources TO audit_operator;
GRANT SELECT, INSERT ON audit_rows, audit_raw TO audit_operator;
GRANT EXECUTE ON FUNCTION audit_create_day(date), audit_forget_day(date), audit_drop_forgotten_day() TO audit_operator;

-- Dictionaries: an entry is added without a choice of its ID. How long it stays
-- is for functions of the owner.
GRANT SELECT ON audit_kinds, audit_places, audit_actors, audit_agents TO audit_operator;
GRANT INSERT (key, last_day, level, stage, method, verb, resource_type, action, api_group, api_version,
    resource, subresource, status_code, dry_run, client, truncated) ON audit_kinds TO audit_operator;
GRANT INSERT (key, last_day, cluster, namespace, is_foreign) ON audit_places TO audit_operator;
GRANT INSERT (key, last_day, actor, actor_kind, acted_via, groups, acted_via_groups) ON audit_actors TO audit_operator;
GRANT INSERT (key, last_day, source, user_agent, credential_id) ON audit_agents TO audit_operator;
GRANT EXECUTE ON FUNCTION audit_keep_entries(text, uuid[], date[]), audit_prune_dictionaries(date) TO audit_operator;
GRANT USAGE ON SEQUENCE audit_dictionary_id, audit_raw_batch TO audit_operator;

-- Counts: what commits add is moved into what is kept.
GRANT SELECT, INSERT, DELETE ON audit_rollup_deltas, audit_source_deltas TO audit_operator;
GRANT SELECT, INSERT, UPDATE ON audit_rollup_kinds, audit_rollup_places, audit_rollup_actors, audit_source_totals TO audit_operator;
-- What a copy from another store takes over of its counts.
GRANT SELECT, INSERT, UPDATE ON audit_other_totals TO audit_operator;
GRANT SELECT ON audit_identity TO audit_operator;

-- The key of hashes: read, and written only where there is no event yet.
GRANT SELECT ON audit_key TO audit_operator;
GRANT EXECUTE ON FUNCTION audit_import_key(bytea) TO audit_operator;

-- What replicas tell each other of the clocks of sources.
GRANT SELECT, INSERT, DELETE ON audit_source_skews TO audit_operator;

-- Which sessions were signed out: the epoch changes where there are too many.
GRANT SELECT, INSERT, UPDATE, DELETE ON audit_ended_sessions TO audit_operator;
GRANT SELECT, UPDATE ON audit_session_epoch TO audit_operator;

-- What a live tail goes by: added without an order, moved into one, forgotten
-- after a day.
GRANT SELECT, INSERT, DELETE ON audit_arrivals, audit_arrivals_new TO audit_operator;

-- What is bounded by size or by a limit of the query: added, read and removed.
GRANT SELECT, INSERT, DELETE ON audit_quarantine, audit_snapshots, audit_snapshot_parts, audit_loose_bodies, audit_snapshot_marks TO audit_operator;
GRANT UPDATE (bytes) ON audit_loose_bodies TO audit_operator; -- grows as the body is written
