-- Accounts: log-in sessions with rotating refresh tokens, one-time tokens sent by mail, invitations, departments, API keys
-- with rights of their own, and the audit log. People are global; what is theirs alone is seen by them alone.

CREATE FUNCTION current_email() RETURNS citext LANGUAGE sql STABLE PARALLEL SAFE
    RETURN nullif(current_setting('app.email', true), '')::citext;

-- Who came by an identity provider has no password.
ALTER TABLE users ALTER COLUMN password_hash DROP NOT NULL;
ALTER TABLE users ADD COLUMN locale text NOT NULL DEFAULT 'pt' CHECK (locale IN ('pt', 'en'));

ALTER TABLE memberships ADD COLUMN deactivated_at timestamptz;

-- A key holds permissions (domain::user::Permission), not a role.
ALTER TABLE api_keys
    ADD COLUMN permissions text[] NOT NULL DEFAULT '{}',
    ADD COLUMN hint text NOT NULL DEFAULT '',
    ADD COLUMN created_by uuid REFERENCES users (id),
    ADD COLUMN expires_at timestamptz,
    ADD COLUMN last_used_at timestamptz;
UPDATE api_keys SET permissions = CASE role
    WHEN 'viewer' THEN ARRAY['read_inbox', 'read_company']
    WHEN 'agent' THEN ARRAY['read_inbox', 'write_inbox', 'read_company']
    WHEN 'supervisor' THEN ARRAY['read_inbox', 'write_inbox', 'read_company', 'manage_departments']
    ELSE ARRAY['read_inbox', 'write_inbox', 'read_company', 'manage_company', 'manage_members', 'manage_departments',
               'manage_api_keys', 'read_audit_log'] END;
ALTER TABLE api_keys DROP COLUMN role;
CREATE INDEX api_keys_newest ON api_keys (company_id, created_at DESC, id DESC);

-- One log-in of one person on one device: a family of refresh tokens.
CREATE TABLE login_sessions (
    id                 uuid PRIMARY KEY,
    user_id            uuid NOT NULL REFERENCES users (id),
    -- The company that its tokens speak for.
    active_company_id  uuid NOT NULL REFERENCES companies (id),
    ip                 text NOT NULL DEFAULT '',
    user_agent         text NOT NULL DEFAULT '',
    created_at         timestamptz NOT NULL,
    refreshed_at       timestamptz NOT NULL,
    expires_at         timestamptz NOT NULL,
    ended_at           timestamptz,
    end_reason         text
);
CREATE INDEX login_sessions_user ON login_sessions (user_id, created_at DESC);

-- Kept after use: a second use is how a stolen one is noticed.
CREATE TABLE refresh_tokens (
    token_hash  text COLLATE "C" PRIMARY KEY,
    session_id  uuid NOT NULL REFERENCES login_sessions (id) ON DELETE CASCADE,
    user_id     uuid NOT NULL REFERENCES users (id),
    created_at  timestamptz NOT NULL,
    used_at     timestamptz
);
CREATE INDEX refresh_tokens_session ON refresh_tokens (session_id);

-- Sent by mail, good once. One of a kind a person: a new one replaces the last.
CREATE TABLE account_tokens (
    user_id     uuid NOT NULL REFERENCES users (id),
    purpose     text NOT NULL CHECK (purpose IN ('verify_email', 'reset_password')),
    token_hash  text COLLATE "C" NOT NULL CONSTRAINT account_tokens_token_hash_key UNIQUE,
    expires_at  timestamptz NOT NULL,
    created_at  timestamptz NOT NULL,
    PRIMARY KEY (user_id, purpose)
);

CREATE TABLE departments (
    company_id  uuid NOT NULL REFERENCES companies (id),
    id          uuid NOT NULL,
    name        text NOT NULL CHECK (length(name) BETWEEN 1 AND 100),
    created_at  timestamptz NOT NULL,
    PRIMARY KEY (company_id, id),
    CONSTRAINT departments_name_key UNIQUE (company_id, name)
);

CREATE TABLE department_members (
    company_id     uuid NOT NULL,
    department_id  uuid NOT NULL,
    user_id        uuid NOT NULL,
    PRIMARY KEY (company_id, department_id, user_id),
    FOREIGN KEY (company_id, department_id) REFERENCES departments (company_id, id) ON DELETE CASCADE,
    FOREIGN KEY (company_id, user_id) REFERENCES memberships (company_id, user_id) ON DELETE CASCADE
);
CREATE INDEX department_members_user ON department_members (company_id, user_id);

