-- +goose Up

-- An actor's groups stand beside it, since most events of an actor have the same
-- ones. Those of events from before are unknown (NULL), and the entries keep their
-- keys: an event without groups has them again.
ALTER TABLE audit_actors
    ADD COLUMN groups           text[] COLLATE "C",
    ADD COLUMN acted_via_groups text[] COLLATE "C";
COMMENT ON COLUMN audit_actors.groups IS 'of the actor; NULL where it has none, or where the event is older than this column';

CREATE OR REPLACE VIEW audit_events AS
SELECT r.occurred_at, r.stage_at, r.ingested_at, g.source, p.cluster, k.stage, k.level,
       a.actor, a.actor_kind, a.acted_via, g.credential_id, g.user_agent, k.client,
       k.method, k.verb, k.resource_type, k.action, k.api_group, k.api_version, k.resource, k.subresource,
       p.namespace, r.resource_name, r.path, k.status_code, k.dry_run,
       r.ip, r.more_ips, coalesce(r.audit_uuid::text, r.audit_id, '') AS audit_id,
       replace(r.id::text, '-', '') AS id, encode(r.raw_sha256, 'hex') AS raw_sha256,
       k.truncated, p.is_foreign, a.groups, a.acted_via_groups
FROM audit_rows r
JOIN audit_kinds k ON k.id = r.kind_id
JOIN audit_places p ON p.id = r.place_id
JOIN audit_actors a ON a.id = r.actor_id
JOIN audit_agents g ON g.id = r.agent_id
WHERE EXISTS (SELECT FROM audit_days d WHERE d.day = (r.occurred_at AT TIME ZONE 'UTC')::date);
COMMENT ON COLUMN audit_events.groups IS 'of the actor; NULL where it has none, or where they were not stored yet';
COMMENT ON COLUMN audit_events.acted_via_groups IS 'of the authenticated user, when it impersonated the actor';
