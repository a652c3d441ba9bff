//! Who did what to which object, from where: a line in the same transaction as the change. What happens to a person's
//! account, which is no company's, stands in the log of every company in which they are active.

use chrono::{DateTime, Datelike as _, Utc};
use db::audit::{AuditEntry, Filter};
use db::{PersonTx, TenantTx};
use domain::UserId;
use domain::user::Permission;
use serde_json::Value;
use uuid::Uuid;

use crate::auth::{Actor, Client, Identity};
use crate::error::{Error, Result};
use crate::{App, Page, Position};

/// Who acts.
#[derive(Clone, Copy, Debug)]
pub enum By<'a> {
    /// A caller of the API.
    Caller(&'a Identity),
    /// A person who is not logged in, but proved who they are.
    Person(UserId, &'a Client),
    /// We ourselves, later on.
    System,
}

/// Adds a line: `action` is `<object>.<verb>`, `object` its kind and id. `detail` never holds a secret.
///
/// # Errors
/// Database errors only.
pub async fn record(
    app: &App,
    tx: &mut TenantTx,
    by: By<'_>,
    action: &str,
    object: (&str, Option<Uuid>),
    detail: Value,
) -> Result<()> {
    let nobody = Client::default();
    let client = match by {
        By::Caller(identity) => &identity.client,
        By::Person(_, client) => client,
        By::System => &nobody,
    };
    let actor = who(by);
    Ok(db::audit::insert(tx, &entry(app, actor, client, action, object, detail)).await?)
}

/// Who acts, in the words of the log.
pub(crate) fn who(by: By<'_>) -> (&'static str, Option<Uuid>) {
    match by {
        By::Caller(identity) => actor(identity),
        By::Person(user_id, _) => ("person", Some(user_id.0)),
        By::System => ("system", None),
    }
}

/// Who a caller is, in the words of the log.
pub(crate) fn actor(identity: &Identity) -> (&'static str, Option<Uuid>) {
    match &identity.actor {
        Actor::Person { user_id, .. } => ("person", Some(user_id.0)),
        Actor::Key { id, .. } => ("api_key", Some(id.0)),
    }
}

fn entry(
    app: &App,
    (actor_kind, actor_id): (&str, Option<Uuid>),
    client: &Client,
    action: &str,
    (object_kind, object_id): (&str, Option<Uuid>),
    detail: Value,
) -> AuditEntry {
    AuditEntry {
        id: app.clock.new_id(),
        at: app.clock.now(),
        actor_kind: actor_kind.to_owned(),
        actor_id,
        action: action.to_owned(),
        object_kind: object_kind.to_owned(),
        object_id,
        ip: client.ip.clone(),
        detail,
    }
}

/// What happened to a person's account.
#[derive(Clone, Copy, Debug)]
pub(crate) enum OfPerson<'a> {
    /// They did it.
    Themselves(&'a Client),
    /// We did, for what came from there.
    System(&'a Client),
}

/// Adds a line about a person's account: `action` is `person.<verb>`. `tx` acts as them. `detail` holds neither a secret
/// nor an address: the log is read by others.
///
/// # Errors
/// Database errors only.
pub(crate) async fn record_of_person(
    app: &App,
    tx: &mut impl PersonTx,
    user_id: UserId,
    by: OfPerson<'_>,
    action: &str,
    detail: Value,
) -> Result<()> {
    let (actor, client) = match by {
        OfPerson::Themselves(client) => (("person", Some(user_id.0)), client),
        OfPerson::System(client) => (("system", None), client),
    };
    let entry = entry(app, actor, client, action, ("person", Some(user_id.0)), detail);
    Ok(db::audit::insert_of_person(tx, user_id, &entry).await?)
}

/// A page of the company's log, newest first.
///
/// # Errors
/// `Forbidden` without the permission; `Invalid` for words that no line can hold, and for a time that there is not.
pub async fn list(
    app: &App,
    identity: &Identity,
    filter: &Filter,
    after: Option<Position>,
    limit: i64,
) -> Result<Page<AuditEntry>> {
    identity.require(Permission::ReadAuditLog)?;
    check(filter)?;
    let mut tx = app.db().await?.begin_list(identity.scope).await?;
    let entries = db::audit::list(&mut tx, filter, after, limit + 1).await?;
    Ok(Page::cut(entries, limit, |entry| (entry.at, entry.id)))
}

fn check(filter: &Filter) -> Result<()> {
    let is_word = |text: &str| {
        (1..=60).contains(&text.len()) && text.bytes().all(|c| c.is_ascii_lowercase() || c == b'_')
    };
    let is_action =
        |text: &str| text.split_once('.').is_some_and(|(object, verb)| is_word(object) && is_word(verb));
    if filter.action.as_deref().is_some_and(|action| !is_action(action)) {
        return Err(Error::invalid("action", "<object>.<verb>, as in member.role_changed"));
    }
    if filter.object_kind.as_deref().is_some_and(|kind| !is_word(kind)) {
        return Err(Error::invalid("object_kind", "one word, as in member"));
    }
    let is_time = |at: DateTime<Utc>| (1..=9999).contains(&at.year());
    for (name, at) in [("from", filter.from), ("to", filter.to)] {
        if at.is_some_and(|at| !is_time(at)) {
            return Err(Error::invalid(name, "a time as RFC 3339 has it"));
        }
    }
    if filter.from.zip(filter.to).is_some_and(|(from, to)| from >= to) {
        return Err(Error::invalid("to", "after `from`"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_line_holds_is_not_looked_for() {
        let action = |text: &str| Filter { action: Some(text.to_owned()), ..Filter::default() };
        let kind = |text: &str| Filter { object_kind: Some(text.to_owned()), ..Filter::default() };
        let at = |seconds| DateTime::from_timestamp(seconds, 0);
        let between = |from, to| Filter { from: at(from), to: at(to), ..Filter::default() };
        for good in [Filter::default(), action("api_key.created"), kind("api_key"), between(0, 1)] {
            assert!(check(&good).is_ok(), "{good:?}");
        }
        let wrong = [
            action("created"),
            action("a.b.c"),
            action("."),
            kind(""),
            kind("API key"),
            between(1, 1),
            between(2, 1),
        ];
        for bad in wrong.into_iter().chain([between(-100_000_000_000, 0), between(0, 300_000_000_000)]) {
            assert!(check(&bad).is_err(), "{bad:?}");
        }
    }
}
