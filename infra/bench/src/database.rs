//! A database of the bench's own on the server that it is given: made at the start, dropped at the end.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use bytes::{Bytes, BytesMut};
use domain::{ImportId, MediaId};
use futures::TryStreamExt as _;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use url::Url;

use crate::payloads::Home;

/// Its name. Whatever is called so on the server is dropped.
const DATABASE: &str = "master_ia_bench";

/// The extensions that the migrations expect, which only a superuser may create.
const EXTENSIONS: &str = include_str!("../../extensions.sql");

/// How many conversations the messages that are there already belong to.
const CONVERSATIONS: u64 = 10_000;

/// Addresses of one server for each role, as `local database` hands them to its command.
#[derive(Clone, Debug)]
pub(crate) struct ServerUrls {
    /// `mia_app`.
    pub(crate) application: String,
    /// `mia_system`.
    pub(crate) system: String,
    /// `mia_owner`.
    pub(crate) owner: String,
    /// The superuser.
    pub(crate) admin: String,
}

/// The database.
pub(crate) struct BenchDatabase {
    /// Its address as the application's role.
    pub(crate) application_url: String,
    /// Its address as the role of schedules.
    pub(crate) system_url: String,
    admin: PgConnection,
    server: ServerUrls,
}

/// How much stands in the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Provider events.
    pub(crate) events: i64,
    /// Messages.
    pub(crate) messages: i64,
    /// Messages of ours that were reported as delivered.
    pub(crate) delivered: i64,
    /// Jobs and events that were not handed over.
    pub(crate) outbox: i64,
}

/// Where an import stands.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub(crate) struct ImportRun {
    /// Its state.
    pub(crate) state: String,
    /// Which job's turn it is.
    pub(crate) run: i32,
    /// Rows that made a contact.
    pub(crate) created: i64,
    /// Rows that said what was known.
    pub(crate) unchanged: i64,
}

impl BenchDatabase {
    /// Makes it anew, with the schema.
    ///
    /// # Errors
    /// When the server is not reachable as superuser, or lacks roles or extensions.
    pub(crate) async fn create(server: ServerUrls) -> anyhow::Result<Self> {
        drop_database(&server.admin).await?;
        let mut outside = PgConnection::connect(&server.admin).await?;
        let create = format!("CREATE DATABASE {DATABASE} OWNER mia_owner TEMPLATE template0 ENCODING 'UTF8'");
        sqlx::raw_sql(AssertSqlSafe(create))
            .execute(&mut outside)
            .await
            .context("cannot make the database")?;
        outside.close().await?;
        let mut admin = PgConnection::connect(&inside(&server.admin)?).await?;
        sqlx::raw_sql(EXTENSIONS).execute(&mut admin).await?;
        db::migrate(&inside(&server.owner)?).await?;
        Ok(Self {
            application_url: inside(&server.application)?,
            system_url: inside(&server.system)?,
            admin,
            server,
        })
    }

    /// Drops it.
    ///
    /// # Errors
    /// When the server is gone.
    pub(crate) async fn drop(self) -> anyhow::Result<()> {
        self.admin.close().await?;
        drop_database(&self.server.admin).await
    }

    /// The server's version and its settings that decide what "durable" costs.
    ///
    /// # Errors
    /// When the server is gone.
    pub(crate) async fn settings(&mut self) -> anyhow::Result<String> {
        let names = [
            "server_version",
            "fsync",
            "synchronous_commit",
            "wal_sync_method",
            "full_page_writes",
            "shared_buffers",
        ];
        let settings: Vec<String> = sqlx::query_scalar(
            "SELECT name || ' ' || current_setting(name) FROM unnest($1::text[]) WITH ORDINALITY AS n (name, position)
             ORDER BY position",
        )
        .bind(&names[..])
        .fetch_all(&mut self.admin)
        .await?;
        Ok(settings.join(", "))
    }

