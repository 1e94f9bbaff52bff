-- What a role for psql, Grafana and the like may do: read every event of every
-- cluster, whatever Kubernetes lets its holder see. Raw events, the quarantine
-- and snapshots are not in it.
GRANT USAGE ON SCHEMA :schema TO audit_reader;
GRANT SELECT ON audit_events, audit_sources TO audit_reader;
