-- What erasure left behind: events about a number in another spelling, wrong rows of imports, and files that the company sent
-- to one person alone.

-- As in 0021, whether a number stands there with its plus or, as with WhatsApp, without.
CREATE OR REPLACE FUNCTION erase_other_events(mentioned text[]) RETURNS bigint
    LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
    WITH gone AS (
        UPDATE inbound_events e SET payload = '{}', reason = NULL
        WHERE e.company_id = current_company() AND e.kind NOT IN ('message', 'status')
          AND EXISTS (SELECT FROM unnest(mentioned) AS word
                      WHERE length(word) >= 8 AND strpos(e.payload, ltrim(word, '+')) > 0)
        RETURNING 1)
    SELECT count(*) FROM gone
$$;

-- Of tags those that the company chooses from: words that people made up may be about a person.
CREATE FUNCTION known_tags(company uuid, tags text[]) RETURNS text[] LANGUAGE sql STABLE
    RETURN ARRAY(SELECT tag FROM unnest(tags) WITH ORDINALITY AS t (tag, place)
                 WHERE EXISTS (SELECT FROM tabulations k WHERE k.company_id = company AND k.name = tag) ORDER BY place);

-- To whom a file was sent, and whether it was to others too: a contract is somebody's, a price list nobody's.
ALTER TABLE media
    ADD COLUMN sent_to uuid,
    ADD COLUMN is_shared boolean NOT NULL DEFAULT false;
ALTER TABLE media NO FORCE ROW LEVEL SECURITY;
ALTER TABLE messages NO FORCE ROW LEVEL SECURITY;
UPDATE media f SET sent_to = sent.contact_id, is_shared = sent.contacts > 1
FROM (SELECT company_id, (media ->> 'id')::uuid AS media_id, (array_agg(contact_id))[1] AS contact_id,
             count(DISTINCT contact_id) AS contacts
      FROM messages WHERE direction = 'outbound' AND media ->> 'id' IS NOT NULL
      GROUP BY company_id, media ->> 'id') AS sent
WHERE f.company_id = sent.company_id AND f.id = sent.media_id AND f.purpose = 'message';
ALTER TABLE media FORCE ROW LEVEL SECURITY;
ALTER TABLE messages FORCE ROW LEVEL SECURITY;
