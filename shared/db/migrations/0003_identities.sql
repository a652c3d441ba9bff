-- Accounts at identity providers by which people log in.

CREATE TABLE user_identities (
    provider    text NOT NULL CHECK (provider IN ('google', 'facebook')),
    -- The provider's own id of the person: the only thing that names an account there.
    subject     text COLLATE "C" NOT NULL,
    user_id     uuid NOT NULL REFERENCES users (id),
    -- The address that the provider told at the time.
    email       text,
    created_at  timestamptz NOT NULL,
    CONSTRAINT user_identities_pkey PRIMARY KEY (provider, subject),
    CONSTRAINT user_identities_one_each UNIQUE (user_id, provider)
);

ALTER TABLE user_identities ENABLE ROW LEVEL SECURITY;
ALTER TABLE user_identities FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON user_identities TO mia_app USING (user_id = current_user_id())
    WITH CHECK (user_id = current_user_id());
-- An identity is found by what its provider vouches for.
CREATE POLICY shown_identity ON user_identities FOR SELECT TO mia_app
    USING (provider || ':' || subject = current_key_hash());
GRANT SELECT, INSERT, DELETE ON user_identities TO mia_app;
