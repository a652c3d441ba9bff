-- The foundation: companies and their people, connections, contacts, conversations, messages, and the two ledgers
-- (inbound_events, outbox) that make sure that nothing is lost on the way in or out.
--
-- Runs as mia_owner. Roles mia_app and mia_system, and the extensions, exist already: making them takes rights that
-- the owner does not have. Tenant tables begin their keys with company_id, so that a foreign key cannot leave its
-- company, and force row-level security, so that a query without a scope sees nothing.

-- The company that the current transaction speaks for; NULL (no rows) when none was set.
CREATE FUNCTION current_company() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE
    RETURN nullif(current_setting('app.company_id', true), '')::uuid;

-- The person, or the API key's hash, that is being authenticated, before any company is known.
CREATE FUNCTION current_user_id() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE
    RETURN nullif(current_setting('app.user_id', true), '')::uuid;
CREATE FUNCTION current_key_hash() RETURNS text LANGUAGE sql STABLE PARALLEL SAFE
    RETURN nullif(current_setting('app.key_hash', true), '');

-- The lattice of domain::message::MessageStatus::rank; a test compares the two.
CREATE FUNCTION message_status_rank(status text) RETURNS smallint LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE status
        WHEN 'received' THEN 0 WHEN 'queued' THEN 0 WHEN 'sending' THEN 1 WHEN 'unknown' THEN 2
        WHEN 'sent' THEN 3 WHEN 'failed' THEN 4 WHEN 'delivered' THEN 5 WHEN 'read' THEN 6 END;

CREATE TABLE companies (
    id          uuid PRIMARY KEY,
    name        text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    settings    jsonb NOT NULL DEFAULT '{}',
    created_at  timestamptz NOT NULL DEFAULT now()
);