CREATE TABLE invitations (
    company_id   uuid NOT NULL REFERENCES companies (id),
    id           uuid NOT NULL,
    email        citext NOT NULL,
    role         text NOT NULL CHECK (role IN ('admin', 'supervisor', 'agent', 'viewer')),
    locale       text NOT NULL CHECK (locale IN ('pt', 'en')),
    invited_by   uuid REFERENCES users (id),
    -- Made when the mail leaves.
    token_hash   text COLLATE "C" CONSTRAINT invitations_token_hash_key UNIQUE,
    expires_at   timestamptz NOT NULL,
    created_at   timestamptz NOT NULL,
    accepted_at  timestamptz,
    revoked_at   timestamptz,
    PRIMARY KEY (company_id, id)
);
CREATE UNIQUE INDEX invitations_open ON invitations (company_id, email)
    WHERE accepted_at IS NULL AND revoked_at IS NULL;
CREATE INDEX invitations_newest ON invitations (company_id, created_at DESC, id DESC);

-- Who did what to which object. Only grows.
CREATE TABLE audit_log (
    company_id   uuid NOT NULL REFERENCES companies (id),
    id           uuid NOT NULL,
    at           timestamptz NOT NULL,
    actor_kind   text NOT NULL CHECK (actor_kind IN ('person', 'api_key', 'system')),
    actor_id     uuid,
    action       text NOT NULL,
    object_kind  text NOT NULL,
    object_id    uuid,
    ip           text NOT NULL DEFAULT '',
    detail       jsonb NOT NULL DEFAULT '{}',
    PRIMARY KEY (company_id, id)
);
CREATE INDEX audit_log_newest ON audit_log (company_id, at DESC, id DESC);

DO $$
DECLARE
    tenant_table text;
BEGIN
    FOREACH tenant_table IN ARRAY ARRAY['departments', 'department_members', 'invitations', 'audit_log']
    LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', tenant_table);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', tenant_table);
        EXECUTE format('CREATE POLICY tenant ON %I USING (company_id = current_company())
                        WITH CHECK (company_id = current_company())', tenant_table);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO mia_app', tenant_table);
    END LOOP;
END $$;
REVOKE UPDATE, DELETE ON audit_log FROM mia_app;
GRANT UPDATE ON companies TO mia_app;

-- An invitation is shown by who has its token, before they belong to the company.
CREATE POLICY shown_invitation ON invitations FOR SELECT TO mia_app USING (token_hash = current_key_hash());

-- People: themselves, who gives their address, and their colleagues.
ALTER TABLE users ENABLE ROW LEVEL SECURITY;
ALTER TABLE users FORCE ROW LEVEL SECURITY;
CREATE POLICY own_user ON users TO mia_app USING (id = current_user_id()) WITH CHECK (id = current_user_id());
CREATE POLICY by_email ON users FOR SELECT TO mia_app USING (email = current_email());
CREATE POLICY colleagues ON users FOR SELECT TO mia_app
    USING (id IN (SELECT user_id FROM memberships WHERE company_id = current_company()));
GRANT UPDATE ON users TO mia_app;

DO $$
DECLARE
    personal_table text;
BEGIN
    FOREACH personal_table IN ARRAY ARRAY['login_sessions', 'refresh_tokens', 'account_tokens']
    LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', personal_table);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', personal_table);
        EXECUTE format('CREATE POLICY own ON %I TO mia_app USING (user_id = current_user_id())
                        WITH CHECK (user_id = current_user_id())', personal_table);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO mia_app', personal_table);
    END LOOP;
END $$;
-- A token is found by who shows it.
CREATE POLICY shown_refresh_token ON refresh_tokens FOR SELECT TO mia_app USING (token_hash = current_key_hash());
CREATE POLICY shown_account_token ON account_tokens FOR SELECT TO mia_app USING (token_hash = current_key_hash());

-- A company can end the sessions of the members that it deactivates, as far as they speak for it.
CREATE POLICY ended_by_company ON login_sessions TO mia_app
    USING (active_company_id = current_company()) WITH CHECK (active_company_id = current_company());
