-- Who a customer is: lists and segments of them, two of them that are one person, and one who wants to be forgotten.

-- ── Lists and segments ──────────────────────────────────────────────────────────────────────────────────────────

CREATE TABLE lists (
    company_id     uuid NOT NULL REFERENCES companies (id),
    id             uuid NOT NULL,
    name           text NOT NULL CHECK (length(name) BETWEEN 1 AND 100),
    description    text CHECK (length(description) <= 1000),
    -- Kept by a trigger, whoever puts contacts in or takes them out.
    contact_count  bigint NOT NULL DEFAULT 0,
    created_at     timestamptz NOT NULL,
    updated_at     timestamptz NOT NULL,
    PRIMARY KEY (company_id, id),
    CONSTRAINT lists_name_key UNIQUE (company_id, name)
);
CREATE INDEX lists_by_name ON lists (company_id, lower(name), id);

CREATE TABLE list_contacts (
    company_id  uuid NOT NULL,
    list_id     uuid NOT NULL,
    contact_id  uuid NOT NULL,
    added_at    timestamptz NOT NULL,
    PRIMARY KEY (company_id, list_id, contact_id),
    FOREIGN KEY (company_id, list_id) REFERENCES lists (company_id, id) ON DELETE CASCADE,
    FOREIGN KEY (company_id, contact_id) REFERENCES contacts (company_id, id) ON DELETE CASCADE
);
CREATE INDEX list_contacts_newest ON list_contacts (company_id, list_id, added_at DESC, contact_id DESC);
CREATE INDEX list_contacts_contact ON list_contacts (company_id, contact_id);

CREATE FUNCTION count_list_contacts() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE lists l SET contact_count = contact_count + CASE TG_OP WHEN 'INSERT' THEN c.contacts ELSE -c.contacts END
    FROM (SELECT company_id, list_id, count(*) AS contacts FROM changed GROUP BY company_id, list_id) AS c
    WHERE l.company_id = c.company_id AND l.id = c.list_id;
    RETURN NULL;
END $$;
CREATE TRIGGER count_added AFTER INSERT ON list_contacts REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION count_list_contacts();
CREATE TRIGGER count_removed AFTER DELETE ON list_contacts REFERENCING OLD TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION count_list_contacts();

CREATE TABLE segments (
    company_id  uuid NOT NULL REFERENCES companies (id),
    id          uuid NOT NULL,
    name        text NOT NULL CHECK (length(name) BETWEEN 1 AND 100),
    -- As domain::segment reads it.
    filter      jsonb NOT NULL,
    created_at  timestamptz NOT NULL,
    updated_at  timestamptz NOT NULL,
    PRIMARY KEY (company_id, id),
    CONSTRAINT segments_name_key UNIQUE (company_id, name)
);
CREATE INDEX segments_by_name ON segments (company_id, lower(name), id);

-- ── Merging ─────────────────────────────────────────────────────────────────────────────────────────────────────

-- Whoever was merged stays as a row, with what it had, and points to who it is now: never to somebody who points on.
ALTER TABLE contacts
    ADD COLUMN merged_into_id uuid,
    ADD COLUMN erased_at timestamptz,
    ADD CONSTRAINT contacts_merged_into FOREIGN KEY (company_id, merged_into_id) REFERENCES contacts (company_id, id);
CREATE INDEX contacts_merged ON contacts (company_id, merged_into_id) WHERE merged_into_id IS NOT NULL;

-- What may be the same person. Of columns as they are: below row-level security no index is asked by lower(…).
CREATE INDEX contacts_same_email ON contacts (company_id, email) WHERE email IS NOT NULL;
CREATE INDEX contacts_same_external_id ON contacts (company_id, external_id) WHERE external_id IS NOT NULL;
CREATE INDEX contacts_same_phone ON contacts (company_id, phone) WHERE phone IS NOT NULL;
CREATE INDEX contacts_same_name ON contacts (company_id, name) WHERE name <> '';

-- The side of its contact that an address belongs to: the contact that had it before a merge, or that has learned it
-- since by one of its own. Threads are kept by it (conversations.thread_key), so that two numbers of one person keep the
-- chat, the window and the pacing that each has at the provider; and that a merge can be undone. NULL: the contact itself.
ALTER TABLE contact_addresses
    ADD COLUMN side_id uuid,
    ADD FOREIGN KEY (company_id, side_id) REFERENCES contacts (company_id, id);

-- The same of a message: its thread tells, but where there is a group.
ALTER TABLE messages ADD COLUMN side_id uuid, ADD COLUMN erased_at timestamptz;

CREATE TABLE contact_merges (
    company_id  uuid NOT NULL REFERENCES companies (id),
    id          uuid NOT NULL,
    -- Who is no more, and who it is now.
    contact_id  uuid NOT NULL,
    into_id     uuid NOT NULL,
    -- What of the survivor was filled in: what it had, and what it got.
    had         jsonb NOT NULL,
    got         jsonb NOT NULL,
    merged_at   timestamptz NOT NULL,
    undone_at   timestamptz,
    PRIMARY KEY (company_id, id),
    FOREIGN KEY (company_id, contact_id) REFERENCES contacts (company_id, id),
    FOREIGN KEY (company_id, into_id) REFERENCES contacts (company_id, id)
);
CREATE UNIQUE INDEX contact_merges_standing ON contact_merges (company_id, contact_id) WHERE undone_at IS NULL;
CREATE INDEX contact_merges_contact ON contact_merges (company_id, contact_id, merged_at DESC, id DESC);
CREATE INDEX contact_merges_into ON contact_merges (company_id, into_id, merged_at DESC, id DESC);