-- People are global: one log-in, many companies. Not a tenant table.
CREATE TABLE users (
    id                 uuid PRIMARY KEY,
    email              citext NOT NULL CONSTRAINT users_email_key UNIQUE,
    name               text NOT NULL,
    password_hash      text NOT NULL,
    email_verified_at  timestamptz,
    created_at         timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE memberships (
    company_id  uuid NOT NULL REFERENCES companies (id),
    user_id     uuid NOT NULL REFERENCES users (id),
    role        text NOT NULL CHECK (role IN ('owner', 'admin', 'supervisor', 'agent', 'viewer')),
    created_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (company_id, user_id)
);
CREATE INDEX memberships_user ON memberships (user_id);

CREATE TABLE api_keys (
    company_id    uuid NOT NULL REFERENCES companies (id),
    id            uuid NOT NULL,
    name          text NOT NULL,
    key_hash      text NOT NULL CONSTRAINT api_keys_key_hash_key UNIQUE,
    role          text NOT NULL CHECK (role IN ('owner', 'admin', 'supervisor', 'agent', 'viewer')),
    created_at    timestamptz NOT NULL DEFAULT now(),
    revoked_at    timestamptz,
    PRIMARY KEY (company_id, id)
);

CREATE TABLE personas (
    company_id             uuid NOT NULL REFERENCES companies (id),
    id                     uuid NOT NULL,
    name                   text NOT NULL,
    model                  text NOT NULL,
    instructions           text NOT NULL,
    temperature            real CHECK (temperature BETWEEN 0 AND 2),
    max_completion_tokens  integer CHECK (max_completion_tokens > 0),
    created_at             timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (company_id, id)
);

CREATE TABLE connections (
    company_id        uuid NOT NULL REFERENCES companies (id),
    id                uuid NOT NULL,
    kind              text NOT NULL CHECK (kind IN
                          ('whatsapp_cloud', 'whatsapp_web', 'evolution', 'uazapi', 'twilio_sms', 'retell')),
    name              text NOT NULL,
    slug              text NOT NULL CONSTRAINT connections_slug_key UNIQUE,
    -- The provider's own id of the account: a phone_number_id on the Cloud API.
    provider_account  text NOT NULL,
    waba_id           text,
    -- Sealed (AES-256-GCM, see cloud::seal); never plain.
    access_token      text NOT NULL,
    app_secret        text NOT NULL,
    verify_token      text NOT NULL,
    persona_id        uuid,
    created_at        timestamptz NOT NULL DEFAULT now(),
    updated_at        timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (company_id, id),
    FOREIGN KEY (company_id, persona_id) REFERENCES personas (company_id, id)
);

CREATE TABLE contacts (
    company_id               uuid NOT NULL REFERENCES companies (id),
    id                       uuid NOT NULL,
    name                     text NOT NULL DEFAULT '',
    phone                    text,
    email                    text,
    username                 text,
    source                   text NOT NULL,
    external_id              text,
    bypass_bots              boolean NOT NULL DEFAULT false,
    custom                   jsonb NOT NULL DEFAULT '{}',
    tags                     text[] NOT NULL DEFAULT '{}',
    opted_out_at             timestamptz,
    marketing_opted_out_at   timestamptz,
    created_at               timestamptz NOT NULL,
    updated_at               timestamptz NOT NULL,
    PRIMARY KEY (company_id, id)
);
CREATE INDEX contacts_newest ON contacts (company_id, created_at DESC, id DESC);

-- Every way in which a contact is addressed. An address belongs to one contact of a company.
CREATE TABLE contact_addresses (
    company_id  uuid NOT NULL,
    kind        text NOT NULL CHECK (kind IN ('e164', 'wa_id', 'lid', 'bsuid', 'email', 'external')),
    value       text NOT NULL,
    contact_id  uuid NOT NULL,
    created_at  timestamptz NOT NULL,
    PRIMARY KEY (company_id, kind, value),
    FOREIGN KEY (company_id, contact_id) REFERENCES contacts (company_id, id)
);
CREATE INDEX contact_addresses_contact ON contact_addresses (company_id, contact_id);

CREATE TABLE conversations (
    company_id        uuid NOT NULL REFERENCES companies (id),
    id                uuid NOT NULL,
    connection_id     uuid NOT NULL,
    -- What makes a thread one: the contact's id, or 'group:<id>'.
    thread_key        text NOT NULL,
    contact_id        uuid NOT NULL,
    channel           text NOT NULL,
    status            text NOT NULL DEFAULT 'open' CHECK (status IN ('open', 'closed')),
    -- The provider's own address of the customer: what is sent to.
    address_kind      text NOT NULL,
    address_value     text NOT NULL,
    is_group          boolean NOT NULL DEFAULT false,
    unread_count      integer NOT NULL DEFAULT 0,
    last_message_id   uuid,
    last_message_at   timestamptz,
    last_inbound_at   timestamptz,
    assignee_id       uuid,
    department_id     uuid,
    tags              text[] NOT NULL DEFAULT '{}',
    version           integer NOT NULL DEFAULT 1,
    created_at        timestamptz NOT NULL,
    updated_at        timestamptz NOT NULL,
    PRIMARY KEY (company_id, id),
    CONSTRAINT conversations_thread_key UNIQUE (company_id, connection_id, thread_key),
    FOREIGN KEY (company_id, connection_id) REFERENCES connections (company_id, id),
    FOREIGN KEY (company_id, contact_id) REFERENCES contacts (company_id, id)
) WITH (fillfactor = 85);
-- Lists order by activity; a conversation without a message stands at its creation.
CREATE INDEX conversations_activity ON conversations (company_id, updated_at DESC, id DESC);
CREATE INDEX conversations_contact ON conversations (company_id, contact_id);

CREATE TABLE sessions (
    company_id              uuid NOT NULL REFERENCES companies (id),
    id                      uuid NOT NULL,
    conversation_id         uuid NOT NULL,
    contact_id              uuid NOT NULL,
    status                  text NOT NULL CHECK (status IN ('QUEUED', 'ACTIVE', 'PAUSED', 'CLOSED')),
    started_by              text NOT NULL CHECK (started_by IN ('CUSTOMER', 'BUSINESS', 'AGENT')),
    status_reason           text,
    end_reason              text,
    external_id             text,
    assigned_department_id  uuid,
    assigned_agent_id       uuid,
    assigned_customer_id    uuid,
    concat_timeout          integer NOT NULL DEFAULT 6 CHECK (concat_timeout BETWEEN 5 AND 8),
    ai_blocked_until        timestamptz,
    tabulations             text[] NOT NULL DEFAULT '{}',
    created_at              timestamptz NOT NULL,
    updated_at              timestamptz NOT NULL,
    closed_at               timestamptz,
    PRIMARY KEY (company_id, id),
    FOREIGN KEY (company_id, conversation_id) REFERENCES conversations (company_id, id),
    FOREIGN KEY (company_id, contact_id) REFERENCES contacts (company_id, id)
);
-- A conversation has one session at a time that is not over.
CREATE UNIQUE INDEX sessions_open ON sessions (company_id, conversation_id) WHERE status <> 'CLOSED';
CREATE INDEX sessions_newest ON sessions (company_id, created_at DESC, id DESC);
CREATE INDEX sessions_contact ON sessions (company_id, contact_id, created_at);

CREATE TABLE turns (
    company_id       uuid NOT NULL REFERENCES companies (id),
    id               uuid NOT NULL,
    conversation_id  uuid NOT NULL,
    session_id       uuid NOT NULL,
    state            text NOT NULL CHECK (state IN ('open', 'ready', 'answered', 'skipped', 'failed')),
    reason           text,
    -- Grows with every message; only the job that carries the newest one closes the turn.
    version          integer NOT NULL DEFAULT 1,
    last_message_id  uuid NOT NULL,
    first_at         timestamptz NOT NULL,
    due_at           timestamptz NOT NULL,
    updated_at       timestamptz NOT NULL,
    PRIMARY KEY (company_id, id),
    FOREIGN KEY (company_id, session_id) REFERENCES sessions (company_id, id)
) WITH (fillfactor = 85);
CREATE INDEX turns_session ON turns (company_id, session_id, id);
CREATE UNIQUE INDEX turns_open ON turns (company_id, session_id) WHERE state = 'open';

CREATE TABLE messages (
    company_id             uuid NOT NULL REFERENCES companies (id),
    id                     uuid NOT NULL,
    conversation_id        uuid NOT NULL,
    session_id             uuid NOT NULL,
    connection_id          uuid NOT NULL,
    contact_id             uuid NOT NULL,
    direction              text NOT NULL CHECK (direction IN ('inbound', 'outbound')),
    author                 text NOT NULL CHECK (author IN
                               ('CUSTOMER', 'AGENT', 'AI', 'BUSINESS', 'SYSTEM', 'AGENT_PLATFORM')),
    type                   text NOT NULL,
    text                   text,
    -- The type's own fields in the provider's words: location, contacts, interactive, template …
    content                jsonb,
    media                  jsonb,
    reply_to_id            uuid,
    -- What the customer answered, by the provider's id: it may be older than our records.
    reply_to_provider_id   text,
    status                 text NOT NULL CHECK (message_status_rank(status) IS NOT NULL),
    error                  jsonb,
    provider_message_id    text COLLATE "C",
    billing                jsonb,
    turn_id                uuid,
    -- A long answer is several messages.
    turn_part              smallint,
    author_user_id         uuid,
    attempts               smallint NOT NULL DEFAULT 0,
    version                integer NOT NULL DEFAULT 1,
    -- The place in the conversation: the provider's time inbound, ours outbound.
    occurred_at            timestamptz NOT NULL,
    created_at             timestamptz NOT NULL,
    sent_at                timestamptz,
    delivered_at           timestamptz,
    read_at                timestamptz,
    failed_at              timestamptz,
    PRIMARY KEY (company_id, id),
    FOREIGN KEY (company_id, conversation_id) REFERENCES conversations (company_id, id),
    FOREIGN KEY (company_id, session_id) REFERENCES sessions (company_id, id)
-- Statuses update a message three times soon after it was written: room for it on its own page.
) WITH (fillfactor = 80);
CREATE UNIQUE INDEX messages_provider_message_id ON messages (company_id, connection_id, provider_message_id)
    WHERE provider_message_id IS NOT NULL;
CREATE INDEX messages_conversation ON messages (company_id, conversation_id, occurred_at DESC, id DESC);
CREATE INDEX messages_session ON messages (company_id, session_id, occurred_at DESC, id DESC);
CREATE INDEX messages_contact ON messages (company_id, contact_id, occurred_at, id);
CREATE INDEX messages_newest ON messages (company_id, occurred_at DESC, id DESC);
-- A turn has one answer, whatever is redelivered.
CREATE UNIQUE INDEX messages_turn ON messages (company_id, turn_id, turn_part) WHERE turn_id IS NOT NULL;

-- Journal of everything that providers told us, once each; `payload` is JSON text, replayable as it came.
CREATE TABLE inbound_events (
    company_id     uuid NOT NULL REFERENCES companies (id),
    connection_id  uuid NOT NULL,
    key            text COLLATE "C" NOT NULL,
    kind           text NOT NULL,
    -- Why an event was kept without being acted upon.
    reason         text,
    payload        text NOT NULL,
    received_at    timestamptz NOT NULL,
    stored_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (company_id, connection_id, key)
);

-- Jobs and events that the data of the same transaction caused. A row is deleted when it was handed over.
CREATE TABLE outbox (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    company_id    uuid NOT NULL REFERENCES companies (id),
    -- 'queue' or 'bus'.
    destination   text NOT NULL CHECK (destination IN ('queue', 'bus')),
    body          text NOT NULL,
    -- A job that must not start earlier.
    due_at        timestamptz,
    -- Until then the process that wrote the row hands it over itself; later the relay does.
    claimed_until timestamptz NOT NULL,
    attempts      integer NOT NULL DEFAULT 0,
    created_at    timestamptz NOT NULL DEFAULT now()
) WITH (autovacuum_vacuum_scale_factor = 0.0, autovacuum_vacuum_threshold = 5000);
CREATE INDEX outbox_claimed_until ON outbox (claimed_until);

-- Answers to POST requests that carried an Idempotency-Key.
CREATE TABLE idempotency_keys (
    company_id    uuid NOT NULL REFERENCES companies (id),
    key           text NOT NULL CHECK (length(key) BETWEEN 1 AND 255),
    request_hash  text NOT NULL,
    resource_id   uuid NOT NULL,
    created_at    timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (company_id, key)
);

-- Rights and policies. Tables without a company are readable where authentication needs them, and no more.
GRANT USAGE ON SCHEMA public TO mia_app, mia_system;
GRANT SELECT, INSERT ON companies, users TO mia_app;

DO $$
DECLARE
    tenant_table text;
BEGIN
    FOREACH tenant_table IN ARRAY ARRAY['memberships', 'api_keys', 'personas', 'connections', 'contacts',
        'contact_addresses', 'conversations', 'sessions', 'turns', 'messages', 'inbound_events', 'outbox',
        'idempotency_keys']
    LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', tenant_table);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', tenant_table);
        EXECUTE format('CREATE POLICY tenant ON %I USING (company_id = current_company())
                        WITH CHECK (company_id = current_company())', tenant_table);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO mia_app', tenant_table);
    END LOOP;
END $$;
ALTER TABLE companies ENABLE ROW LEVEL SECURITY;
ALTER TABLE companies FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON companies USING (id = current_company()) WITH CHECK (id = current_company());

-- The journal only grows: what a provider said is not ours to change.
REVOKE UPDATE, DELETE ON inbound_events FROM mia_app;

-- Log-in happens before a company is known: a person sees the own memberships and their companies, a key itself.
CREATE POLICY own_memberships ON memberships FOR SELECT TO mia_app USING (user_id = current_user_id());
CREATE POLICY own_key ON api_keys FOR SELECT TO mia_app USING (key_hash = current_key_hash());
CREATE POLICY own_companies ON companies FOR SELECT TO mia_app
    USING (id IN (SELECT company_id FROM memberships WHERE user_id = current_user_id()));

-- The relay moves every company's outbox, and nothing else.
GRANT SELECT, UPDATE, DELETE ON outbox TO mia_system;
CREATE POLICY relay ON outbox TO mia_system USING (true) WITH CHECK (true);
