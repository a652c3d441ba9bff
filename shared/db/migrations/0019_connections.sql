-- Connections of every kind, made and changed by people.

ALTER TABLE connections
    -- What calls of the account need besides secrets: the server's address, the instance, the account's id, the sender.
    ADD COLUMN settings      jsonb NOT NULL DEFAULT '{}',
    -- How the provider says that it stands, since when, and why; see domain::connection::ConnectionState.
    ADD COLUMN state         text NOT NULL DEFAULT 'unknown'
                             CHECK (state IN ('unknown', 'connecting', 'connected', 'degraded', 'down')),
    ADD COLUMN state_reason  text,
    ADD COLUMN state_since   timestamptz,
    -- When the provider last said so: words that are older change nothing.
    ADD COLUMN state_told_at timestamptz,
    -- Grows with every change.
    ADD COLUMN version       integer NOT NULL DEFAULT 1,
    -- Gone for everybody; conversations that ran over it keep it.
    ADD COLUMN deleted_at    timestamptz;

CREATE INDEX connections_newest ON connections (company_id, created_at DESC, id DESC) WHERE deleted_at IS NULL;
-- An account is connected once. Instances of gateways are named by their servers.
CREATE UNIQUE INDEX connections_account_key
    ON connections (company_id, kind, provider_account, coalesce(settings ->> 'base_url', '')) WHERE deleted_at IS NULL;