-- What moved and does not say itself whose it was.
CREATE TABLE contact_merge_items (
    company_id  uuid NOT NULL,
    merge_id    uuid NOT NULL,
    -- A group's conversation or session, a note, a consent, a lead; a list that the merged one was in, or that the survivor is in
    -- since.
    kind        text NOT NULL CHECK (kind IN ('conversation', 'session', 'note', 'consent', 'lead', 'list', 'list_gained')),
    item_id     uuid NOT NULL,
    -- Since when it was in the list.
    since       timestamptz,
    PRIMARY KEY (company_id, merge_id, kind, item_id),
    FOREIGN KEY (company_id, merge_id) REFERENCES contact_merges (company_id, id) ON DELETE CASCADE
);

-- Who said something about being written to is another contact by then; what was said stays as it is.
GRANT UPDATE (contact_id) ON contact_consents TO mia_app;

-- No search finds whoever is another contact now, or nobody.
CREATE OR REPLACE VIEW searchable_contacts AS
    SELECT company_id, id, name, phone, email, source, external_id, bypass_bots, custom, tags, opted_out_at, created_at,
           search, merged_into_id, erased_at
    FROM contacts WHERE company_id = current_company() AND merged_into_id IS NULL AND erased_at IS NULL;

-- ── Erasure ─────────────────────────────────────────────────────────────────────────────────────────────────────

CREATE TABLE erasures (
    company_id    uuid NOT NULL REFERENCES companies (id),
    id            uuid NOT NULL,
    contact_id    uuid NOT NULL,
    state         text NOT NULL CHECK (state IN ('running', 'done')),
    -- Messages that hold nothing of the person any more.
    messages      bigint NOT NULL DEFAULT 0,
    -- How far it got in the contact's messages.
    after_at      timestamptz,
    after_id      uuid,
    requested_at  timestamptz NOT NULL,
    finished_at   timestamptz,
    PRIMARY KEY (company_id, id),
    CONSTRAINT erasures_contact_key UNIQUE (company_id, contact_id),
    FOREIGN KEY (company_id, contact_id) REFERENCES contacts (company_id, id)
);

-- The journal only grows, and the application may not change what a provider said: a right to update it would be one to
-- rewrite it. What the law asks for is less, and these two do just that, in the company of the transaction: the words go,
-- the event stays. An event's key holds the customer's number where the provider's message id does; its hash takes its
-- place, by which a late repetition of the event is known (db::journal::insert_new).
CREATE FUNCTION erased_key(key text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN 'erased:' || encode(sha256(convert_to(key, 'UTF8')), 'hex');

CREATE FUNCTION erase_message_events(connections uuid[], provider_message_ids text[]) RETURNS bigint
    LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    -- What is looked up is made first: below row-level security no index is asked by what a function makes of a row.
    WITH said AS MATERIALIZED (
        SELECT connection_id, 'message:' || id AS message, 'echo:' || id AS echo, 'status:' || id || ':' AS first,
               'status:' || id || ';' AS past
        FROM unnest(connections, provider_message_ids) AS m (connection_id, id)),
    told AS (
        SELECT e.connection_id, e.key FROM said JOIN inbound_events e
            ON e.company_id = current_company() AND e.connection_id = said.connection_id AND e.key = said.message
        UNION
        SELECT e.connection_id, e.key FROM said JOIN inbound_events e
            ON e.company_id = current_company() AND e.connection_id = said.connection_id AND e.key = said.echo
        UNION
        SELECT e.connection_id, e.key FROM said JOIN inbound_events e
            ON e.company_id = current_company() AND e.connection_id = said.connection_id
            AND e.key >= said.first AND e.key < said.past),
    gone AS (
        UPDATE inbound_events e SET key = erased_key(e.key), payload = '{}', reason = NULL FROM told
        WHERE e.company_id = current_company() AND e.connection_id = told.connection_id AND e.key = told.key
        RETURNING 1)
    SELECT count(*) FROM gone
$$;

-- Events that are no message's: they are found by the addresses that they mention.
CREATE FUNCTION erase_other_events(mentioned text[]) RETURNS bigint
    LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    WITH gone AS (
        UPDATE inbound_events e SET payload = '{}', reason = NULL
        WHERE e.company_id = current_company() AND e.kind IN ('address_change', 'marketing_preference', 'notice')
          AND EXISTS (SELECT FROM unnest(mentioned) AS word WHERE length(word) >= 8 AND strpos(e.payload, word) > 0)
        RETURNING 1)
    SELECT count(*) FROM gone
$$;
CREATE INDEX inbound_events_other ON inbound_events (company_id)
    WHERE kind IN ('address_change', 'marketing_preference', 'notice');

-- The ledger of consents only grows, too: of a contact that is erased, and no other, the words go.
CREATE FUNCTION erase_consents(contact uuid) RETURNS bigint
    LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    WITH gone AS (
        UPDATE contact_consents o SET proof = NULL FROM contacts c
        WHERE o.company_id = current_company() AND o.contact_id = contact
          AND c.company_id = o.company_id AND c.id = o.contact_id AND c.erased_at IS NOT NULL
        RETURNING 1)
    SELECT count(*) FROM gone
$$;

REVOKE ALL ON FUNCTION erase_message_events, erase_other_events, erase_consents FROM PUBLIC;
GRANT EXECUTE ON FUNCTION erase_message_events, erase_other_events, erase_consents TO mia_app;

DO $$
DECLARE
    tenant_table text;
BEGIN
    FOREACH tenant_table IN ARRAY ARRAY['lists', 'list_contacts', 'segments', 'contact_merges', 'contact_merge_items',
        'erasures']
    LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', tenant_table);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', tenant_table);
        EXECUTE format('CREATE POLICY tenant ON %I USING (company_id = current_company())
                        WITH CHECK (company_id = current_company())', tenant_table);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO mia_app', tenant_table);
    END LOOP;
END $$;
