-- +goose Up

-- Whether a request was a dry run has three values: the options of a delete or an
-- eviction, which say so, are in no event of the level Metadata.
ALTER TABLE audit_kinds ALTER COLUMN dry_run DROP NOT NULL;
-- Those that are stored were taken for real, or for what the query said, which
-- the options overrule. Their entries keep their keys: no event has them again.
UPDATE audit_kinds SET dry_run = NULL
WHERE level = 'Metadata' AND resource <> ''
  AND (verb IN ('delete', 'deletecollection') AND split_part(subresource, '/', 1) NOT IN ('exec', 'attach', 'portforward', 'proxy')
       OR verb = 'create' AND subresource = 'eviction' AND NOT dry_run);
COMMENT ON COLUMN audit_kinds.dry_run IS 'NULL is unknown: it was deleted or evicted, and the options were not recorded';
COMMENT ON COLUMN audit_events.dry_run IS 'whether it was to change nothing; NULL is unknown, since the options of a delete or an eviction were not recorded';
COMMENT ON COLUMN audit_events.id IS 'identity of the event: a keyed hash of what the API server wrote';
