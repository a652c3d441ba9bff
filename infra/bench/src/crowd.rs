//! A crowd to look through: one large company, beside small ones that share its tables.
//!
//! Everything is a function of a row's number, so that two runs measure the same rows. Activity is as inboxes have it: most
//! customers wrote once or twice, a few write every day, and one has a thousand messages.

use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use domain::{CompanyId, ConnectionId};
use sqlx::AssertSqlSafe;
use uuid::Uuid;

use crate::database::BenchDatabase;
use crate::payloads::Home;

/// How many rows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    /// Customers of the large company.
    pub(crate) contacts: u64,
    /// Conversations of these.
    pub(crate) conversations: u64,
    /// Messages in those.
    pub(crate) messages: u64,
    /// Small companies.
    pub(crate) neighbours: u64,
}

/// Rows of each small company: contacts, conversations, messages.
const SMALL: (u64, u64, u64) = (1_000, 500, 5_000);

/// Messages of the one customer who wrote most.
pub(crate) const LONGEST: u64 = 1_000;

/// What a row's number is of: the kinds of [`id`].
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    Contact = 17,
    Conversation = 18,
    Session = 19,
    Message = 20,
    Member = 21,
    Department = 22,
}

/// The id of row `n` of a kind, as the generator makes it.
pub(crate) fn id(kind: Kind, n: u64) -> Uuid {
    Uuid::from_u128(
        u128::from(1_700_000_000_000 + n) << 80
            | 0x7 << 76
            | (kind as u128) << 64
            | 0x8 << 60
            | u128::from(n),
    )
}

/// The phone of contact `n`, E.164.
pub(crate) fn phone(n: u64) -> String {
    format!("+55219{:08}", 10_000_000 + n)
}

/// Fills the tables; how long that took.
///
/// # Errors
/// When the schema is another.
pub(crate) async fn fill(database: &mut BenchDatabase, home: Home, size: Size) -> anyhow::Result<Duration> {
    let began = Instant::now();
    database.run(PREPARE).await?;
    let large = Rows {
        company_id: home.company_id,
        first: 0,
        contacts: size.contacts,
        conversations: size.conversations,
        messages: size.messages,
    };
    large.insert(database, home).await?;
    for number in 0..size.neighbours {
        let company_id = CompanyId(id(Kind::Member, 1_000_000 + number));
        let name = format!("INSERT INTO companies (id, name) VALUES ('{company_id}', 'Vizinha {number}');");
        database.run(&name).await?;
        let connection_id = ConnectionId(id(Kind::Department, 1_000_000 + number));
        let connection = format!(
            "INSERT INTO connections (company_id, id, kind, name, slug, provider_account, access_token, app_secret,
                 verify_token)
             VALUES ('{company_id}', '{connection_id}', 'whatsapp_cloud', 'WhatsApp', 'vizinha-{number}',
                     'vizinha-{number}', '', '', '')"
        );
        database.run(&connection).await?;
        let (contacts, conversations, messages) = SMALL;
        let first = size.contacts.max(size.messages) + number * messages;
        let small = Rows { company_id, first, contacts, conversations, messages };
        small.insert(database, Home { company_id, connection_id }).await?;
    }
    database.run("RESET session_replication_role; RESET synchronous_commit").await?;
    // Not in one transaction with anything else.
    database.run("VACUUM ANALYZE").await?;
    database.run("CHECKPOINT").await?;
    Ok(began.elapsed())
}

/// The rows of one company.
struct Rows {
    company_id: CompanyId,
    /// The number of its first row of each kind.
    first: u64,
    contacts: u64,
    conversations: u64,
    messages: u64,
}

