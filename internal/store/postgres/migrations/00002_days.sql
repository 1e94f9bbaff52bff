-- +goose Up

-- Days are made and dropped, and dictionaries pruned, by functions that run with
-- the rights of who migrates, so that a running operator needs no right to change
-- the schema, or what rows refer to.

-- +goose StatementBegin
CREATE FUNCTION audit_create_day(new_day date) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    parent text;
    part   text;
    bounds text;
    range_of_table text;
BEGIN
    -- One at a time for each day, whoever makes it or drops it.
    PERFORM pg_advisory_xact_lock(hashtext('audit_day'), new_day - date '1970-01-01');
    IF EXISTS (SELECT FROM audit_days WHERE day = new_day) THEN
        RETURN;
    END IF;
    bounds := format('FROM (%L) TO (%L)', new_day, new_day + 1);
    FOREACH parent IN ARRAY ARRAY['audit_rows', 'audit_raw', 'audit_rollup_deltas', 'audit_rollup_kinds', 'audit_rollup_places', 'audit_rollup_actors'] LOOP
        part := parent || to_char(new_day, '_YYYYMMDD');
        range_of_table := bounds;
        IF parent = 'audit_rows' THEN
            range_of_table := format('FROM (%L) TO (%L)', to_char(new_day, 'YYYY-MM-DD') || ' 00:00:00+00', to_char(new_day + 1, 'YYYY-MM-DD') || ' 00:00:00+00');
        END IF;
        -- What a drop has left, whose day is none any more.
        EXECUTE format('DROP TABLE IF EXISTS %I', part);
        -- Attached rather than made as a partition: that waits for no reader.
        EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING INDEXES INCLUDING STORAGE)', part, parent);
        IF parent LIKE 'audit_rollup_%' AND parent <> 'audit_rollup_deltas' THEN
            EXECUTE format('ALTER TABLE %I SET (fillfactor = 70)', part); -- counts are updated in place
        END IF;
        EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES %s', parent, part, range_of_table);
    END LOOP;
    INSERT INTO audit_days (day) VALUES (new_day);
END
$$;
-- +goose StatementEnd

-- audit_forget_day hides a day; nobody who begins to read now sees it. Today
-- is never forgotten, whoever asks for it.
-- +goose StatementBegin
CREATE FUNCTION audit_forget_day(old_day date) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    IF old_day >= (now() AT TIME ZONE 'UTC')::date THEN
        RAISE EXCEPTION 'only days that have ended can be forgotten' USING ERRCODE = 'insufficient_privilege';
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext('audit_day'), old_day - date '1970-01-01');
    DELETE FROM audit_days WHERE day = old_day;
    RETURN FOUND;
END
$$;
-- +goose StatementEnd

-- audit_drop_forgotten_day frees what the oldest forgotten day has left and
-- returns the day, or NULL when there is none. It waits for who began to read
-- before, no longer than lock_timeout, and holds up others for that time.
-- +goose StatementBegin
CREATE FUNCTION audit_drop_forgotten_day() RETURNS date
LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    old_day date;
    parent  text;
BEGIN
    SELECT min(p.day) INTO old_day
    FROM (SELECT to_date(right(c.relname, 8), 'YYYYMMDD') AS day
          FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = 'audit_rows'::regclass) AS p
    WHERE NOT EXISTS (SELECT FROM audit_days d WHERE d.day = p.day);
    IF old_day IS NULL THEN
        RETURN NULL;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext('audit_day'), old_day - date '1970-01-01');
    IF NOT EXISTS (SELECT FROM audit_days WHERE day = old_day) THEN -- nor made again since
        FOREACH parent IN ARRAY ARRAY['audit_rows', 'audit_raw', 'audit_rollup_deltas', 'audit_rollup_kinds', 'audit_rollup_places', 'audit_rollup_actors'] LOOP
            EXECUTE format('DROP TABLE IF EXISTS %I', parent || to_char(old_day, '_YYYYMMDD'));
        END LOOP;
    END IF;
    RETURN old_day;
END
$$;
-- +goose StatementEnd

-- audit_keep_entries keeps entries of a dictionary until other days, no fewer
-- than before.
-- +goose StatementBegin
CREATE FUNCTION audit_keep_entries(dictionary text, keys uuid[], days date[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    IF dictionary <> ALL (ARRAY['audit_kinds', 'audit_places', 'audit_actors', 'audit_agents']) THEN
        RAISE 'no dictionary %', dictionary;
    END IF;
    EXECUTE format('UPDATE %I AS d SET last_day = w.last_day FROM unnest($1, $2) AS w (key, last_day)
        WHERE d.key = w.key AND d.last_day < w.last_day', dictionary) USING keys, days;
END
$$;
-- +goose StatementEnd

-- audit_prune_dictionaries removes entries that were needed until before a day,
-- but none that a row of a day that is left may have.
-- +goose StatementBegin
CREATE FUNCTION audit_prune_dictionaries(before date) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    dictionary text;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('audit_dictionary'), 0);
    FOREACH dictionary IN ARRAY ARRAY['audit_kinds', 'audit_places', 'audit_actors', 'audit_agents'] LOOP
        EXECUTE format('DELETE FROM %I WHERE last_day < $1 AND last_day < (SELECT min(day) FROM audit_days)', dictionary) USING before;
    END LOOP;
END
$$;
-- +goose StatementEnd

-- +goose StatementBegin
DO $$
DECLARE
    definer text;
BEGIN
    FOREACH definer IN ARRAY ARRAY['audit_create_day(date)', 'audit_forget_day(date)', 'audit_drop_forgotten_day()',
        'audit_keep_entries(text, uuid[], date[])', 'audit_prune_dictionaries(date)'] LOOP
        -- What a caller has in its own path, or makes as a temporary table, is
        -- not what these functions mean.
        EXECUTE format('ALTER FUNCTION %s SET search_path = %I, pg_temp', definer, current_schema());
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', definer);
    END LOOP;
END
$$;
-- +goose StatementEnd
