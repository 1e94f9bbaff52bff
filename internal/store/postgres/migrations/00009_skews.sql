-- +goose Up

-- How far the clocks of sources are ahead, as each replica measures it by what
-- it takes: a source may deliver to one replica alone, and another one tells.
-- Some minutes are kept.
CREATE TABLE audit_source_skews (
    source   text COLLATE "C" NOT NULL,
    at       timestamptz NOT NULL,
    ahead_us bigint NOT NULL -- microseconds; negative: behind, or late
);
CREATE INDEX audit_source_skews_at ON audit_source_skews (at);
COMMENT ON TABLE audit_source_skews IS 'How far the clocks of sources were ahead of the operator''s, in the last minutes';
