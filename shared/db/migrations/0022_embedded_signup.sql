-- Numbers that come by Meta's Embedded Signup, and what has to follow at Meta before a number works.

ALTER TABLE connections
    -- Sealed: the PIN by which its number is registered with the Cloud API.
    ADD COLUMN registration_pin text;

-- The token that a code was exchanged for: a code works once, and what failed after it may be asked again for an hour.
CREATE TABLE embedded_signups (
    company_id    uuid NOT NULL REFERENCES companies (id) ON DELETE CASCADE,
    code_hash     text NOT NULL,
    -- Sealed.
    access_token  text NOT NULL,
    created_at    timestamptz NOT NULL,
    PRIMARY KEY (company_id, code_hash)
);
CREATE INDEX embedded_signups_over ON embedded_signups (created_at);

-- What Meta was asked for a connection, step by step: none of it is asked twice.
CREATE TABLE connection_onboardings (
    company_id         uuid NOT NULL,
    connection_id      uuid NOT NULL,
    -- Of a number that somebody registered elsewhere, one that is to be registered, one that stays in the phone's app.
    way                text NOT NULL CHECK (way IN ('token', 'registration', 'coexistence')),
    -- When a person last gave a token: what was done before that says nothing of it.
    asked_at           timestamptz NOT NULL,
    subscribed_at      timestamptz,
    registered_at      timestamptz,
    contacts_asked_at  timestamptz,
    history_asked_at   timestamptz,
    -- Why a step was refused: nothing goes on before a person says so.
    failure            text,
    -- And not before this time.
    not_before         timestamptz,
    -- What of the phone's app does not come, and nothing else suffers from it.
    missed             text,
    PRIMARY KEY (company_id, connection_id),
    FOREIGN KEY (company_id, connection_id) REFERENCES connections (company_id, id) ON DELETE CASCADE
);

DO $$
DECLARE
    tenant_table text;
BEGIN
    FOREACH tenant_table IN ARRAY ARRAY['embedded_signups', 'connection_onboardings']
    LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', tenant_table);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', tenant_table);
        EXECUTE format('CREATE POLICY tenant ON %I USING (company_id = current_company())
                        WITH CHECK (company_id = current_company())', tenant_table);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO mia_app', tenant_table);
    END LOOP;
END $$;

-- Schedules seal the PIN anew, and throw tokens away that nobody came back for.
GRANT SELECT (registration_pin), UPDATE (registration_pin) ON connections TO mia_system;
GRANT SELECT (company_id, code_hash, created_at), DELETE ON embedded_signups TO mia_system;
CREATE POLICY cleanup_read ON embedded_signups FOR SELECT TO mia_system USING (true);
CREATE POLICY cleanup ON embedded_signups FOR DELETE TO mia_system USING (true);
