-- What the inbox is searched by, and quick replies.
--
-- Under row-level security PostgreSQL uses an operator as an index condition only if it is leakproof: `=` and ranges of
-- texts, ids and times are; `@@` of full text, `LIKE` and `%` of trigrams, `@>` of arrays are not, nor is any function of a
-- column. A GIN index of words would be read for its company alone, all of it. So words have rows, and a
-- b-tree: infra/docs/decisions/0015-words-have-rows.md says what that costs, and what the alternatives would.

-- The words that a text is found by: stems of Portuguese, without those that stand everywhere. The dictionary's own list of
-- these has accents, which nobody types; hence the second list.
CREATE FUNCTION search_words(text) RETURNS text[] LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN tsvector_to_array(ts_delete(to_tsvector('pg_catalog.portuguese'::regconfig, folded($1)),
        '{ate,eram,esta,estav,estiver,estivess,foss,ha,hao,houver,houvera,houveri,houvess,ja,nao,sao,ser,sera,seri,so,
          tamb,ter,tera,teri,tinh,tiver,tivess,voc}'::text[]));

-- What a person is found by: the words of the name behind `@`, and of the number behind `#` what people give of it: all of
-- it, without the code of the country, the last eight digits and the last four; in Brazil also those with the ninth.
CREATE FUNCTION search_terms_of_contact(name text, phone text) RETURNS text[] LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN ARRAY(
        SELECT '@' || left(word, 60) FROM regexp_split_to_table(folded(name), '[^[:alnum:]]+') AS word WHERE word <> ''
        UNION
        SELECT '#' || right(digits, length)
        FROM (SELECT regexp_replace(phone, '[^0-9]', '', 'g') AS digits) AS number,
             unnest(CASE WHEN digits LIKE '55%' THEN ARRAY[length(digits), length(digits) - 2, 9, 8, 4]
                    ELSE ARRAY[length(digits), length(digits) - 1, length(digits) - 2, length(digits) - 3, 8, 4] END)
                 AS length
        WHERE length BETWEEN 4 AND length(digits));

-- What a conversation is found by: words of its messages, terms of its contact (`@…`, `#…`), its tags behind `=`. Derived:
-- the triggers below are the only ones who write it, in the transaction that changes what it is derived from. It has no
-- foreign keys, which would be looked up for every word of every message.
CREATE TABLE conversation_terms (
    company_id       uuid NOT NULL,
    term             text COLLATE "C" NOT NULL,
    conversation_id  uuid NOT NULL,
    -- In how many messages, so that it can be taken back with the last one.
    mentions         integer NOT NULL,
    PRIMARY KEY (company_id, term, conversation_id)
) WITH (fillfactor = 90);

CREATE FUNCTION add_conversation_terms(company uuid, conversation uuid, terms text[]) RETURNS void LANGUAGE sql
BEGIN ATOMIC
    INSERT INTO conversation_terms AS t (company_id, term, conversation_id, mentions)
    SELECT company, term, conversation, 1 FROM unnest(terms) AS term ORDER BY term
    ON CONFLICT (company_id, term, conversation_id) DO UPDATE SET mentions = t.mentions + 1;
END;

CREATE FUNCTION take_conversation_terms(company uuid, conversation uuid, terms text[]) RETURNS void LANGUAGE sql
BEGIN ATOMIC
    DELETE FROM conversation_terms
    WHERE company_id = company AND conversation_id = conversation AND term = ANY (terms) AND mentions <= 1;
    UPDATE conversation_terms SET mentions = mentions - 1
    WHERE company_id = company AND conversation_id = conversation AND term = ANY (terms) AND mentions > 1;
END;

CREATE FUNCTION search_terms_of_tags(tags text[]) RETURNS text[] LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN ARRAY(SELECT DISTINCT '=' || tag FROM unnest(tags) AS tag);

-- Messages come in batches, and their conversations are locked by who brings them.
CREATE FUNCTION index_new_messages() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO conversation_terms AS t (company_id, term, conversation_id, mentions)
    SELECT m.company_id, word, m.conversation_id, count(*)
    FROM new_messages m, unnest(search_words(m.text)) AS word
    GROUP BY m.conversation_id, word, m.company_id
    ORDER BY m.conversation_id, word
    ON CONFLICT (company_id, term, conversation_id) DO UPDATE SET mentions = t.mentions + EXCLUDED.mentions;
    RETURN NULL;
END $$;
CREATE TRIGGER index_new AFTER INSERT ON messages REFERENCING NEW TABLE AS new_messages
    FOR EACH STATEMENT EXECUTE FUNCTION index_new_messages();

CREATE FUNCTION index_changed_message() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM take_conversation_terms(OLD.company_id, OLD.conversation_id, search_words(OLD.text));
    IF TG_OP = 'UPDATE' THEN
        PERFORM add_conversation_terms(NEW.company_id, NEW.conversation_id, search_words(NEW.text));
    END IF;
    RETURN NULL;
END $$;
-- Statuses change neither, and do not come here.
CREATE TRIGGER index_changed AFTER UPDATE OF text, conversation_id ON messages FOR EACH ROW
    WHEN (OLD.text IS DISTINCT FROM NEW.text OR OLD.conversation_id <> NEW.conversation_id)
    EXECUTE FUNCTION index_changed_message();
CREATE TRIGGER index_gone AFTER DELETE ON messages FOR EACH ROW EXECUTE FUNCTION index_changed_message();

CREATE FUNCTION index_new_conversations() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO conversation_terms (company_id, term, conversation_id, mentions)
    SELECT c.company_id, term, c.id, 1
    FROM new_conversations c
    JOIN contacts p ON p.company_id = c.company_id AND p.id = c.contact_id,
    unnest(search_terms_of_contact(p.name, p.phone) || search_terms_of_tags(c.tags)) AS term
    ORDER BY c.id, term
    ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;
CREATE TRIGGER index_new AFTER INSERT ON conversations REFERENCING NEW TABLE AS new_conversations
    FOR EACH STATEMENT EXECUTE FUNCTION index_new_conversations();

CREATE FUNCTION index_changed_conversation() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM take_conversation_terms(OLD.company_id, OLD.id,
        search_terms_of_contact(p.name, p.phone) || search_terms_of_tags(OLD.tags))
    FROM contacts p WHERE p.company_id = OLD.company_id AND p.id = OLD.contact_id;
    IF TG_OP = 'UPDATE' THEN
        PERFORM add_conversation_terms(NEW.company_id, NEW.id,
            search_terms_of_contact(p.name, p.phone) || search_terms_of_tags(NEW.tags))
        FROM contacts p WHERE p.company_id = NEW.company_id AND p.id = NEW.contact_id;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER index_changed AFTER UPDATE OF contact_id, tags ON conversations FOR EACH ROW
    WHEN (OLD.contact_id <> NEW.contact_id OR OLD.tags <> NEW.tags)
    EXECUTE FUNCTION index_changed_conversation();
CREATE TRIGGER index_gone AFTER DELETE ON conversations FOR EACH ROW EXECUTE FUNCTION index_changed_conversation();

CREATE FUNCTION index_changed_contact() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM take_conversation_terms(c.company_id, c.id, search_terms_of_contact(OLD.name, OLD.phone)),
            add_conversation_terms(c.company_id, c.id, search_terms_of_contact(NEW.name, NEW.phone))
    FROM conversations c WHERE c.company_id = NEW.company_id AND c.contact_id = NEW.id;
    RETURN NULL;
END $$;
CREATE TRIGGER index_changed AFTER UPDATE OF name, phone ON contacts FOR EACH ROW
    WHEN (OLD.name <> NEW.name OR OLD.phone IS DISTINCT FROM NEW.phone)
    EXECUTE FUNCTION index_changed_contact();

-- Sessions by tag, in the order of their list. Written by the triggers alone.
CREATE TABLE session_tags (
    company_id  uuid NOT NULL,
    tag         text COLLATE "C" NOT NULL,
    created_at  timestamptz NOT NULL,
    session_id  uuid NOT NULL,
    PRIMARY KEY (company_id, tag, created_at, session_id),
    FOREIGN KEY (company_id, session_id) REFERENCES sessions (company_id, id) ON DELETE CASCADE
);
CREATE INDEX session_tags_session ON session_tags (company_id, session_id);

CREATE FUNCTION index_session_tags() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM session_tags WHERE company_id = NEW.company_id AND session_id = NEW.id;
    INSERT INTO session_tags (company_id, tag, created_at, session_id)
    SELECT DISTINCT NEW.company_id, tag, NEW.created_at, NEW.id FROM unnest(NEW.tabulations) AS tag;
    RETURN NULL;
END $$;
CREATE TRIGGER index_new_tags AFTER INSERT ON sessions FOR EACH ROW
    WHEN (cardinality(NEW.tabulations) > 0) EXECUTE FUNCTION index_session_tags();
CREATE TRIGGER index_changed_tags AFTER UPDATE OF tabulations ON sessions FOR EACH ROW
    WHEN (OLD.tabulations <> NEW.tabulations) EXECUTE FUNCTION index_session_tags();

-- A company that is old has few open conversations among many, a young one few closed ones.
CREATE INDEX conversations_status ON conversations (company_id, status, updated_at DESC, id DESC);

-- They would be read for their company alone.
DROP INDEX conversations_tags;
DROP INDEX sessions_tabulations;

-- Who is least busy, without walking through everything that they ever did.
CREATE INDEX sessions_held ON sessions (company_id, assigned_agent_id)
    WHERE status <> 'CLOSED' AND assigned_agent_id IS NOT NULL;

-- Notes are few among messages.
CREATE INDEX messages_notes ON messages (company_id, conversation_id, occurred_at DESC, id DESC) WHERE type = 'note';

-- Texts that people send often; those with an owner are one person's alone.
CREATE TABLE quick_replies (
    company_id  uuid NOT NULL REFERENCES companies (id),
    id          uuid NOT NULL,
    owner_id    uuid,
    -- What is typed for it, in lower case.
    shortcut    text COLLATE "C" NOT NULL CHECK (length(shortcut) BETWEEN 1 AND 50),
    text        text NOT NULL CHECK (length(text) BETWEEN 1 AND 4096),
    tags        text[] NOT NULL DEFAULT '{}',
    created_at  timestamptz NOT NULL,
    updated_at  timestamptz NOT NULL,
    PRIMARY KEY (company_id, id),
    CONSTRAINT quick_replies_shortcut_key UNIQUE NULLS NOT DISTINCT (company_id, owner_id, shortcut),
    FOREIGN KEY (company_id, owner_id) REFERENCES memberships (company_id, user_id) ON DELETE CASCADE
);
CREATE INDEX quick_replies_shortcut ON quick_replies (company_id, shortcut, id);

-- What is there already. The owner, too, sees no row unless told to.
DO $$
DECLARE
    tenant_table text;
BEGIN
    FOREACH tenant_table IN ARRAY ARRAY['contacts', 'conversations', 'messages', 'sessions'] LOOP
        EXECUTE format('ALTER TABLE %I NO FORCE ROW LEVEL SECURITY', tenant_table);
    END LOOP;
    INSERT INTO conversation_terms (company_id, term, conversation_id, mentions)
    SELECT company_id, term, conversation_id, count(*)
    FROM (SELECT m.company_id, m.conversation_id, unnest(search_words(m.text)) AS term FROM messages m
          UNION ALL
          SELECT c.company_id, c.id,
                 unnest(search_terms_of_contact(p.name, p.phone) || search_terms_of_tags(c.tags))
          FROM conversations c JOIN contacts p ON p.company_id = c.company_id AND p.id = c.contact_id) AS known
    GROUP BY company_id, term, conversation_id;
    INSERT INTO session_tags (company_id, tag, created_at, session_id)
    SELECT DISTINCT company_id, unnest(tabulations), created_at, id FROM sessions;
    FOREACH tenant_table IN ARRAY ARRAY['contacts', 'conversations', 'messages', 'sessions'] LOOP
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', tenant_table);
    END LOOP;

    FOREACH tenant_table IN ARRAY ARRAY['conversation_terms', 'session_tags', 'quick_replies'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', tenant_table);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', tenant_table);
        EXECUTE format('CREATE POLICY tenant ON %I USING (company_id = current_company())
                        WITH CHECK (company_id = current_company())', tenant_table);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO mia_app', tenant_table);
    END LOOP;
END $$;
