-- Files: what people upload, what customers send, what we write out. The bytes lie in a bucket, under `key`.

CREATE TABLE media (
    company_id         uuid NOT NULL REFERENCES companies (id),
    id                 uuid NOT NULL,
    purpose            text NOT NULL CHECK (purpose IN ('message', 'import', 'export', 'inbound')),
    state              text NOT NULL CHECK (state IN ('waiting', 'ready', 'refused', 'gone')),
    -- Why it is refused or gone.
    reason             text,
    -- Without parameters; what was said of it until it is there, what its bytes say afterwards.
    mime_type          text NOT NULL,
    size               bigint CHECK (size >= 0),
    -- Hexadecimal, where we had the bytes in hand.
    sha256             text,
    key                text NOT NULL,
    -- A small picture of it, a JPEG.
    thumbnail_key      text,
    file_name          text,
    -- Of an inbound file: the message that it came with, and what it is at the provider.
    message_id         uuid,
    connection_id      uuid,
    provider_media_id  text,
    created_by         uuid,
    created_at         timestamptz NOT NULL,
    ready_at           timestamptz,
    PRIMARY KEY (company_id, id),
    CONSTRAINT media_inbound CHECK ((purpose = 'inbound') = (message_id IS NOT NULL)),
    FOREIGN KEY (company_id, message_id) REFERENCES messages (company_id, id),
    FOREIGN KEY (company_id, connection_id) REFERENCES connections (company_id, id)
);
-- A message has one file, whatever is redelivered.
CREATE UNIQUE INDEX media_message ON media (company_id, message_id) WHERE message_id IS NOT NULL;
-- Uploads that nobody finished.
CREATE INDEX media_waiting ON media (company_id, created_at) WHERE state = 'waiting' AND purpose IN ('message', 'import');

-- A file that a provider keeps for us: what is sent to many is uploaded there once.
CREATE TABLE media_copies (
    company_id         uuid NOT NULL,
    media_id           uuid NOT NULL,
    connection_id      uuid NOT NULL,
    provider_media_id  text NOT NULL,
    -- The provider forgets it then.
    expires_at         timestamptz NOT NULL,
    PRIMARY KEY (company_id, media_id, connection_id),
    FOREIGN KEY (company_id, media_id) REFERENCES media (company_id, id) ON DELETE CASCADE,
    FOREIGN KEY (company_id, connection_id) REFERENCES connections (company_id, id)
);

DO $$
DECLARE
    tenant_table text;
BEGIN
    FOREACH tenant_table IN ARRAY ARRAY['media', 'media_copies']
    LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', tenant_table);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', tenant_table);
        EXECUTE format('CREATE POLICY tenant ON %I USING (company_id = current_company())
                        WITH CHECK (company_id = current_company())', tenant_table);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO mia_app', tenant_table);
    END LOOP;
END $$;
