//! Conversations, the one thread between a contact and a connection: here how they come to be and change · [`inbox`] how they
//! are listed · [`search`] what they are found by.

pub mod inbox;
pub mod search;

use chrono::{DateTime, Utc};
use domain::connection::ConnectionKind;
use domain::inbound::{Address, AddressKind};
use domain::{ConnectionId, ContactId, ConversationId, DepartmentId, MessageId, SessionId, UserId};
use uuid::Uuid;

use crate::{Result, TenantTx};

/// A conversation with what a list shows of it.
#[derive(Clone, Debug)]
pub struct Conversation {
    /// Its id.
    pub id: ConversationId,
    /// Whose it is.
    pub contact_id: ContactId,
    /// The contact's name.
    pub contact_name: String,
    /// The contact's phone, E.164.
    pub contact_phone: Option<String>,
    /// The contact's WhatsApp username.
    pub contact_username: Option<String>,
    /// The connection that it runs over.
    pub connection_id: ConnectionId,
    /// `whatsapp_cloud`, …
    pub channel: String,
    /// `open` or `closed`.
    pub status: String,
    /// Customer messages that no person has read.
    pub unread_count: i32,
    /// Its newest message.
    pub last_message_id: Option<MessageId>,
    /// When the customer last wrote.
    pub last_inbound_at: Option<DateTime<Utc>>,
    /// Who holds it.
    pub assignee_id: Option<Uuid>,
    /// Which department holds it.
    pub department_id: Option<Uuid>,
    /// Tabulations.
    pub tags: Vec<String>,
    /// A group chat.
    pub is_group: bool,
    /// Grows with every change.
    pub version: i32,
    /// Last activity.
    pub updated_at: DateTime<Utc>,
}

/// What a batch of messages does to one thread.
#[derive(Clone, Debug)]
pub struct Activity {
    /// The id that the conversation gets if it is new.
    pub new_id: ConversationId,
    /// The connection.
    pub connection_id: ConnectionId,
    /// The contact's id, or `group:<id>`.
    pub thread_key: String,
    /// The contact.
    pub contact_id: ContactId,
    /// `whatsapp_cloud`, …
    pub channel: String,
    /// The provider's own address of the customer.
    pub address: Address,
    /// When the provider told it.
    pub address_at: DateTime<Utc>,
    /// A group chat.
    pub is_group: bool,
    /// How many unread messages the customer added.
    pub unread: i32,
    /// The newest message of the batch.
    pub last_message_id: MessageId,
    /// Its time.
    pub last_message_at: DateTime<Utc>,
    /// The newest message of the customer.
    pub last_inbound_at: Option<DateTime<Utc>>,
    /// It was over before we knew of it: the conversation that it makes is closed, and stands where it belongs in time.
    pub is_past: bool,
}

/// A conversation after an [`Activity`].
#[derive(Clone, Copy, Debug)]
pub struct Active {
    /// Its id.
    pub id: ConversationId,
    /// Grows with every change.
    pub version: i32,
}

