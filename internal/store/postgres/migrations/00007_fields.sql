-- +goose Up

-- A kind and a place without these marks are what they were, with the same key.
ALTER TABLE audit_kinds ADD COLUMN truncated boolean NOT NULL DEFAULT false;
-- What a source says of API groups that it does not serve is a place of its own,
-- so that a namespace's scope, its counts and its roll-ups are without it.
ALTER TABLE audit_places ADD COLUMN is_foreign boolean NOT NULL DEFAULT false;

CREATE OR REPLACE VIEW audit_events AS
SELECT r.occurred_at, r.stage_at, r.ingested_at, g.source, p.cluster, k.stage, k.level,
       a.actor, a.actor_kind, a.acted_via, g.credential_id, g.user_agent, k.client,
       k.method, k.verb, k.resource_type, k.action, k.api_group, k.api_version, k.resource, k.subresource,
       p.namespace, r.resource_name, r.path, k.status_code, k.dry_run,
       r.ip, r.more_ips, coalesce(r.audit_uuid::text, r.audit_id, '') AS audit_id,
       replace(r.id::text, '-', '') AS id, encode(r.raw_sha256, 'hex') AS raw_sha256,
       k.truncated, p.is_foreign
FROM audit_rows r
JOIN audit_kinds k ON k.id = r.kind_id
JOIN audit_places p ON p.id = r.place_id
JOIN audit_actors a ON a.id = r.actor_id
JOIN audit_agents g ON g.id = r.agent_id
WHERE EXISTS (SELECT FROM audit_days d WHERE d.day = (r.occurred_at AT TIME ZONE 'UTC')::date);
COMMENT ON COLUMN audit_events.truncated IS 'some text or body of the event was cut or replaced by a mark';
COMMENT ON COLUMN audit_events.is_foreign IS 'of an API group that the source does not serve: in no namespace''s scope';

-- The key under which is hashed what must not be guessed. It is in no view and
-- no reader's to see. Each UUID has 122 bits from the server's own source.
CREATE TABLE audit_key (
    key bytea NOT NULL CHECK (length(key) = 32)
);
INSERT INTO audit_key VALUES (uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()));
COMMENT ON TABLE audit_key IS 'Secret: the key of hashes over what was taken out of events';

-- audit_import_key gives a store that holds no event the key of the one that it
-- becomes a copy of, and reports whether the store has that key now.
-- +goose StatementBegin
CREATE FUNCTION audit_import_key(new_key bytea) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    LOCK TABLE audit_key IN EXCLUSIVE MODE;
    IF NOT EXISTS (SELECT FROM audit_rows) THEN
        UPDATE audit_key SET key = new_key WHERE key <> new_key;
    END IF;
    RETURN EXISTS (SELECT FROM audit_key WHERE key = new_key);
END
$$;
-- +goose StatementEnd
-- +goose StatementBegin
DO $$
BEGIN
    EXECUTE format('ALTER FUNCTION audit_import_key(bytea) SET search_path = %I, pg_temp', current_schema());
    REVOKE ALL ON FUNCTION audit_import_key(bytea) FROM PUBLIC;
END
$$;
-- +goose StatementEnd
