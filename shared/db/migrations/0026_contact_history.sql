-- Who changed what of a contact, of its conversations and of its sessions; usernames, to be shown where contacts are
-- searched; and the list of conversations that no member holds.

CREATE TABLE contact_history (
    company_id  uuid NOT NULL,
    id          uuid NOT NULL,
    contact_id  uuid NOT NULL,
    at          timestamptz NOT NULL,
    kind        text NOT NULL CHECK (kind IN ('contact_changed', 'conversation_changed', 'session_changed')),
    -- The conversation or session; of a contact, the import that changed it.
    object_id   uuid CHECK (object_id IS NOT NULL OR kind = 'contact_changed'),
    actor_kind  text NOT NULL CHECK (actor_kind IN ('person', 'api_key', 'system')),
    actor_id    uuid,
    -- The fields that differ, as they were and as they became.
    was         jsonb NOT NULL,
    became      jsonb NOT NULL,
    PRIMARY KEY (company_id, id)
    -- No foreign key: who changes a conversation has it locked, and would wait for a merge that waits for the conversation.
    -- Whoever merges, deletes or erases contacts takes their entries along.
);
CREATE INDEX contact_history_contact ON contact_history (company_id, contact_id, at DESC, id DESC);

ALTER TABLE contact_history ENABLE ROW LEVEL SECURITY;
ALTER TABLE contact_history FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON contact_history USING (company_id = current_company())
    WITH CHECK (company_id = current_company());
-- What was, was: an entry goes to another contact with a merge, or away with the person.
GRANT SELECT, INSERT, DELETE, UPDATE (contact_id) ON contact_history TO mia_app;

ALTER TABLE contact_merge_items
    DROP CONSTRAINT contact_merge_items_kind_check,
    ADD CONSTRAINT contact_merge_items_kind_check CHECK (kind IN
        ('conversation', 'session', 'note', 'consent', 'history', 'lead', 'list', 'list_gained'));

CREATE OR REPLACE VIEW searchable_contacts AS
    SELECT company_id, id, name, phone, email, source, external_id, bypass_bots, custom, tags, opted_out_at, created_at,
           search, merged_into_id, erased_at, marketing_opted_out_at, username
    FROM contacts WHERE company_id = current_company() AND merged_into_id IS NULL AND erased_at IS NULL;

CREATE INDEX conversations_unassigned ON conversations (company_id, updated_at DESC, id DESC) WHERE assignee_id IS NULL;