    /// How long the server takes for the smallest durable transaction, in milliseconds each.
    ///
    /// # Errors
    /// When the server is gone.
    pub(crate) async fn commit_times(&mut self, commits: usize) -> anyhow::Result<Vec<f64>> {
        sqlx::raw_sql("CREATE TABLE IF NOT EXISTS public.bench_commit (n integer)")
            .execute(&mut self.admin)
            .await?;
        let mut times = Vec::with_capacity(commits);
        for _ in 0..commits {
            let began = Instant::now();
            sqlx::query("INSERT INTO public.bench_commit VALUES (1)").execute(&mut self.admin).await?;
            times.push(began.elapsed().as_secs_f64() * 1000.0);
        }
        Ok(times)
    }

    /// Puts `messages` messages in, half of them ours and `sent`, with everything that they belong to; how long that
    /// took. Even ones are ours: [`provider_message_id`] is their id.
    ///
    /// # Errors
    /// When the schema is another.
    pub(crate) async fn fill(&mut self, home: Home, messages: u64) -> anyhow::Result<Duration> {
        let began = Instant::now();
        let (company, connection) = (home.company_id, home.connection_id);
        let conversations = CONVERSATIONS.min(messages);
        // The foreign keys are right by construction; checking them one by one takes most of the time.
        let fill = format!(
            "SET session_replication_role = replica;
             SET synchronous_commit = off;
             CREATE FUNCTION pg_temp.id(kind integer, n bigint) RETURNS uuid LANGUAGE sql IMMUTABLE
                 RETURN (lpad(to_hex(1700000000000 + n), 12, '0') || '7' || lpad(to_hex(kind), 3, '0') || '8'
                         || lpad(to_hex(n), 15, '0'))::uuid;
             INSERT INTO contacts (company_id, id, name, source, created_at, updated_at)
                 SELECT '{company}', pg_temp.id(1, n), 'Cliente antigo ' || n, 'whatsapp_cloud', now(), now()
                 FROM generate_series(0, {conversations} - 1) AS n;
             INSERT INTO contact_addresses (company_id, kind, value, contact_id, created_at)
                 SELECT '{company}', kind, prefix || (900000000 + n), pg_temp.id(1, n), now()
                 FROM generate_series(0, {conversations} - 1) AS n,
                      (VALUES ('wa_id', '5521'), ('e164', '+5521')) AS address (kind, prefix);
             INSERT INTO conversations (company_id, id, connection_id, thread_key, contact_id, channel, address_kind,
                     address_value, created_at, updated_at)
                 SELECT '{company}', pg_temp.id(2, n), '{connection}', pg_temp.id(1, n)::text, pg_temp.id(1, n),
                        'whatsapp_cloud', 'wa_id', '5521' || (900000000 + n), now(), now()
                 FROM generate_series(0, {conversations} - 1) AS n;
             INSERT INTO sessions (company_id, id, conversation_id, contact_id, status, started_by, created_at, updated_at)
                 SELECT '{company}', pg_temp.id(3, n), pg_temp.id(2, n), pg_temp.id(1, n), 'ACTIVE', 'CUSTOMER', now(), now()
                 FROM generate_series(0, {conversations} - 1) AS n;
             INSERT INTO messages (company_id, id, conversation_id, session_id, connection_id, contact_id, direction,
                     author, type, text, status, provider_message_id, occurred_at, created_at, sent_at)
                 SELECT '{company}', pg_temp.id(4, n), pg_temp.id(2, n / 2 % {conversations}),
                        pg_temp.id(3, n / 2 % {conversations}), '{connection}', pg_temp.id(1, n / 2 % {conversations}),
                        CASE n % 2 WHEN 0 THEN 'outbound' ELSE 'inbound' END,
                        CASE n % 2 WHEN 0 THEN 'AI' ELSE 'CUSTOMER' END, 'text',
                        'Mensagem número ' || n || ' de uma conversa comum, nem curta nem longa demais.',
                        CASE n % 2 WHEN 0 THEN 'sent' ELSE 'received' END, 'wamid.bench.' || n,
                        timestamptz '2026-01-01' + n * interval '1 second',
                        timestamptz '2026-01-01' + n * interval '1 second',
                        CASE n % 2 WHEN 0 THEN timestamptz '2026-01-01' + n * interval '1 second' END
                 FROM generate_series(0, {messages} - 1) AS n;
             SET session_replication_role = origin;
             RESET synchronous_commit;"
        );
        sqlx::raw_sql(AssertSqlSafe(fill))
            .execute(&mut self.admin)
            .await
            .context("cannot fill the database")?;
        for table in ["contacts", "contact_addresses", "conversations", "sessions", "messages"] {
            sqlx::raw_sql(AssertSqlSafe(format!("VACUUM (ANALYZE) {table}")))
                .execute(&mut self.admin)
                .await?;
        }
        // Its writes are not to fall into what is measured.
        sqlx::raw_sql("CHECKPOINT").execute(&mut self.admin).await?;
        Ok(began.elapsed())
    }

