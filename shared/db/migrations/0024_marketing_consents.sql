-- What customers say of marketing alone stands in the ledger, and is shown.

ALTER TABLE contact_consents
    -- Of which messages it was said.
    ADD COLUMN scope text NOT NULL DEFAULT 'all' CHECK (scope IN ('all', 'marketing'));

CREATE OR REPLACE VIEW searchable_contacts AS
    SELECT company_id, id, name, phone, email, source, external_id, bypass_bots, custom, tags, opted_out_at, created_at,
           search, merged_into_id, erased_at, marketing_opted_out_at
    FROM contacts WHERE company_id = current_company() AND merged_into_id IS NULL AND erased_at IS NULL;