/// Makes or updates the conversations that `activities` are about; in the same order.
///
/// `activities` name each thread once.
///
/// # Errors
/// Database errors only.
pub async fn record_activity(
    tx: &mut TenantTx,
    activities: &[Activity],
    now: DateTime<Utc>,
) -> Result<Vec<Active>> {
    let company_id = tx.company_id();
    let column = |value: fn(&Activity) -> Uuid| activities.iter().map(value).collect::<Vec<_>>();
    let ids = column(|activity| activity.new_id.0);
    let connections = column(|activity| activity.connection_id.0);
    let contacts = column(|activity| activity.contact_id.0);
    let last_ids = column(|activity| activity.last_message_id.0);
    let threads: Vec<_> = activities.iter().map(|activity| activity.thread_key.clone()).collect();
    let channels: Vec<_> = activities.iter().map(|activity| activity.channel.clone()).collect();
    let kinds: Vec<_> = activities.iter().map(|activity| activity.address.kind).collect();
    let addresses: Vec<_> = activities.iter().map(|activity| activity.address.value.clone()).collect();
    let addresses_at: Vec<_> = activities.iter().map(|activity| activity.address_at).collect();
    let groups: Vec<_> = activities.iter().map(|activity| activity.is_group).collect();
    let unread: Vec<_> = activities.iter().map(|activity| activity.unread).collect();
    let last_at: Vec<_> = activities.iter().map(|activity| activity.last_message_at).collect();
    let inbound_at: Vec<_> = activities.iter().map(|activity| activity.last_inbound_at).collect();
    let past: Vec<_> = activities.iter().map(|activity| activity.is_past).collect();
    // In the order of the unique key, so that two batches never wait for each other crosswise.
    let rows = sqlx::query!(
        r#"INSERT INTO conversations AS c (company_id, id, connection_id, thread_key, contact_id, channel, address_kind,
               address_value, address_at, is_group, unread_count, last_message_id, last_message_at, last_inbound_at,
               status, created_at, updated_at)
           SELECT $1, id, connection_id, thread_key, contact_id, channel, address_kind, address_value, address_at,
                  is_group, unread, last_message_id, last_message_at, last_inbound_at,
                  CASE WHEN is_past THEN 'closed' ELSE 'open' END, $15, CASE WHEN is_past THEN last_message_at ELSE $15 END
           FROM unnest($2::uuid[], $3::uuid[], $4::text[], $5::uuid[], $6::text[], $7::text[], $8::text[],
                       $9::timestamptz[], $10::bool[], $11::int[], $12::uuid[], $13::timestamptz[],
                       $14::timestamptz[], $16::bool[])
                AS new (id, connection_id, thread_key, contact_id, channel, address_kind, address_value, address_at,
                        is_group, unread, last_message_id, last_message_at, last_inbound_at, is_past)
           ORDER BY connection_id, thread_key
           ON CONFLICT (company_id, connection_id, thread_key) DO UPDATE SET
               -- The newest word counts; and a number, which people can call too, is not given up for an id.
               (address_kind, address_value, address_at) = (
                   SELECT CASE WHEN newer THEN EXCLUDED.address_kind ELSE c.address_kind END,
                          CASE WHEN newer THEN EXCLUDED.address_value ELSE c.address_value END,
                          CASE WHEN newer THEN EXCLUDED.address_at ELSE c.address_at END
                   FROM (SELECT EXCLUDED.address_at >= coalesce(c.address_at, '-infinity')
                            AND NOT (c.address_kind = 'wa_id' AND EXCLUDED.address_kind = 'bsuid') AS newer) AS told),
               unread_count = c.unread_count + EXCLUDED.unread_count,
               last_message_id = CASE WHEN EXCLUDED.last_message_at >= coalesce(c.last_message_at, '-infinity')
                                      THEN EXCLUDED.last_message_id ELSE c.last_message_id END,
               last_message_at = greatest(c.last_message_at, EXCLUDED.last_message_at),
               last_inbound_at = greatest(c.last_inbound_at, EXCLUDED.last_inbound_at),
               version = c.version + 1,
               updated_at = greatest(c.updated_at, EXCLUDED.updated_at)
           RETURNING id AS "id: ConversationId", version, connection_id, thread_key"#,
        company_id.0,
        &ids,
        &connections,
        &threads,
        &contacts,
        &channels,
        &kinds as _,
        &addresses,
        &addresses_at,
        &groups,
        &unread,
        &last_ids,
        &last_at,
        &inbound_at as _,
        now,
        &past
    )
    .fetch_all(tx.connection())
    .await?;
    let by_thread: std::collections::HashMap<_, _> =
        rows.iter().map(|row| ((row.connection_id, row.thread_key.as_str()), row)).collect();
    activities
        .iter()
        .map(|activity| {
            by_thread
                .get(&(activity.connection_id.0, activity.thread_key.as_str()))
                .map(|row| Active { id: row.id, version: row.version })
                .ok_or(crate::Error::Sqlx(sqlx::Error::RowNotFound))
        })
        .collect()
}