    /// Runs statements of no answer, as the superuser.
    ///
    /// # Errors
    /// When one of them fails.
    pub(crate) async fn run(&mut self, statements: &str) -> anyhow::Result<()> {
        sqlx::raw_sql(AssertSqlSafe(statements.to_owned())).execute(&mut self.admin).await?;
        Ok(())
    }

    /// The superuser's connection.
    pub(crate) fn admin(&mut self) -> &mut PgConnection {
        &mut self.admin
    }

    /// Bytes on disk.
    ///
    /// # Errors
    /// When the server is gone.
    pub(crate) async fn size(&mut self) -> anyhow::Result<u64> {
        let size: i64 = sqlx::query_scalar("SELECT pg_database_size(current_database())")
            .fetch_one(&mut self.admin)
            .await?;
        Ok(size.try_into()?)
    }

    /// Copies `file` (name, phone, email, external id, city) into a table of its columns, and then what it says into copies
    /// of contacts and addresses with all that those have: indexes, checks, foreign keys. How long each took.
    ///
    /// # Errors
    /// When the schema is another.
    pub(crate) async fn copy(&mut self, home: Home, file: &[u8]) -> anyhow::Result<(Duration, Duration)> {
        let company = home.company_id;
        self.run("CREATE TABLE bench_copy (name text, phone text, email text, external_id text, city text); CHECKPOINT")
            .await?;
        let copied =
            self.copy_in("bench_copy FROM STDIN (FORMAT csv, HEADER)", &[file.to_vec().into()]).await?;
        // Ids in the order of time, as ours are.
        self.run(
            "CREATE TABLE bench_rows AS
                 SELECT (to_char(row_number() OVER (), 'FM000000000000') || '70008000000000000000')::uuid AS id,
                        '+55' || regexp_replace(phone, '[^0-9]', '', 'g') AS canonical, now() AS at, *
                 FROM bench_copy;
             CREATE TABLE bench_contacts (LIKE contacts INCLUDING ALL);
             ALTER TABLE bench_contacts ADD FOREIGN KEY (company_id) REFERENCES companies (id);
             CREATE TABLE bench_addresses (LIKE contact_addresses INCLUDING ALL);
             ALTER TABLE bench_addresses ADD FOREIGN KEY (company_id, contact_id)
                 REFERENCES bench_contacts (company_id, id)",
        )
        .await?;
        let contacts = format!(
            "COPY (SELECT '{company}', id, name, canonical, email, external_id, jsonb_build_object('city', city), 'import',
                          at, at FROM bench_rows ORDER BY id) TO STDOUT"
        );
        let addresses = format!(
            "COPY (SELECT '{company}', kind, value, id, at
                   FROM bench_rows, LATERAL (VALUES ('e164', canonical), ('email', email), ('external', external_id))
                       AS address (kind, value) ORDER BY id) TO STDOUT"
        );
        let (contacts, addresses) = (self.copy_out(&contacts).await?, self.copy_out(&addresses).await?);
        self.run("CHECKPOINT").await?;
        let columns =
            "company_id, id, name, phone, email, external_id, custom, source, created_at, updated_at";
        let mut whole = self.copy_in(&format!("bench_contacts ({columns}) FROM STDIN"), &contacts).await?;
        let columns = "company_id, kind, value, contact_id, created_at";
        whole += self.copy_in(&format!("bench_addresses ({columns}) FROM STDIN"), &addresses).await?;
        self.run(&format!(
            "DROP TABLE bench_copy, bench_rows, bench_addresses, bench_contacts; CHECKPOINT;
             INSERT INTO contact_fields (company_id, id, key, label, type, created_at, updated_at)
             VALUES ('{company}', gen_random_uuid(), 'city', 'Cidade', 'text', now(), now())"
        ))
        .await?;
        Ok((copied, whole))
    }

    async fn copy_out(&mut self, statement: &str) -> anyhow::Result<Vec<Bytes>> {
        Ok(self.admin.copy_out_raw(statement).await?.try_collect().await?)
    }

    async fn copy_in(&mut self, what: &str, data: &[Bytes]) -> anyhow::Result<Duration> {
        let began = Instant::now();
        let mut copy = self.admin.copy_in_raw(&format!("COPY {what}")).await?;
        // Rows come out one by one; a message each would be what is measured.
        let mut message = BytesMut::new();
        for part in data.iter().flat_map(|part| part.chunks(1 << 20)) {
            message.extend_from_slice(part);
            if message.len() >= 1 << 20 {
                copy.send(message.split().freeze()).await?;
            }
        }
        copy.send(message.freeze()).await?;
        copy.finish().await?;
        Ok(began.elapsed())
    }

    /// Asks for an import of the object `key`, as the API does.
    ///
    /// # Errors
    /// When the schema is another.
    pub(crate) async fn ask_for_import(
        &mut self,
        home: Home,
        media_id: MediaId,
        import_id: ImportId,
        key: &str,
        size: i64,
    ) -> anyhow::Result<()> {
        let company = home.company_id;
        let header = "nome,telefone,email,codigo,cidade\n".len();
        let ask = format!(
            "INSERT INTO media (company_id, id, purpose, state, mime_type, size, key, created_at, ready_at)
             VALUES ('{company}', '{media_id}', 'import', 'ready', 'text/csv', {size}, '{key}', now(), now());
             INSERT INTO contact_imports (company_id, id, media_id, state, dry_run, delimiter, encoding, header, columns,
                 fields, default_country, size, position, row_number, told_at, created_at, updated_at)
             VALUES ('{company}', '{import_id}', '{media_id}', 'waiting', false, ',', 'utf-8', true,
                 '{{nome,telefone,email,codigo,cidade}}', '{{name,phone,email,external_id,custom.city}}', 'BR', {size},
                 {header}, 1, now(), now(), now())"
        );
        sqlx::raw_sql(AssertSqlSafe(ask)).execute(&mut self.admin).await?;
        Ok(())
    }

    /// Where an import stands.
    ///
    /// # Errors
    /// When there is no such import.
    pub(crate) async fn import_run(&mut self, import_id: ImportId) -> anyhow::Result<ImportRun> {
        let run = sqlx::query_as("SELECT state, run, created, unchanged FROM contact_imports WHERE id = $1");
        Ok(run.bind(import_id.0).fetch_one(&mut self.admin).await?)
    }

    /// Counts what must have changed after a measurement.
    ///
    /// # Errors
    /// When the server is gone.
    pub(crate) async fn counts(&mut self) -> anyhow::Result<Counts> {
        let (events, messages, delivered, outbox) = sqlx::query_as(
            "SELECT (SELECT count(*) FROM inbound_events), (SELECT count(*) FROM messages),
                    (SELECT count(*) FROM messages WHERE status = 'delivered'), (SELECT count(*) FROM outbox)",
        )
        .fetch_one(&mut self.admin)
        .await?;
        Ok(Counts { events, messages, delivered, outbox })
    }
}

/// The provider's id of the message `n` of [`BenchDatabase::fill`].
pub(crate) fn provider_message_id(n: u64) -> String {
    format!("wamid.bench.{n}")
}

fn inside(url: &str) -> anyhow::Result<String> {
    let mut url = Url::parse(url).context("not a PostgreSQL URL")?;
    url.set_path(DATABASE);
    Ok(url.into())
}

async fn drop_database(admin_url: &str) -> anyhow::Result<()> {
    let mut server = PgConnection::connect(admin_url).await.context("cannot connect to PostgreSQL")?;
    let drop = format!("DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)");
    sqlx::raw_sql(AssertSqlSafe(drop)).execute(&mut server).await?;
    Ok(server.close().await?)
}
