//! What was changed of a contact, of its conversations and of its sessions: by whom, when, from what to what. It stands in
//! the [timeline](super::timeline), and is written in the same transaction as the change.
//!
//! Told is what somebody changed, and not what follows from it: that a session ends with its conversation, waits for an
//! agent who left, or goes on because of a message, which stands there itself.

use db::TenantTx;
use db::contacts::history::Entry;
use domain::ContactId;
use domain::contact::ContactChange;
use serde_json::Value;
use uuid::Uuid;

use crate::App;
use crate::audit::{self, By};
use crate::changes::differences;
use crate::error::Result;

/// One change. Of `was` and `became`, objects, what differs is kept.
pub(crate) struct Changed {
    /// Of which contact.
    pub(crate) contact_id: ContactId,
    /// Of what.
    pub(crate) kind: ContactChange,
    /// Of which conversation or session; of the contact itself, by which import, if by one.
    pub(crate) object_id: Option<Uuid>,
    pub(crate) was: Value,
    pub(crate) became: Value,
}

/// Fields of a contact with those of the company's own, each by itself.
pub(crate) fn with_custom<'a>(
    mut fields: Value,
    custom: impl IntoIterator<Item = (&'a String, &'a Value)>,
) -> Value {
    for (key, value) in custom {
        fields[format!("custom.{key}")] = value.clone();
    }
    fields
}

/// Notes changes; where nothing differs, nothing.
///
/// # Errors
/// Database errors only.
pub(crate) async fn record(
    app: &App,
    tx: &mut TenantTx,
    by: By<'_>,
    changes: impl IntoIterator<Item = Changed>,
) -> Result<()> {
    let (actor_kind, actor_id) = audit::who(by);
    let at = app.clock.now();
    let entries = changes.into_iter().filter_map(|Changed { contact_id, kind, object_id, was, became }| {
        let (was, became) = differences(was, became)?;
        let (id, actor_kind) = (app.clock.new_id(), actor_kind.to_owned());
        Some(Entry { id, contact_id, at, kind, object_id, actor_kind, actor_id, was, became })
    });
    Ok(db::contacts::history::insert(tx, &entries.collect::<Vec<_>>()).await?)
}
