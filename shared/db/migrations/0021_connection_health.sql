-- How connections fare: what stands in their way, what that comes to, and what their provider says of number and token.

-- The app that a connection's token belongs to, where we know it: with its secret Meta tells about the token.
ALTER TABLE connections ADD COLUMN app_id text;

CREATE TABLE connection_health (
    company_id            uuid NOT NULL,
    connection_id         uuid NOT NULL,
    state                 text NOT NULL DEFAULT 'connected' CHECK (state IN ('connected', 'degraded', 'down')),
    -- The gravest of what stands in its way.
    reason                text,
    since                 timestamptz NOT NULL,
    checked_at            timestamptz,
    -- The number, in the provider's words.
    verified_name         text,
    display_phone_number  text,
    quality               text,
    messaging_limit       text,
    throughput            text,
    name_status           text,
    -- The token. Without an end: it never expires, or nobody knows.
    token_expires_at      timestamptz,
    -- When people were last told of it.
    token_noticed_at      timestamptz,
    -- What the provider told of the account earlier than this changes nothing.
    account_told_at       timestamptz,
    version               integer NOT NULL DEFAULT 1,
    PRIMARY KEY (company_id, connection_id),
    FOREIGN KEY (company_id, connection_id) REFERENCES connections (company_id, id) ON DELETE CASCADE
);

CREATE TABLE connection_obstacles (
    company_id     uuid NOT NULL,
    connection_id  uuid NOT NULL,
    kind           text NOT NULL,
    since          timestamptz NOT NULL,
    -- In the provider's words.
    detail         text,
    PRIMARY KEY (company_id, connection_id, kind),
    FOREIGN KEY (company_id, connection_id) REFERENCES connections (company_id, id) ON DELETE CASCADE
);

DO $$
DECLARE
    tenant_table text;
BEGIN
    FOREACH tenant_table IN ARRAY ARRAY['connection_health', 'connection_obstacles']
    LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', tenant_table);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', tenant_table);
        EXECUTE format('CREATE POLICY tenant ON %I USING (company_id = current_company())
                        WITH CHECK (company_id = current_company())', tenant_table);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO mia_app', tenant_table);
    END LOOP;
END $$;

-- A schedule asks for a check where the last one is long ago.
CREATE POLICY upkeep ON connection_health FOR SELECT TO mia_system USING (true);
GRANT SELECT (company_id, connection_id, state, checked_at) ON connection_health TO mia_system;
