-- +goose Up

CREATE VIEW audit_events AS
SELECT r.occurred_at, r.stage_at, r.ingested_at, g.source, p.cluster, k.stage, k.level,
       a.actor, a.actor_kind, a.acted_via, g.credential_id, g.user_agent, k.client,
       k.method, k.verb, k.resource_type, k.action, k.api_group, k.api_version, k.resource, k.subresource,
       p.namespace, r.resource_name, r.path, k.status_code, k.dry_run,
       r.ip, r.more_ips, coalesce(r.audit_uuid::text, r.audit_id, '') AS audit_id,
       replace(r.id::text, '-', '') AS id, encode(r.raw_sha256, 'hex') AS raw_sha256
FROM audit_rows r
JOIN audit_kinds k ON k.id = r.kind_id
JOIN audit_places p ON p.id = r.place_id
JOIN audit_actors a ON a.id = r.actor_id
JOIN audit_agents g ON g.id = r.agent_id
WHERE EXISTS (SELECT FROM audit_days d WHERE d.day = (r.occurred_at AT TIME ZONE 'UTC')::date);
COMMENT ON VIEW audit_events IS 'Audit events, one row for each stage of each request. Bound occurred_at in every query: only those days are read';
COMMENT ON COLUMN audit_events.occurred_at IS 'when the request was received';
COMMENT ON COLUMN audit_events.stage_at IS 'when the stage was reached';
COMMENT ON COLUMN audit_events.ingested_at IS 'when the commit that stored it began';
COMMENT ON COLUMN audit_events.source IS 'the AuditSource that delivered it';
COMMENT ON COLUMN audit_events.cluster IS 'the cluster of the source';
COMMENT ON COLUMN audit_events.stage IS 'RequestReceived, ResponseStarted, ResponseComplete or Panic';
COMMENT ON COLUMN audit_events.level IS 'how much the audit policy asked to record';
COMMENT ON COLUMN audit_events.actor IS 'the effective user';
COMMENT ON COLUMN audit_events.actor_kind IS 'user, service_account, node, token or anonymous';
COMMENT ON COLUMN audit_events.acted_via IS 'the authenticated user, when it impersonated the actor';
COMMENT ON COLUMN audit_events.credential_id IS 'the token or certificate that was used';
COMMENT ON COLUMN audit_events.user_agent IS 'what the client calls itself';
COMMENT ON COLUMN audit_events.client IS 'cli, controller, node, operator or other';
COMMENT ON COLUMN audit_events.method IS 'GET, POST, PUT, PATCH, DELETE, HEAD, OPTIONS or OTHER';
COMMENT ON COLUMN audit_events.verb IS 'the verb as Kubernetes wrote it';
COMMENT ON COLUMN audit_events.resource_type IS 'application, datastore, addon, environment_group, cluster, project or one of your own';
COMMENT ON COLUMN audit_events.action IS '<resource_type>.<verb or subresource>';
COMMENT ON COLUMN audit_events.namespace IS 'from the path; empty for requests without one';
COMMENT ON COLUMN audit_events.path IS 'the request URI, without its secrets';
COMMENT ON COLUMN audit_events.status_code IS 'HTTP status; 0 when there is none';
COMMENT ON COLUMN audit_events.ip IS 'the last source address, the one that cannot be forged';
COMMENT ON COLUMN audit_events.more_ips IS 'the source addresses before it, as clients and proxies gave them';
COMMENT ON COLUMN audit_events.audit_id IS 'links the stages of a request; chosen by the client';
COMMENT ON COLUMN audit_events.id IS 'identity of the event: a hash of what the API server wrote';
COMMENT ON COLUMN audit_events.raw_sha256 IS 'SHA-256 of the redacted raw event';

CREATE VIEW audit_sources AS
SELECT source, sum(received)::bigint AS received, sum(stored)::bigint AS stored, sum(duplicate)::bigint AS duplicate,
       sum(quarantined)::bigint AS quarantined, sum(own)::bigint AS own,
       max(last_received_at) AS last_received_at, max(last_event_at) AS last_event_at
FROM (SELECT * FROM audit_source_totals
      UNION ALL SELECT * FROM audit_source_deltas
      UNION ALL SELECT source, received, stored, duplicate, quarantined, own, last_received_at, last_event_at FROM audit_other_totals) AS parts
GROUP BY source;
COMMENT ON VIEW audit_sources IS 'What came from each source since it first delivered';
COMMENT ON COLUMN audit_sources.received IS 'items: stored, duplicate and quarantined';
COMMENT ON COLUMN audit_sources.own IS 'stored events that the operator itself caused';
