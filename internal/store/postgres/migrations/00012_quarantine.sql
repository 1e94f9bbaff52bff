-- +goose Up

-- Which cluster's events an item may be, and the order of a list of all.
ALTER TABLE audit_quarantine ADD COLUMN cluster text COLLATE "C" NOT NULL DEFAULT '';
COMMENT ON COLUMN audit_quarantine.cluster IS 'of the source; empty where unknown';
CREATE INDEX audit_quarantine_received ON audit_quarantine (received_at, seq);
