-- Boards: stages in their order, leads in theirs, and what happened to each lead.

CREATE TABLE boards (
    company_id   uuid NOT NULL REFERENCES companies (id),
    id           uuid NOT NULL,
    name         text NOT NULL CHECK (length(name) BETWEEN 1 AND 100),
    description  text CHECK (length(description) BETWEEN 1 AND 2000),
    version      integer NOT NULL DEFAULT 1,
    created_at   timestamptz NOT NULL,
    updated_at   timestamptz NOT NULL,
    PRIMARY KEY (company_id, id)
);
CREATE INDEX boards_name ON boards (company_id, lower(name), id);

CREATE TABLE board_stages (
    company_id  uuid NOT NULL,
    id          uuid NOT NULL,
    board_id    uuid NOT NULL,
    name        text NOT NULL CHECK (length(name) BETWEEN 1 AND 100),
    colour      text NOT NULL CHECK (colour ~ '^#[0-9a-f]{6}$'),
    kind        text NOT NULL CHECK (kind IN ('open', 'won', 'lost')),
    -- From 0, without a gap. Deferrable: one statement puts all of a board's into another order.
    position    integer NOT NULL CHECK (position >= 0),
    created_at  timestamptz NOT NULL,
    PRIMARY KEY (company_id, id),
    CONSTRAINT board_stages_position UNIQUE (company_id, board_id, position) DEFERRABLE,
    CONSTRAINT board_stages_of_board UNIQUE (company_id, board_id, id),
    FOREIGN KEY (company_id, board_id) REFERENCES boards (company_id, id) ON DELETE CASCADE
);

-- Money outlives people: a customer who is erased and a member who leaves take nothing of it along.
CREATE TABLE leads (
    company_id         uuid NOT NULL REFERENCES companies (id),
    id                 uuid NOT NULL,
    board_id           uuid NOT NULL,
    stage_id           uuid NOT NULL,
    -- The place within the stage: see domain::fractional_index.
    place              text COLLATE "C" NOT NULL CHECK (length(place) BETWEEN 2 AND 64),
    title              text NOT NULL CHECK (length(title) BETWEEN 1 AND 200),
    search             text NOT NULL GENERATED ALWAYS AS (folded(title)) STORED,
    -- Minor units.
    value              bigint CHECK (value >= 0),
    currency           text COLLATE "C" CHECK (currency ~ '^[A-Z]{3}$'),
    owner_id           uuid,
    contact_id         uuid,
    expected_close_on  date,
    notes              text CHECK (length(notes) BETWEEN 1 AND 10000),
    tags               text[] NOT NULL DEFAULT '{}',
    closed_at          timestamptz,
    lost_reason        text,
    version            integer NOT NULL DEFAULT 1,
    created_at         timestamptz NOT NULL,
    updated_at         timestamptz NOT NULL,
    PRIMARY KEY (company_id, id),
    CONSTRAINT leads_value CHECK ((value IS NULL) = (currency IS NULL)),
    -- A stage has one order. Deferrable: one statement gives all of a stage other places.
    CONSTRAINT leads_place UNIQUE (company_id, stage_id, place) DEFERRABLE,
    CONSTRAINT leads_stage_fkey FOREIGN KEY (company_id, board_id, stage_id)
        REFERENCES board_stages (company_id, board_id, id),
    CONSTRAINT leads_contact_fkey FOREIGN KEY (company_id, contact_id)
        REFERENCES contacts (company_id, id) ON DELETE SET NULL (contact_id),
    CONSTRAINT leads_owner_fkey FOREIGN KEY (company_id, owner_id)
        REFERENCES memberships (company_id, user_id) ON DELETE SET NULL (owner_id)
) WITH (fillfactor = 85);
CREATE INDEX leads_newest ON leads (company_id, created_at DESC, id DESC);
CREATE INDEX leads_board ON leads (company_id, board_id, created_at DESC, id DESC);
CREATE INDEX leads_owner ON leads (company_id, owner_id, created_at DESC, id DESC) WHERE owner_id IS NOT NULL;
CREATE INDEX leads_contact ON leads (company_id, contact_id, created_at DESC, id DESC) WHERE contact_id IS NOT NULL;
CREATE INDEX leads_search ON leads USING gin (company_id, search gin_trgm_ops);
-- The sums of a board are read off this alone.
CREATE INDEX leads_sums ON leads (company_id, stage_id, currency) INCLUDE (value);

-- The company's leads, for what only such an index answers: below row-level security PostgreSQL asks no index what is not
-- proved to tell nothing of other rows, and LIKE is not. A view reads as its owner, so the owner may see the table; the
-- wall is the view's own condition.
CREATE POLICY searched ON leads FOR SELECT TO mia_owner USING (true);
CREATE VIEW searchable_leads AS SELECT * FROM leads WHERE company_id = current_company();
GRANT SELECT ON searchable_leads TO mia_app;

-- Who did what to a lead, when, from where to where, and why. Only grows, and goes with its lead.
CREATE TABLE lead_history (
    company_id  uuid NOT NULL,
    id          uuid NOT NULL,
    lead_id     uuid NOT NULL,
    at          timestamptz NOT NULL,
    kind        text NOT NULL CHECK (kind IN
                    ('created', 'moved', 'changed', 'value_changed', 'won', 'lost', 'reopened')),
    actor_kind  text NOT NULL CHECK (actor_kind IN ('person', 'api_key', 'system')),
    actor_id    uuid,
    was         jsonb,
    became      jsonb,
    reason      text,
    PRIMARY KEY (company_id, id),
    FOREIGN KEY (company_id, lead_id) REFERENCES leads (company_id, id) ON DELETE CASCADE
);
CREATE INDEX lead_history_lead ON lead_history (company_id, lead_id, at DESC, id DESC);

DO $$
DECLARE
    tenant_table text;
BEGIN
    FOREACH tenant_table IN ARRAY ARRAY['boards', 'board_stages', 'leads', 'lead_history']
    LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', tenant_table);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', tenant_table);
        EXECUTE format('CREATE POLICY tenant ON %I USING (company_id = current_company())
                        WITH CHECK (company_id = current_company())', tenant_table);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO mia_app', tenant_table);
    END LOOP;
END $$;
-- Nothing of it is taken back; what it says of a customer can be blotted out.
REVOKE UPDATE, DELETE ON lead_history FROM mia_app;
GRANT UPDATE (was, became, reason) ON lead_history TO mia_app;
