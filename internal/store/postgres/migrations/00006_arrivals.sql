-- +goose Up

-- What a live tail goes by: which rows came, in an order that never changes.
-- Transactions become visible in another order than that in which they take
-- numbers, so a commit leaves its arrivals without an order, and who reads or
-- maintains next gives them one, behind all that have one already. numbers and
-- blocks are ranges, each as its first and its last: of raw_batch, by which no
-- other commit's rows go, and of the day's table, where the rows are, unless
-- somebody has moved them since.
CREATE TABLE audit_arrivals_new (
    at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    day     date     NOT NULL,
    count   integer  NOT NULL, -- of rows
    numbers bigint[] NOT NULL,
    blocks  bigint[] NOT NULL
);
COMMENT ON TABLE audit_arrivals_new IS 'Rows that commits added, not in audit_arrivals yet';

CREATE TABLE audit_arrivals (
    seq     bigint   PRIMARY KEY, -- without gaps
    at      timestamptz NOT NULL,
    day     date     NOT NULL,
    count   integer  NOT NULL,
    numbers bigint[] NOT NULL,
    blocks  bigint[] NOT NULL
);
COMMENT ON TABLE audit_arrivals IS 'Rows that commits of the last day added, in the order in which a live tail shows them';

-- The newest snapshots, of all and of a namespace.
CREATE INDEX audit_snapshots_newest ON audit_snapshots (taken_at, id);
CREATE INDEX audit_snapshots_place ON audit_snapshots (cluster, namespace, taken_at, id);
