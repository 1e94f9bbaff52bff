-- Makes searches of the PostgreSQL store quick that find little or nothing.
-- Run it by psql as the role that owns the tables; it holds nobody up, and may
-- be run again after it was interrupted:
--
--   psql -v ON_ERROR_STOP=1 -f postgresql-search-index.sql postgres://audit_owner@db.example.com/audit
--
-- To go back: DROP INDEX audit_rows_search;

CREATE EXTENSION IF NOT EXISTS pg_trgm;

-- Days that are made from now on have the index.
CREATE INDEX IF NOT EXISTS audit_rows_search ON ONLY audit_rows
    USING gin (audit_fold(path) gin_trgm_ops, audit_fold(resource_name) gin_trgm_ops);

-- What an interrupted run has left.
SELECT format('DROP INDEX CONCURRENTLY %s', i.indexrelid::regclass)
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
WHERE c.relname ~ '^audit_rows_\d{8}_search$' AND NOT i.indisvalid
\gexec

-- The days that are there.
SELECT format('CREATE INDEX CONCURRENTLY %I ON %s USING gin (audit_fold(path) gin_trgm_ops, audit_fold(resource_name) gin_trgm_ops)',
              c.relname || '_search', c.oid::regclass)
FROM pg_inherits p JOIN pg_class c ON c.oid = p.inhrelid
WHERE p.inhparent = 'audit_rows'::regclass
  AND NOT EXISTS (SELECT FROM pg_index i JOIN pg_inherits a ON a.inhrelid = i.indexrelid
                  WHERE i.indrelid = c.oid AND a.inhparent = 'audit_rows_search'::regclass)
  AND to_regclass(c.relname || '_search') IS NULL
ORDER BY c.relname DESC
\gexec

SELECT format('ALTER INDEX audit_rows_search ATTACH PARTITION %s', i.indexrelid::regclass)
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
WHERE c.relname ~ '^audit_rows_\d{8}_search$' AND NOT c.relispartition
\gexec
