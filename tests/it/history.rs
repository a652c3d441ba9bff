//! A past that nobody has to live through: customers, and messages that were sent to them, written into the database.

use std::collections::BTreeMap;

use domain::phone::canonical_from_wa_id;
use sqlx::PgPool;
use testkit::{Tenant, new_id};
use uuid::Uuid;

/// A message of the business that the provider accepted.
#[derive(Clone, Debug)]
pub(crate) struct SentMessage {
    /// To whom, WhatsApp's digits.
    pub(crate) wa_id: String,
    /// The provider's id.
    pub(crate) wamid: String,
    /// When, Unix seconds.
    pub(crate) at: i64,
}

/// Where a customer's things are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Customer {
    pub(crate) contact_id: Uuid,
    pub(crate) conversation_id: Uuid,
    session_id: Uuid,
}

/// Writes customers with one conversation and one open session each; `wa_ids` are distinct and new to the company.
pub(crate) async fn insert_customers(
    admin: &PgPool,
    tenant: &Tenant,
    wa_ids: &[String],
) -> BTreeMap<String, Customer> {
    let new = || Customer { contact_id: new_id(), conversation_id: new_id(), session_id: new_id() };
    let customers: Vec<Customer> = wa_ids.iter().map(|_| new()).collect();
    let phones: Vec<String> = wa_ids.iter().map(|wa_id| canonical_from_wa_id(wa_id).unwrap()).collect();
    let contacts: Vec<Uuid> = customers.iter().map(|customer| customer.contact_id).collect();
    let conversations: Vec<Uuid> = customers.iter().map(|customer| customer.conversation_id).collect();
    let sessions: Vec<Uuid> = customers.iter().map(|customer| customer.session_id).collect();
    let mut tx = admin.begin().await.unwrap();
    sqlx::query(
        "INSERT INTO contacts (company_id, id, name, phone, source, created_at, updated_at)
         SELECT $1, id, 'Cliente', phone, 'whatsapp_cloud', now(), now()
         FROM unnest($2::uuid[], $3::text[]) AS new (id, phone)",
    )
    .bind(tenant.company_id)
    .bind(&contacts)
    .bind(&phones)
    .execute(&mut *tx)
    .await
    .unwrap();
    sqlx::query(
        "INSERT INTO contact_addresses (company_id, kind, value, contact_id, created_at)
         SELECT $1, 'wa_id', wa_id, id, now() FROM unnest($2::uuid[], $3::text[], $4::text[]) AS new (id, wa_id, phone)
         UNION ALL
         SELECT $1, 'e164', phone, id, now() FROM unnest($2::uuid[], $3::text[], $4::text[]) AS new (id, wa_id, phone)",
    )
    .bind(tenant.company_id)
    .bind(&contacts)
    .bind(wa_ids)
    .bind(&phones)
    .execute(&mut *tx)
    .await
    .unwrap();
    sqlx::query(
        "INSERT INTO conversations (company_id, id, connection_id, thread_key, contact_id, channel, address_kind,
                                    address_value, created_at, updated_at)
         SELECT $1, id, $2, contact_id::text, contact_id, 'whatsapp_cloud', 'wa_id', wa_id, now(), now()
         FROM unnest($3::uuid[], $4::uuid[], $5::text[]) AS new (id, contact_id, wa_id)",
    )
    .bind(tenant.company_id)
    .bind(tenant.connection_id)
    .bind(&conversations)
    .bind(&contacts)
    .bind(wa_ids)
    .execute(&mut *tx)
    .await
    .unwrap();
    sqlx::query(
        "INSERT INTO sessions (company_id, id, conversation_id, contact_id, status, started_by, created_at, updated_at)
         SELECT $1, id, conversation_id, contact_id, 'ACTIVE', 'BUSINESS', now(), now()
         FROM unnest($2::uuid[], $3::uuid[], $4::uuid[]) AS new (id, conversation_id, contact_id)",
    )
    .bind(tenant.company_id)
    .bind(&sessions)
    .bind(&conversations)
    .bind(&contacts)
    .execute(&mut *tx)
    .await
    .unwrap();
    tx.commit().await.unwrap();
    wa_ids.iter().cloned().zip(customers).collect()
}

/// Writes messages as `sent` to customers of [`insert_customers`].
pub(crate) async fn insert_sent(
    admin: &PgPool,
    tenant: &Tenant,
    customers: &BTreeMap<String, Customer>,
    messages: &[SentMessage],
) {
    for chunk in messages.chunks(5_000) {
        let customers: Vec<Customer> = chunk.iter().map(|message| customers[&message.wa_id]).collect();
        sqlx::query(
            "INSERT INTO messages (company_id, connection_id, id, conversation_id, session_id, contact_id, direction,
                                   author, type, text, status, provider_message_id, occurred_at, created_at, sent_at)
             SELECT $1, $2, id, conversation_id, session_id, contact_id, 'outbound', 'BUSINESS', 'text', 'Oi', 'sent',
                    wamid, to_timestamp(at), to_timestamp(at), to_timestamp(at)
             FROM unnest($3::uuid[], $4::uuid[], $5::uuid[], $6::uuid[], $7::text[], $8::bigint[])
                  AS new (id, conversation_id, session_id, contact_id, wamid, at)",
        )
        .bind(tenant.company_id)
        .bind(tenant.connection_id)
        .bind(chunk.iter().map(|_| new_id()).collect::<Vec<_>>())
        .bind(customers.iter().map(|customer| customer.conversation_id).collect::<Vec<_>>())
        .bind(customers.iter().map(|customer| customer.session_id).collect::<Vec<_>>())
        .bind(customers.iter().map(|customer| customer.contact_id).collect::<Vec<_>>())
        .bind(chunk.iter().map(|message| message.wamid.clone()).collect::<Vec<_>>())
        .bind(chunk.iter().map(|message| message.at).collect::<Vec<_>>())
        .execute(admin)
        .await
        .unwrap();
    }
}

/// How many events the company's journal has.
pub(crate) async fn journal_count(admin: &PgPool, tenant: &Tenant) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM inbound_events WHERE company_id = $1")
        .bind(tenant.company_id)
        .fetch_one(admin)
        .await
        .unwrap()
}
