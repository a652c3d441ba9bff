-- Message templates of WhatsApp accounts: what Meta has, and what people of the company want it to have.

CREATE TABLE templates (
    company_id            uuid NOT NULL REFERENCES companies (id),
    id                    uuid NOT NULL,
    -- Templates belong to the account: all of its numbers send by them.
    waba_id               text NOT NULL,
    name                  text COLLATE "C" NOT NULL CHECK (name ~ '^[a-z0-9_]+$' AND length(name) <= 512),
    language              text COLLATE "C" NOT NULL CHECK (length(language) BETWEEN 2 AND 20),
    -- Meta's words.
    category              text NOT NULL,
    parameter_format      text NOT NULL CHECK (parameter_format IN ('POSITIONAL', 'NAMED')),
    components            jsonb NOT NULL,
    -- What Meta shall have instead: {category, components}. Only of a template that Meta has.
    change                jsonb,
    status                text NOT NULL CHECK (status IN
                              ('draft', 'pending', 'approved', 'flagged', 'rejected', 'paused', 'disabled', 'in_appeal',
                               'limit_exceeded', 'locked', 'archived', 'pending_deletion', 'deleted')),
    -- Why Meta rejected, paused or disabled it.
    status_reason         text,
    status_detail         text,
    -- When Meta told so, by its own clock: what it told earlier may come later.
    status_at             timestamptz,
    quality               text,
    quality_at            timestamptz,
    -- What Meta makes of its category, and when.
    next_category         text,
    next_category_at      timestamptz,
    category_at           timestamptz,
    submission            text NOT NULL DEFAULT 'idle' CHECK (submission IN ('idle', 'submitting', 'deleting')),
    -- Why Meta did not do what it was asked last: {code, title, detail}.
    error                 jsonb,
    provider_template_id  text,
    version               integer NOT NULL DEFAULT 1,
    created_at            timestamptz NOT NULL,
    updated_at            timestamptz NOT NULL,
    PRIMARY KEY (company_id, id),
    -- As at Meta.
    CONSTRAINT templates_name_key UNIQUE (company_id, waba_id, name, language),
    CONSTRAINT templates_draft CHECK (change IS NULL OR provider_template_id IS NOT NULL)
);
CREATE UNIQUE INDEX templates_provider ON templates (company_id, provider_template_id)
    WHERE provider_template_id IS NOT NULL;
CREATE INDEX templates_by_name ON templates (company_id, name, id);

-- When an account's templates were last compared with ours as a whole.
CREATE TABLE template_syncs (
    company_id  uuid NOT NULL REFERENCES companies (id),
    waba_id     text NOT NULL,
    synced_at   timestamptz NOT NULL,
    PRIMARY KEY (company_id, waba_id)
);

DO $$
DECLARE
    tenant_table text;
BEGIN
    FOREACH tenant_table IN ARRAY ARRAY['templates', 'template_syncs']
    LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', tenant_table);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', tenant_table);
        EXECUTE format('CREATE POLICY tenant ON %I USING (company_id = current_company())
                        WITH CHECK (company_id = current_company())', tenant_table);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO mia_app', tenant_table);
    END LOOP;
END $$;

-- A schedule asks for a comparison where the last one is long ago.
CREATE POLICY upkeep ON template_syncs FOR SELECT TO mia_system USING (true);
GRANT SELECT (company_id, waba_id, synced_at) ON template_syncs TO mia_system;
GRANT SELECT (kind, waba_id) ON connections TO mia_system;
