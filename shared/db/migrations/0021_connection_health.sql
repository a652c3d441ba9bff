-- How connections fare: what stands in their way, and what their provider says of number and token.

ALTER TABLE connections
    -- The app that the token was made for, where we know it: with its secret Meta tells about the token.
    ADD COLUMN app_id                text,
    -- The gravest obstacle. (state_reason has words of a release before, which may still run beside this one.)
    ADD COLUMN state_obstacle        text,
    -- When the provider was last asked.
    ADD COLUMN checked_at            timestamptz,
    -- The number, in the provider's words.
    ADD COLUMN verified_name         text,
    ADD COLUMN display_phone_number  text,
    ADD COLUMN quality               text,
    ADD COLUMN messaging_limit       text,
    ADD COLUMN throughput            text,
    ADD COLUMN name_status           text,
    -- Without an end: the token never expires, or nobody knows.
    ADD COLUMN token_expires_at      timestamptz,
    -- When people were last told of it.
    ADD COLUMN token_noticed_at      timestamptz,
    -- By obstacle, when the provider last told of it: what it told earlier changes nothing.
    ADD COLUMN account_told_at       jsonb NOT NULL DEFAULT '{}';

CREATE TABLE connection_obstacles (
    company_id     uuid NOT NULL,
    connection_id  uuid NOT NULL,
    -- See domain::health::Obstacle; a connection's state and reason follow from the gravest.
    kind           text NOT NULL,
    since          timestamptz NOT NULL,
    -- In the provider's words.
    detail         text,
    PRIMARY KEY (company_id, connection_id, kind),
    FOREIGN KEY (company_id, connection_id) REFERENCES connections (company_id, id) ON DELETE CASCADE
);

ALTER TABLE connection_obstacles ENABLE ROW LEVEL SECURITY;
ALTER TABLE connection_obstacles FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON connection_obstacles
    USING (company_id = current_company()) WITH CHECK (company_id = current_company());
GRANT SELECT, INSERT, UPDATE, DELETE ON connection_obstacles TO mia_app;

-- What is no message's is searched for the addresses of a person to be forgotten, whatever kinds there are by now.
CREATE OR REPLACE FUNCTION erase_other_events(mentioned text[]) RETURNS bigint
    LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    WITH gone AS (
        UPDATE inbound_events e SET payload = '{}', reason = NULL
        WHERE e.company_id = current_company() AND e.kind NOT IN ('message', 'status')
          AND EXISTS (SELECT FROM unnest(mentioned) AS word WHERE length(word) >= 8 AND strpos(e.payload, word) > 0)
        RETURNING 1)
    SELECT count(*) FROM gone
$$;
DROP INDEX inbound_events_other;
CREATE INDEX inbound_events_other ON inbound_events (company_id) WHERE kind NOT IN ('message', 'status');

-- A schedule asks for a check where the last one is long ago.
GRANT SELECT (kind, state, checked_at, deleted_at) ON connections TO mia_system;