/// The foreign keys are right by construction; checking them one by one takes most of the time.
const PREPARE: &str = "
    SET session_replication_role = replica;
    SET synchronous_commit = off;
    SET maintenance_work_mem = '512MB';
    CREATE FUNCTION pg_temp.id(kind integer, n bigint) RETURNS uuid LANGUAGE sql IMMUTABLE
        RETURN (lpad(to_hex(1700000000000 + n), 12, '0') || '7' || lpad(to_hex(kind), 3, '0') || '8'
                || lpad(to_hex(n), 15, '0'))::uuid;
    -- The nth word of a list, jumping about.
    CREATE FUNCTION pg_temp.word(words text[], n bigint, stride bigint) RETURNS text LANGUAGE sql IMMUTABLE
        RETURN words[1 + (n * stride % cardinality(words))::integer];
    CREATE FUNCTION pg_temp.name(n bigint) RETURNS text LANGUAGE sql IMMUTABLE
        RETURN pg_temp.word(ARRAY['Ana', 'João', 'Maria', 'José', 'Antônia', 'Francisco', 'Luíza', 'Carlos', 'Bia', 'Paulo',
                   'Márcia', 'Pedro', 'Fernanda', 'Lucas', 'Patrícia', 'Luís', 'Aline', 'Marcos', 'Sandra', 'Gabriel',
                   'Camila', 'Rafael', 'Amanda', 'Daniel', 'Bruna', 'Marcelo', 'Jéssica', 'Bruno', 'Letícia', 'Eduardo',
                   'Júlia'], n, 7)
            || ' ' || pg_temp.word(ARRAY['da Silva', 'dos Santos', 'Oliveira', 'Souza', 'Rodrigues', 'Ferreira', 'Alves',
                   'Pereira', 'Lima', 'Gomes', 'Ribeiro', 'Carvalho', 'Almeida', 'Lopes', 'Soares', 'Fernandes', 'Vieira',
                   'Barbosa', 'Rocha', 'Dias', 'Nascimento', 'Andrade', 'Moreira', 'Nunes', 'Marques', 'Machado',
                   'Mendes', 'Freitas', 'Cardoso'], n / 31, 11)
            || ' ' || pg_temp.word(ARRAY['Araújo', 'Campos', 'Teixeira', 'Monteiro', 'Moura', 'Correia', 'Batista', 'Duarte',
                   'Castro', 'Pinto', 'Ramos', 'Melo', 'Azevedo', 'Cunha', 'Borges', 'Sales', 'Xavier', 'Peixoto',
                   'Bezerra', 'Queiroz', 'Siqueira', 'Tavares', 'Fonseca'], n / 899, 5);
    CREATE FUNCTION pg_temp.text(n bigint) RETURNS text LANGUAGE sql IMMUTABLE
        RETURN pg_temp.word(ARRAY['Oi, tudo bem?', 'Vocês entregam em', 'Qual o preço da', 'Meu pedido ainda não chegou em',
                   'Quero trocar a', 'Obrigado pela', 'Pode me mandar a', 'Tem disponível a', 'Já paguei a'], n, 5)
            || ' ' || pg_temp.word(ARRAY['Goiânia', 'geladeira', 'nota fiscal', 'encomenda', 'atenção', 'promoção',
                   'segunda via', 'fatura', 'São Paulo', 'bicicleta', 'cadeira', 'garantia', 'Florianópolis', 'televisão',
                   'máquina de lavar', 'entrega', 'instalação'], n / 9, 3)
            || ' ' || pg_temp.word(ARRAY['por favor', 'ainda hoje', 'amanhã cedo', 'até sexta', 'sem falta', 'do anúncio',
                   'azul', 'de novo', 'no cartão', 'no boleto', 'à vista'], n / 153, 7)
            || ' ' || n;
";

