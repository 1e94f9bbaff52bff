-- +goose Up

-- Which sessions of browsers were ended before they expired. The epoch is a part
-- of what sessions are of; the rest is where and when this database lives, see
-- sessions.go.
CREATE TABLE audit_session_epoch (
    epoch uuid NOT NULL
);
INSERT INTO audit_session_epoch VALUES (gen_random_uuid());
COMMENT ON TABLE audit_session_epoch IS 'One row: when it changes, every session is over';

CREATE TABLE audit_ended_sessions (
    owner   uuid NOT NULL,
    id      uuid NOT NULL, -- zero: of all that its owner began until then
    began   timestamptz NOT NULL,
    expires timestamptz NOT NULL, -- after which the row is not needed
    PRIMARY KEY (owner, id)
);
COMMENT ON TABLE audit_ended_sessions IS 'Sessions of browsers that were signed out before they expired';