/// Looks for the newest message of conversations whose [`Activity`] named one that was known by another id.
///
/// # Errors
/// Database errors only.
pub async fn find_newest_again(tx: &mut TenantTx, ids: &[ConversationId]) -> Result<()> {
    let company_id = tx.company_id();
    let ids: Vec<_> = ids.iter().map(|id| id.0).collect();
    sqlx::query!(
        "UPDATE conversations c SET last_message_id = newest.id, last_message_at = newest.occurred_at
         FROM unnest($2::uuid[]) AS wanted (id)
         CROSS JOIN LATERAL (SELECT m.id, m.occurred_at FROM messages m
                             WHERE m.company_id = $1 AND m.conversation_id = wanted.id AND m.type <> 'note'
                             ORDER BY m.occurred_at DESC, m.id DESC LIMIT 1) AS newest
         WHERE c.company_id = $1 AND c.id = wanted.id",
        company_id.0,
        &ids
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Makes a message of ours the newest of its conversation, unless a newer one came meanwhile.
///
/// # Errors
/// Database errors only.
pub async fn record_outbound(
    tx: &mut TenantTx,
    id: ConversationId,
    message_id: MessageId,
    at: DateTime<Utc>,
) -> Result<()> {
    let company_id = tx.company_id();
    sqlx::query!(
        "UPDATE conversations SET
             last_message_id = CASE WHEN $4 >= coalesce(last_message_at, '-infinity')
                                    THEN $3 ELSE last_message_id END,
             last_message_at = greatest(last_message_at, $4), version = version + 1, updated_at = $4
         WHERE company_id = $1 AND id = $2",
        company_id.0,
        id.0,
        message_id.0,
        at
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Finds a conversation.
///
/// # Errors
/// Database errors only.
pub async fn find(tx: &mut TenantTx, id: ConversationId) -> Result<Option<Conversation>> {
    let company_id = tx.company_id();
    Ok(sqlx::query_as!(
        Conversation,
        r#"SELECT c.id AS "id: ConversationId", c.contact_id AS "contact_id: ContactId", p.name AS contact_name,
                  p.phone AS contact_phone, p.username AS contact_username,
                  c.connection_id AS "connection_id: ConnectionId", c.channel, c.status, c.unread_count,
                  c.last_message_id AS "last_message_id: MessageId", c.last_inbound_at, c.assignee_id, c.department_id,
                  c.tags, c.is_group, c.version, c.updated_at
           FROM conversations c
           JOIN contacts p ON p.company_id = c.company_id AND p.id = c.contact_id
           WHERE c.company_id = $1 AND c.id = $2"#,
        company_id.0,
        id.0
    )
    .fetch_optional(tx.connection())
    .await?)
}

/// Finds a conversation, and keeps others from writing into it: as [`lock`].
///
/// # Errors
/// Database errors only.
pub async fn find_for_update(tx: &mut TenantTx, id: ConversationId) -> Result<Option<Conversation>> {
    lock(tx, id).await?;
    find(tx, id).await
}

/// The conversation of a contact over a connection. Merged contacts may have several: that of `contact_id` itself first,
/// then the one in which the customer wrote last.
///
/// # Errors
/// Database errors only.
pub async fn find_for_contact(
    tx: &mut TenantTx,
    contact_id: ContactId,
    connection_id: ConnectionId,
) -> Result<Option<ConversationId>> {
    let company_id = tx.company_id();
    Ok(sqlx::query_scalar!(
        r#"SELECT id AS "id: ConversationId" FROM conversations
           WHERE company_id = $1 AND connection_id = $2 AND NOT is_group
             AND contact_id = coalesce((SELECT merged_into_id FROM contacts WHERE company_id = $1 AND id = $3), $3)
           ORDER BY thread_key = $3::text DESC, coalesce(last_inbound_at, created_at) DESC LIMIT 1"#,
        company_id.0,
        connection_id.0,
        contact_id.0
    )
    .fetch_optional(tx.connection())
    .await?)
}

/// Makes an empty conversation with a contact, or finds the one that exists.
///
/// # Errors
/// Database errors only.
pub async fn open(
    tx: &mut TenantTx,
    new_id: ConversationId,
    contact_id: ContactId,
    connection_id: ConnectionId,
    channel: &str,
    address: &Address,
    now: DateTime<Utc>,
) -> Result<ConversationId> {
    let company_id = tx.company_id();
    Ok(sqlx::query_scalar!(
        r#"INSERT INTO conversations AS c (company_id, id, connection_id, thread_key, contact_id, channel, address_kind,
               address_value, created_at, updated_at)
           VALUES ($1, $2, $3,
                   -- A thread is kept by the side that the address belongs to.
                   coalesce((SELECT a.side_id FROM contact_addresses a
                             WHERE a.company_id = $1 AND a.kind = $6 AND a.value = $7), $4)::text,
                   $4, $5, $6, $7, $8, $8)
           ON CONFLICT (company_id, connection_id, thread_key) DO UPDATE SET version = c.version
           RETURNING id AS "id: ConversationId""#,
        company_id.0,
        new_id.0,
        connection_id.0,
        contact_id.0,
        channel,
        address.kind as _,
        address.value,
        now
    )
    .fetch_one(tx.connection())
    .await?)
}

/// Waits for every other transaction that writes into this conversation, and keeps the next ones waiting.
///
/// # Errors
/// Database errors only.
pub async fn lock(tx: &mut TenantTx, id: ConversationId) -> Result<()> {
    let company_id = tx.company_id();
    sqlx::query!(
        "SELECT id FROM conversations WHERE company_id = $1 AND id = $2 FOR NO KEY UPDATE",
        company_id.0,
        id.0
    )
    .fetch_optional(tx.connection())
    .await?;
    Ok(())
}

/// Who holds a conversation.
#[derive(Clone, Copy, Debug)]
pub struct Holding {
    /// The member.
    pub assignee_id: Option<Uuid>,
    /// The department.
    pub department_id: Option<Uuid>,
}

/// As [`lock`], of the conversation that a session is a stretch of; who holds it, `None` where there is no such session.
///
/// # Errors
/// Database errors only.
pub async fn lock_of_session(tx: &mut TenantTx, id: SessionId) -> Result<Option<Holding>> {
    let company_id = tx.company_id();
    Ok(sqlx::query_as!(
        Holding,
        "SELECT assignee_id, department_id FROM conversations
         WHERE company_id = $1 AND id = (SELECT conversation_id FROM sessions WHERE company_id = $1 AND id = $2)
         FOR NO KEY UPDATE",
        company_id.0,
        id.0
    )
    .fetch_optional(tx.connection())
    .await?)
}

/// What may change of a conversation by a person's will.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// It is over, until somebody writes.
    pub closed: bool,
    /// Who holds it.
    pub assignee_id: Option<Uuid>,
    /// Which department holds it.
    pub department_id: Option<Uuid>,
    /// Tabulations.
    pub tags: Vec<String>,
    /// Customer messages that no person has read.
    pub unread_count: i32,
}

/// Writes what changed of a conversation that is [locked](lock), as activity of that time if there is one; its new version.
///
/// # Errors
/// Database errors only.
pub async fn update(
    tx: &mut TenantTx,
    id: ConversationId,
    standing: &Standing,
    active_at: Option<DateTime<Utc>>,
) -> Result<i32> {
    let company_id = tx.company_id();
    Ok(sqlx::query_scalar!(
        "UPDATE conversations SET status = CASE WHEN $3 THEN 'closed' ELSE 'open' END, assignee_id = $4,
                department_id = $5, tags = $6, unread_count = $7, version = version + 1,
                updated_at = coalesce($8, updated_at)
         WHERE company_id = $1 AND id = $2 RETURNING version",
        company_id.0,
        id.0,
        standing.closed,
        standing.assignee_id,
        standing.department_id,
        &standing.tags,
        standing.unread_count,
        active_at
    )
    .fetch_one(tx.connection())
    .await?)
}

/// Says who holds a conversation; its new version.
///
/// # Errors
/// Database errors only.
pub async fn assign(
    tx: &mut TenantTx,
    id: ConversationId,
    assignee_id: Option<Uuid>,
    department_id: Option<Uuid>,
    now: DateTime<Utc>,
) -> Result<i32> {
    let company_id = tx.company_id();
    Ok(sqlx::query_scalar!(
        "UPDATE conversations SET assignee_id = $3, department_id = $4, version = version + 1, updated_at = $5
         WHERE company_id = $1 AND id = $2 RETURNING version",
        company_id.0,
        id.0,
        assignee_id,
        department_id,
        now
    )
    .fetch_one(tx.connection())
    .await?)
}

/// Closes a conversation, or opens it again; its new version.
///
/// # Errors
/// Database errors only.
pub async fn set_closed(
    tx: &mut TenantTx,
    id: ConversationId,
    closed: bool,
    now: DateTime<Utc>,
) -> Result<i32> {
    let company_id = tx.company_id();
    Ok(sqlx::query_scalar!(
        "UPDATE conversations SET status = CASE WHEN $3 THEN 'closed' ELSE 'open' END, version = version + 1,
                updated_at = $4
         WHERE company_id = $1 AND id = $2 RETURNING version",
        company_id.0,
        id.0,
        closed,
        now
    )
    .fetch_one(tx.connection())
    .await?)
}

/// What sending into a conversation needs.
#[derive(Clone, Debug)]
pub struct Recipient {
    /// The connection to send over.
    pub connection_id: ConnectionId,
    /// The contact.
    pub contact_id: ContactId,
    /// The contact whose thread it is: the same, unless contacts were merged.
    pub side_id: ContactId,
    /// Everything about the contact was taken out: nobody is there to write to.
    pub contact_erased: bool,
    /// The customer wants no messages.
    pub opted_out: bool,
    /// The customer wants no marketing.
    pub marketing_opted_out: bool,
    /// The provider's own address.
    pub address: Address,
    /// What the connection is to.
    pub channel: ConnectionKind,
    /// When the customer last wrote: the 24-hour window counts from then.
    pub last_inbound_at: Option<DateTime<Utc>>,
    /// A group chat; `address` is one member's.
    pub is_group: bool,
}

/// Finds where a conversation's messages go.
///
/// # Errors
/// Database errors only.
pub async fn find_recipient(tx: &mut TenantTx, id: ConversationId) -> Result<Option<Recipient>> {
    let company_id = tx.company_id();
    let row = sqlx::query!(
        r#"SELECT c.connection_id AS "connection_id: ConnectionId", c.contact_id AS "contact_id: ContactId",
                  CASE WHEN c.is_group THEN c.contact_id ELSE c.thread_key::uuid END AS "side_id!: ContactId",
                  p.erased_at IS NOT NULL AS "contact_erased!", p.opted_out_at IS NOT NULL AS "opted_out!",
                  p.marketing_opted_out_at IS NOT NULL AS "marketing_opted_out!",
                  c.address_kind AS "address_kind: AddressKind", c.address_value,
                  c.channel AS "channel: ConnectionKind", c.last_inbound_at, c.is_group
           FROM conversations c JOIN contacts p ON p.company_id = c.company_id AND p.id = c.contact_id
           WHERE c.company_id = $1 AND c.id = $2"#,
        company_id.0,
        id.0
    )
    .fetch_optional(tx.connection())
    .await?;
    Ok(row.map(|row| Recipient {
        connection_id: row.connection_id,
        contact_id: row.contact_id,
        side_id: row.side_id,
        contact_erased: row.contact_erased,
        opted_out: row.opted_out,
        marketing_opted_out: row.marketing_opted_out,
        address: Address { kind: row.address_kind, value: row.address_value },
        channel: row.channel,
        last_inbound_at: row.last_inbound_at,
        is_group: row.is_group,
    }))
}

/// Learns the provider's own address of the customer from its answer, unless another one came meanwhile.
///
/// # Errors
/// Database errors only.
pub async fn replace_address(
    tx: &mut TenantTx,
    id: ConversationId,
    used: &Address,
    told: &Address,
    now: DateTime<Utc>,
) -> Result<()> {
    let company_id = tx.company_id();
    sqlx::query!(
        "UPDATE conversations SET address_kind = $5, address_value = $6, address_at = $7
         WHERE company_id = $1 AND id = $2 AND address_kind = $3 AND address_value = $4",
        company_id.0,
        id.0,
        used.kind as _,
        used.value,
        told.kind as _,
        told.value,
        now
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Sends a contact's conversations over a connection that go to one of `previous` to `current` from now on. Both are of
/// one kind: a new id is no reason to leave a number that still holds.
///
/// # Errors
/// Database errors only.
pub async fn move_address(
    tx: &mut TenantTx,
    connection_id: ConnectionId,
    contact_id: ContactId,
    previous: &[String],
    current: &Address,
    at: DateTime<Utc>,
) -> Result<()> {
    let company_id = tx.company_id();
    sqlx::query!(
        "UPDATE conversations SET address_value = $6, address_at = $7
         WHERE company_id = $1 AND connection_id = $2 AND contact_id = $3 AND NOT is_group
           AND address_kind = $4 AND address_value = ANY($5) AND coalesce(address_at, '-infinity') <= $7",
        company_id.0,
        connection_id.0,
        contact_id.0,
        current.kind as _,
        previous,
        current.value,
        at
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Marks a conversation as read by a person; the newest customer message, or `None` when nothing was unread.
///
/// # Errors
/// Database errors only.
pub async fn mark_read(tx: &mut TenantTx, id: ConversationId) -> Result<Option<MessageId>> {
    let company_id = tx.company_id();
    let changed = sqlx::query!(
        "UPDATE conversations SET unread_count = 0, version = version + 1
         WHERE company_id = $1 AND id = $2 AND unread_count > 0",
        company_id.0,
        id.0
    )
    .execute(tx.connection())
    .await?
    .rows_affected();
    if changed == 0 {
        return Ok(None);
    }
    Ok(sqlx::query_scalar!(
        r#"SELECT id AS "id: MessageId" FROM messages
           WHERE company_id = $1 AND conversation_id = $2 AND direction = 'inbound'
           ORDER BY occurred_at DESC, id DESC LIMIT 1"#,
        company_id.0,
        id.0
    )
    .fetch_optional(tx.connection())
    .await?)
}

/// A conversation that lost who held it, and its new version.
#[derive(Clone, Copy, Debug)]
pub struct Released {
    /// Its id.
    pub id: ConversationId,
    /// Whose it is.
    pub contact_id: ContactId,
    /// Its version.
    pub version: i32,
}

/// Takes every conversation off a person who leaves the company; they keep their department. Those that are not closed.
///
/// # Errors
/// Database errors only.
pub async fn release_all_of(tx: &mut TenantTx, user_id: UserId) -> Result<Vec<Released>> {
    let company_id = tx.company_id();
    Ok(sqlx::query_as!(
        Released,
        r#"WITH released AS (
               UPDATE conversations SET assignee_id = NULL, version = version + 1
               WHERE company_id = $1 AND assignee_id = $2
               RETURNING id, contact_id, version, status)
           SELECT id AS "id: ConversationId", contact_id AS "contact_id: ContactId", version
           FROM released WHERE status = 'open'"#,
        company_id.0,
        user_id.0
    )
    .fetch_all(tx.connection())
    .await?)
}

/// Takes every conversation out of a department that there will not be; they keep whoever holds them. Those that are not
/// closed.
///
/// # Errors
/// Database errors only.
pub async fn leave_department(tx: &mut TenantTx, department_id: DepartmentId) -> Result<Vec<Released>> {
    let company_id = tx.company_id();
    Ok(sqlx::query_as!(
        Released,
        r#"WITH released AS (
               UPDATE conversations SET department_id = NULL, version = version + 1
               WHERE company_id = $1 AND department_id = $2
               RETURNING id, contact_id, version, status)
           SELECT id AS "id: ConversationId", contact_id AS "contact_id: ContactId", version
           FROM released WHERE status = 'open'"#,
        company_id.0,
        department_id.0
    )
    .fetch_all(tx.connection())
    .await?)
}