impl Rows {
    async fn insert(&self, database: &mut BenchDatabase, home: Home) -> anyhow::Result<()> {
        let Self { company_id: company, first, contacts, conversations, messages } = *self;
        let connection = home.connection_id;
        let (contact, conversation, session, message, member, department) = (
            Kind::Contact as u8,
            Kind::Conversation as u8,
            Kind::Session as u8,
            Kind::Message as u8,
            Kind::Member as u8,
            Kind::Department as u8,
        );
        let rows = |count: u64| format!("generate_series({first}::bigint, {first} + {count} - 1) AS n");
        // Of every ten conversations four have two messages, and so on; the first one has a thousand.
        let of_message = format!(
            "{first} + CASE WHEN n - {first} < {LONGEST} THEN 0
                            ELSE floor(power(((n - {first}) * 7368787 % {messages})::double precision / {messages}, 2)
                                       * {conversations})::bigint END"
        );
        for statement in [
            format!(
                "INSERT INTO contacts (company_id, id, name, phone, email, source, external_id, tags, created_at, updated_at)
                 SELECT '{company}', pg_temp.id({contact}, n), pg_temp.name(n), '+55219' || 10000000 + n,
                        CASE n % 3 WHEN 0 THEN 'cliente' || n || '@example.com' END, 'whatsapp_cloud',
                        CASE n % 5 WHEN 0 THEN 'erp-' || n END,
                        CASE WHEN n % 1000 = 0 THEN '{{vip}}'::text[] WHEN n % 4 = 0 THEN '{{cliente}}' ELSE '{{}}' END,
                        timestamptz '2025-01-01' + n * interval '20 seconds',
                        timestamptz '2025-01-01' + n * interval '20 seconds'
                 FROM {}",
                rows(contacts)
            ),
            format!(
                "INSERT INTO contact_addresses (company_id, kind, value, contact_id, created_at)
                 SELECT '{company}', kind, prefix || 10000000 + n, pg_temp.id({contact}, n), now()
                 FROM {}, (VALUES ('wa_id', '55219'), ('e164', '+55219')) AS address (kind, prefix)",
                rows(contacts)
            ),
            format!(
                "INSERT INTO conversations (company_id, id, connection_id, thread_key, contact_id, channel, address_kind,
                     address_value, status, unread_count, assignee_id, department_id, tags, last_message_at,
                     last_inbound_at, created_at, updated_at)
                 SELECT '{company}', pg_temp.id({conversation}, n), '{connection}', pg_temp.id({contact}, n)::text,
                        pg_temp.id({contact}, n), 'whatsapp_cloud', 'wa_id', '55219' || 10000000 + n,
                        CASE WHEN n % 5 < 2 THEN 'open' ELSE 'closed' END,
                        CASE WHEN n % 20 = 0 THEN 1 + n % 3 ELSE 0 END,
                        CASE WHEN n % 3 = 0 THEN pg_temp.id({member}, n % 50) END,
                        CASE WHEN n % 2 = 0 THEN pg_temp.id({department}, n % 8) END,
                        CASE WHEN n % 5000 = 0 THEN '{{urgente}}'::text[] WHEN n % 6 = 0 THEN '{{venda}}' ELSE '{{}}' END,
                        active, active, active - interval '30 days', active
                 FROM (SELECT n, timestamptz '2026-11-01' - (n * 7368787 % 31000000) * interval '1 second' AS active
                       FROM {}) AS conversation",
                rows(conversations)
            ),
            format!(
                "INSERT INTO sessions (company_id, id, conversation_id, contact_id, status, started_by, created_at, updated_at,
                     closed_at)
                 SELECT '{company}', pg_temp.id({session}, n), pg_temp.id({conversation}, n), pg_temp.id({contact}, n),
                        CASE WHEN n % 5 < 2 THEN 'ACTIVE' ELSE 'CLOSED' END, 'CUSTOMER',
                        timestamptz '2025-06-01' + n * interval '30 seconds',
                        timestamptz '2025-06-01' + n * interval '30 seconds',
                        CASE WHEN n % 5 < 2 THEN NULL ELSE timestamptz '2026-11-01' END
                 FROM {}",
                rows(conversations)
            ),
            format!(
                "INSERT INTO messages (company_id, id, conversation_id, session_id, connection_id, contact_id, direction,
                     author, type, text, status, provider_message_id, occurred_at, created_at)
                 SELECT '{company}', pg_temp.id({message}, n), pg_temp.id({conversation}, owner),
                        pg_temp.id({session}, owner), '{connection}', pg_temp.id({contact}, owner),
                        CASE n % 2 WHEN 0 THEN 'outbound' ELSE 'inbound' END,
                        CASE n % 2 WHEN 0 THEN 'AI' ELSE 'CUSTOMER' END, 'text', pg_temp.text(n),
                        CASE n % 2 WHEN 0 THEN 'read' ELSE 'received' END, 'wamid.crowd.' || n,
                        timestamptz '2025-06-01' + n * interval '9 seconds',
                        timestamptz '2025-06-01' + n * interval '9 seconds'
                 FROM (SELECT n, {of_message} AS owner FROM {}) AS message",
                rows(messages)
            ),
            // What triggers would write, row by row.
            format!(
                "INSERT INTO conversation_terms (company_id, term, conversation_id, mentions)
                 SELECT '{company}', term, conversation_id, count(*)
                 FROM (SELECT conversation_id, unnest(search_words(text)) AS term FROM messages
                       WHERE company_id = '{company}'
                       UNION ALL
                       SELECT c.id, unnest(search_terms_of_contact(p.name, p.phone) || search_terms_of_tags(c.tags))
                       FROM conversations c JOIN contacts p ON p.company_id = c.company_id AND p.id = c.contact_id
                       WHERE c.company_id = '{company}') AS known
                 GROUP BY term COLLATE \"C\", term, conversation_id ORDER BY term COLLATE \"C\", conversation_id
                 ON CONFLICT DO NOTHING"
            ),
            format!(
                "UPDATE conversations c SET last_message_id = m.id, last_message_at = m.occurred_at
                 FROM (SELECT DISTINCT ON (conversation_id) conversation_id, id, occurred_at FROM messages
                       WHERE company_id = '{company}' AND provider_message_id LIKE 'wamid.crowd.%'
                       ORDER BY conversation_id, occurred_at DESC) AS m
                 WHERE c.company_id = '{company}' AND c.id = m.conversation_id"
            ),
        ] {
            database.run(&statement).await?;
        }
        Ok(())
    }
}

impl BenchDatabase {
    /// The place of the row that stands `skipped` rows behind the first of `conversations`, newest activity first, where
    /// `filter` is SQL.
    ///
    /// # Errors
    /// When there are not so many.
    pub(crate) async fn place_in_inbox(
        &mut self,
        home: Home,
        filter: &str,
        skipped: i64,
    ) -> anyhow::Result<Option<(DateTime<Utc>, Uuid)>> {
        let query = format!(
            "SELECT updated_at, id FROM conversations WHERE company_id = $1 AND NOT is_group AND {filter}
             ORDER BY updated_at DESC, id DESC OFFSET $2 LIMIT 1"
        );
        Ok(sqlx::query_as(AssertSqlSafe(query))
            .bind(home.company_id.0)
            .bind(skipped)
            .fetch_optional(self.admin())
            .await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_those_that_the_statements_make() {
        let id = id(Kind::Message, 4_999_999);
        let made = format!("{:012x}7{:03x}8{:015x}", 1_700_004_999_999_u64, 20, 4_999_999);
        assert_eq!(id.simple().to_string(), made);
        assert_eq!(id.get_version_num(), 7);
    }
}
