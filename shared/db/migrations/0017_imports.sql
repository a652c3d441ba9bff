-- Contacts out of files, and into files.

CREATE TABLE contact_imports (
    company_id       uuid NOT NULL REFERENCES companies (id),
    id               uuid NOT NULL,
    media_id         uuid NOT NULL,
    -- Which list the contacts are put into.
    list_id          uuid,
    state            text NOT NULL CHECK (state IN ('waiting', 'running', 'done', 'cancelled', 'failed')),
    -- Why it failed.
    reason           text,
    -- Only tells what it would do.
    dry_run          boolean NOT NULL,
    delimiter        text NOT NULL CHECK (delimiter IN (',', ';', E'\t', '|')),
    encoding         text NOT NULL CHECK (encoding IN ('utf-8', 'utf-16le', 'utf-16be', 'windows-1252')),
    header           boolean NOT NULL,
    -- The file's columns, and what each of them says; '' for one that is left out.
    columns          text[] NOT NULL,
    fields           text[] NOT NULL,
    -- Where numbers without a country are of, ISO 3166.
    default_country  text NOT NULL CHECK (default_country ~ '^[A-Z]{2}$'),
    -- Bytes of the file, and how many of them are done: always up to the end of a row.
    size             bigint NOT NULL,
    position         bigint NOT NULL,
    -- Number of the last row that is done; the header is row 1.
    row_number       bigint NOT NULL,
    created          bigint NOT NULL DEFAULT 0,
    updated          bigint NOT NULL DEFAULT 0,
    unchanged        bigint NOT NULL DEFAULT 0,
    failed           bigint NOT NULL DEFAULT 0,
    -- Each job does a part and asks for the next one; only the job of this number does anything.
    run              integer NOT NULL DEFAULT 0,
    -- When browsers were told last.
    told_at          timestamptz NOT NULL,
    created_at       timestamptz NOT NULL,
    started_at       timestamptz,
    updated_at       timestamptz NOT NULL,
    finished_at      timestamptz,
    PRIMARY KEY (company_id, id),
    CHECK (cardinality(columns) = cardinality(fields)),
    FOREIGN KEY (company_id, media_id) REFERENCES media (company_id, id),
    FOREIGN KEY (company_id, list_id) REFERENCES lists (company_id, id) ON DELETE SET NULL (list_id)
) WITH (fillfactor = 70);
CREATE INDEX contact_imports_newest ON contact_imports (company_id, created_at DESC, id DESC);
CREATE INDEX contact_imports_list ON contact_imports (company_id, list_id) WHERE list_id IS NOT NULL;

-- Rows that are no contact, and why: a line for each field that is wrong. The cells are as the file has them.
CREATE TABLE contact_import_errors (
    company_id  uuid NOT NULL,
    import_id   uuid NOT NULL,
    row_number  bigint NOT NULL,
    field       text NOT NULL,
    code        text NOT NULL,
    reason      text NOT NULL,
    cells       text[] NOT NULL,
    PRIMARY KEY (company_id, import_id, row_number, field),
    FOREIGN KEY (company_id, import_id) REFERENCES contact_imports (company_id, id) ON DELETE CASCADE
);

CREATE TABLE contact_exports (
    company_id   uuid NOT NULL REFERENCES companies (id),
    id           uuid NOT NULL,
    -- The file that it writes.
    media_id     uuid NOT NULL,
    state        text NOT NULL CHECK (state IN ('waiting', 'running', 'done', 'cancelled', 'failed')),
    reason       text,
    -- Which contacts; what is absent does not limit them.
    filter       jsonb NOT NULL,
    -- As Excel wants it: a byte order mark, and semicolons.
    excel        boolean NOT NULL,
    -- Keys of the company's own fields that have a column.
    fields       text[] NOT NULL,
    contacts     bigint NOT NULL DEFAULT 0,
    -- The last contact of the last part that is stored.
    after_at     timestamptz,
    after_id     uuid,
    -- The store's names for the upload and for the parts that it has.
    upload_id    text,
    parts        text[] NOT NULL DEFAULT '{}',
    size         bigint NOT NULL DEFAULT 0,
    run          integer NOT NULL DEFAULT 0,
    told_at      timestamptz NOT NULL,
    created_at   timestamptz NOT NULL,
    started_at   timestamptz,
    updated_at   timestamptz NOT NULL,
    finished_at  timestamptz,
    PRIMARY KEY (company_id, id),
    FOREIGN KEY (company_id, media_id) REFERENCES media (company_id, id)
);

DO $$
DECLARE
    tenant_table text;
BEGIN
    FOREACH tenant_table IN ARRAY ARRAY['contact_imports', 'contact_import_errors', 'contact_exports']
    LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', tenant_table);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', tenant_table);
        EXECUTE format('CREATE POLICY tenant ON %I USING (company_id = current_company())
                        WITH CHECK (company_id = current_company())', tenant_table);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO mia_app', tenant_table);
    END LOOP;
END $$;
