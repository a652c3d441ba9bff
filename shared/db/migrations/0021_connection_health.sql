-- How connections fare: what stands in their way, and what their provider says of number and token.

ALTER TABLE connections
    -- The app that the token was made for, where we know it: with its secret Meta tells about the token.
    ADD COLUMN app_id                text,
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
    -- What the provider told of the account earlier than this changes nothing.
    ADD COLUMN account_told_at       timestamptz;

-- Reasons had other words before: how connections stand is asked anew.
ALTER TABLE connections NO FORCE ROW LEVEL SECURITY;
UPDATE connections SET state = 'unknown', state_reason = NULL, state_since = NULL, state_told_at = NULL;
ALTER TABLE connections FORCE ROW LEVEL SECURITY;

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

-- A schedule asks for a check where the last one is long ago.
GRANT SELECT (kind, state, checked_at, deleted_at) ON connections TO mia_system;
