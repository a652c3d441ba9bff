-- Customers as a business keeps them: found by any part of a name, number or address; with fields, tags and notes of its
-- own; and a ledger of what each said about being written to.

-- Small letters without accents. In PL/pgSQL: half a microsecond, where a function in SQL takes twice as long. The
-- dictionary is the one that comes with PostgreSQL, which nobody changes; hence immutable.
CREATE FUNCTION folded(value text) RETURNS text LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
BEGIN
    RETURN lower(public.unaccent('public.unaccent'::regdictionary, value));
END $$;

-- What a contact is searched in. A blank stands before each word, so that the beginning of one can be asked for.
CREATE FUNCTION contact_search(name text, username text, email text, phone text)
RETURNS text LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    RETURN ' ' || lower(public.unaccent('public.unaccent'::regdictionary, concat_ws(' ', name, username, email)))
        || ' ' || coalesce(ltrim(phone, '+'), '');
END $$;

ALTER TABLE contacts
    -- When the customer last said yes or no: older words that come later change nothing.
    ADD COLUMN consent_changed_at timestamptz,
    ADD COLUMN search text NOT NULL GENERATED ALWAYS AS (contact_search(name, username, email, phone)) STORED;

CREATE INDEX contacts_search ON contacts USING gin (company_id, search gin_trgm_ops);
CREATE INDEX contacts_tags ON contacts USING gin (company_id, tags) WHERE tags <> '{}';
CREATE INDEX contacts_source ON contacts (company_id, source, created_at DESC, id DESC);
CREATE INDEX contacts_opted_out ON contacts (company_id, created_at DESC, id DESC) WHERE opted_out_at IS NOT NULL;

-- The company's contacts, for conditions that only such an index answers. Below row-level security PostgreSQL asks no
-- index what is not proved to tell nothing of other rows, and neither LIKE nor @> is: as mia_app they read the whole
-- company. A view reads as its owner, so the owner may see the table; the wall is the view's own condition
-- (infra/docs/decisions/0013-what-is-searched-is-read-through-a-view.md).
CREATE POLICY searched ON contacts FOR SELECT TO mia_owner USING (true);
CREATE VIEW searchable_contacts AS
    SELECT company_id, id, name, phone, email, source, external_id, bypass_bots, custom, tags, opted_out_at, created_at,
           search
    FROM contacts WHERE company_id = current_company();
GRANT SELECT ON searchable_contacts TO mia_app;

-- What a company wants to know of its customers. Values stand in contacts.custom by `key`.
CREATE TABLE contact_fields (
    company_id  uuid NOT NULL REFERENCES companies (id),
    id          uuid NOT NULL,
    key         text NOT NULL CHECK (key ~ '^[a-z][a-z0-9_]{0,62}$'),
    label       text NOT NULL CHECK (length(label) BETWEEN 1 AND 100),
    type        text NOT NULL CHECK (type IN ('text', 'number', 'date', 'boolean', 'choice')),
    options     text[] NOT NULL DEFAULT '{}' CHECK ((type = 'choice') = (options <> '{}')),
    created_at  timestamptz NOT NULL,
    updated_at  timestamptz NOT NULL,
    PRIMARY KEY (company_id, id),
    CONSTRAINT contact_fields_key_key UNIQUE (company_id, key)
);
CREATE INDEX contact_fields_label ON contact_fields (company_id, lower(label), id);

-- The tags that a company's people choose from.
CREATE TABLE tabulations (
    company_id  uuid NOT NULL REFERENCES companies (id),
    id          uuid NOT NULL,
    name        text NOT NULL CHECK (length(name) BETWEEN 1 AND 100),
    color       text CHECK (color ~ '^#[0-9a-f]{6}$'),
    created_at  timestamptz NOT NULL,
    updated_at  timestamptz NOT NULL,
    PRIMARY KEY (company_id, id)
);
CREATE UNIQUE INDEX tabulations_name_key ON tabulations (company_id, lower(name));

CREATE TABLE contact_notes (
    company_id      uuid NOT NULL,
    id              uuid NOT NULL,
    contact_id      uuid NOT NULL,
    text            text NOT NULL CHECK (length(text) BETWEEN 1 AND 4096),
    -- Nobody when an API key wrote it.
    author_user_id  uuid,
    created_at      timestamptz NOT NULL,
    updated_at      timestamptz NOT NULL,
    PRIMARY KEY (company_id, id),
    FOREIGN KEY (company_id, contact_id) REFERENCES contacts (company_id, id) ON DELETE CASCADE
);
CREATE INDEX contact_notes_contact ON contact_notes (company_id, contact_id, created_at DESC, id DESC);

-- What customers said about being written to, and how the company knows. Only grows, and keeps its contact.
CREATE TABLE contact_consents (
    company_id  uuid NOT NULL,
    id          uuid NOT NULL,
    contact_id  uuid NOT NULL,
    kind        text NOT NULL CHECK (kind IN ('opt_out', 'opt_in')),
    -- 'keyword', or where the company heard it.
    source      text NOT NULL CHECK (length(source) BETWEEN 1 AND 60),
    proof       text,
    -- In which message the customer said it. That may be gone one day; what is known of it stays.
    message_id  uuid,
    -- Who wrote it down: 'customer' themselves, by a message.
    actor_kind  text NOT NULL CHECK (actor_kind IN ('customer', 'person', 'api_key')),
    actor_id    uuid,
    at          timestamptz NOT NULL,
    created_at  timestamptz NOT NULL,
    PRIMARY KEY (company_id, id),
    FOREIGN KEY (company_id, contact_id) REFERENCES contacts (company_id, id)
);
CREATE INDEX contact_consents_contact ON contact_consents (company_id, contact_id, at DESC, id DESC);
-- A message says it once, however often it comes.
CREATE UNIQUE INDEX contact_consents_keyword ON contact_consents (company_id, message_id) WHERE actor_kind = 'customer';

-- A contact's timeline goes back through its sessions by their ends, too.
CREATE INDEX sessions_contact_closed ON sessions (company_id, contact_id, closed_at DESC, id DESC)
    WHERE closed_at IS NOT NULL;

DO $$
DECLARE
    tenant_table text;
BEGIN
    FOREACH tenant_table IN ARRAY ARRAY['contact_fields', 'tabulations', 'contact_notes', 'contact_consents']
    LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', tenant_table);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', tenant_table);
        EXECUTE format('CREATE POLICY tenant ON %I USING (company_id = current_company())
                        WITH CHECK (company_id = current_company())', tenant_table);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO mia_app', tenant_table);
    END LOOP;
END $$;
-- What a customer said is not ours to change.
REVOKE UPDATE, DELETE ON contact_consents FROM mia_app;
