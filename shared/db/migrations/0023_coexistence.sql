-- What the phone's app shares of a number that is in it and at the Cloud API: old messages, and who is in its address book.

ALTER TABLE connections
    -- How much of the history came, 0 to 100; nothing where none is to come.
    ADD COLUMN history_percent smallint CHECK (history_percent BETWEEN 0 AND 100),
    -- By which customers find the number.
    ADD COLUMN username text;

-- Old messages stand in a session of their own, which was over before we knew of it: nobody's work, and no place for new ones.
ALTER TABLE sessions ADD COLUMN is_past boolean NOT NULL DEFAULT false;
CREATE UNIQUE INDEX sessions_past ON sessions (company_id, conversation_id) WHERE is_past;

-- As in 0013, and of the files of old messages, which have events of their own.
CREATE OR REPLACE FUNCTION erase_message_events(connections uuid[], provider_message_ids text[]) RETURNS bigint
    LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    -- What is looked up is made first: below row-level security no index is asked by what a function makes of a row.
    WITH said AS MATERIALIZED (
        SELECT connection_id, 'message:' || id AS message, 'echo:' || id AS echo, 'history:' || id AS history,
               'status:' || id || ':' AS first, 'status:' || id || ';' AS past
        FROM unnest(connections, provider_message_ids) AS m (connection_id, id)),
    told AS (
        SELECT e.connection_id, e.key FROM said JOIN inbound_events e
            ON e.company_id = current_company() AND e.connection_id = said.connection_id AND e.key = said.message
        UNION
        SELECT e.connection_id, e.key FROM said JOIN inbound_events e
            ON e.company_id = current_company() AND e.connection_id = said.connection_id AND e.key = said.echo
        UNION
        SELECT e.connection_id, e.key FROM said JOIN inbound_events e
            ON e.company_id = current_company() AND e.connection_id = said.connection_id AND e.key = said.history
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

-- Older parts of a history come after newer ones: what began earlier than was known stands elsewhere in lists by tag.
DROP TRIGGER index_changed_tags ON sessions;
CREATE TRIGGER index_changed_tags AFTER UPDATE OF tabulations, created_at ON sessions FOR EACH ROW
    WHEN (OLD.tabulations <> NEW.tabulations OR OLD.created_at <> NEW.created_at)
    EXECUTE FUNCTION index_session_tags();

-- And so do answers come before what they answer.
CREATE INDEX messages_unlinked_replies ON messages (company_id, connection_id, reply_to_provider_id)
    WHERE reply_to_provider_id IS NOT NULL AND reply_to_id IS NULL;
