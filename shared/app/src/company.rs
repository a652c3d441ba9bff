//! The company itself, and who belongs to it.
//!
//! Rooms: here name and ownership · [`members`] roles and who is shut out · [`invitations`] who is to come ·
//! [`departments`] · [`api_keys`].

pub mod api_keys;
pub mod departments;
pub mod invitations;
pub mod members;

use std::sync::Arc;
use std::time::Duration;

use cloud::cache::{Cache, Policy};
use db::TenantTx;
use db::companies::Company;
use domain::company::{CONCAT_TIMEOUT, CompanySettings};
use domain::contact::{ContactChange, KEYWORD_CHARS, keyword};
use domain::event::Event;
use domain::session::ClosedSessions;
use domain::user::{Permission, Role};
use domain::{CompanyScope, DepartmentId, UserId};
use serde_json::json;

use crate::App;
use crate::audit::{self, By};
use crate::auth::Identity;
use crate::auth::registration::name;
use crate::contacts::history::{self, Changed};
use crate::error::{Error, Result, internal};
use crate::outbox::Outgoing;

/// Words of its own, at most, by which a company's customers opt out.
const KEYWORDS: usize = 50;

/// What a company decided takes effect everywhere within half a minute, and costs no query until then.
const SETTINGS: Policy = Policy {
    fresh: Duration::from_secs(30),
    absent: Duration::ZERO,
    stale: Duration::ZERO,
    pause: Duration::ZERO,
    capacity: 10_000,
};

/// What is remembered of companies.
pub(crate) type SettingsCache = Cache<Arc<CompanySettings>, Arc<Error>>;

/// An empty memory.
pub(crate) fn settings_cache() -> SettingsCache {
    Cache::new("company-settings", SETTINGS)
}

/// What the company of `tx` decided, as far as this process knows.
///
/// # Errors
/// Database errors only.
pub(crate) async fn settings(app: &App, tx: &mut TenantTx) -> Result<Arc<CompanySettings>> {
    let load = async |tx: &mut TenantTx| {
        let company = db::companies::find(tx).await?;
        Ok(company.map(|company| Arc::new(company.settings.0)))
    };
    let company_id = tx.company_id().to_string();
    let known = app.company_settings.get(&company_id, || async { load(tx).await.map_err(Arc::new) }).await;
    Ok(known.map_err(internal)?.unwrap_or_default())
}

/// The caller's company.
///
/// # Errors
/// `Forbidden` without the permission.
pub async fn find(app: &App, identity: &Identity) -> Result<Company> {
    identity.require(Permission::ReadCompany)?;
    let mut tx = app.db().await?.begin(identity.scope).await?;
    db::companies::find(&mut tx).await?.ok_or(Error::NotFound("company"))
}

/// What shall be true of a company; what is `None` stays.
#[derive(Clone, Debug, Default)]
pub struct Change {
    /// Its name.
    pub name: Option<String>,
    /// What a customer's message does when their last session is over.
    pub closed_sessions: Option<ClosedSessions>,
    /// For new sessions: seconds of silence that end a customer's burst.
    pub concat_timeout: Option<i32>,
    /// By which words alone a customer says that they want no more messages, in place of those that there were.
    pub opt_out_keywords: Option<Vec<String>>,
}

/// Changes the company.
///
/// # Errors
/// `Forbidden` without the permission, `Invalid` for a name or a number that is not allowed.
pub async fn change(app: &App, identity: &Identity, change: Change) -> Result<Company> {
    identity.require(Permission::ManageCompany)?;
    let new_name = change.name.as_deref().map(|new| name("name", new)).transpose()?;
    if change.concat_timeout.is_some_and(|seconds| !CONCAT_TIMEOUT.contains(&seconds)) {
        let (least, most) = (CONCAT_TIMEOUT.start(), CONCAT_TIMEOUT.end());
        return Err(Error::invalid("settings.concat_timeout", format!("{least} to {most} seconds")));
    }
    let opt_out_keywords = change.opt_out_keywords.as_deref().map(checked_keywords).transpose()?;
    let mut tx = app.db().await?.begin(identity.scope).await?;
    let mut company = db::companies::find_for_update(&mut tx).await?.ok_or(Error::NotFound("company"))?;
    let was = company.settings.0.clone();
    let settings = CompanySettings {
        closed_sessions: change.closed_sessions.unwrap_or(was.closed_sessions),
        concat_timeout: change.concat_timeout.unwrap_or(was.concat_timeout),
        opt_out_keywords: opt_out_keywords.unwrap_or_else(|| was.opt_out_keywords.clone()),
    };
    let object = ("company", Some(company.id.0));
    if let Some(new_name) = new_name.filter(|new| *new != company.name) {
        db::companies::rename(&mut tx, &new_name).await?;
        let detail = json!({ "from": company.name, "name": new_name });
        audit::record(app, &mut tx, By::Caller(identity), "company.renamed", object, detail).await?;
        company.name = new_name;
    }
    if settings != was {
        db::companies::set_settings(&mut tx, &settings).await?;
        let detail = json!({ "from": was, "to": settings });
        audit::record(app, &mut tx, By::Caller(identity), "company.settings_changed", object, detail).await?;
        company.settings.0 = settings;
    }
    tx.commit().await?;
    app.company_settings.forget(&company.id.to_string());
    Ok(company)
}

/// The words as they are compared, each once.
fn checked_keywords(words: &[String]) -> Result<Vec<String>> {
    let field = "settings.opt_out_keywords";
    if words.len() > KEYWORDS {
        return Err(Error::invalid(field, format!("at most {KEYWORDS} words")));
    }
    let mut checked = Vec::new();
    for word in words {
        let word = keyword(word).ok_or_else(|| {
            Error::invalid(field, format!("1 to {KEYWORD_CHARS} characters, with a letter or digit in them"))
        })?;
        if !checked.contains(&word) {
            checked.push(word);
        }
    }
    Ok(checked)
}

/// Hands the company over to another member; the owner becomes an admin.
///
/// # Errors
/// `Forbidden` for who is not the owner, `NotFound` for who is no member, `Conflict` for who is shut out or owns it
/// already.
pub async fn transfer_ownership(app: &App, identity: &Identity, heir: UserId) -> Result<()> {
    identity.require(Permission::TransferOwnership)?;
    let owner = identity.user_id().ok_or(Error::Forbidden(Permission::TransferOwnership.act()))?;
    if owner == heir {
        return Err(Error::Conflict("this person owns the company already"));
    }
    let mut tx = app.db().await?.begin(identity.scope).await?;
    // In the order of ids, so that two transfers at once do not wait for each other.
    let (first, second) = if owner < heir { (owner, heir) } else { (heir, owner) };
    let first = db::members::find_for_update(&mut tx, first).await?;
    let second = db::members::find_for_update(&mut tx, second).await?;
    let members = [first, second];
    let member = |id: UserId| members.iter().flatten().find(move |member| member.user_id == id);
    let heir_member = member(heir).ok_or(Error::NotFound("member"))?;
    if heir_member.deactivated_at.is_some() {
        return Err(Error::Conflict("this person is deactivated"));
    }
    // The role that counts is the one under the lock, not the one that the caller came with.
    if member(owner).is_none_or(|owner| owner.role != Role::Owner) {
        return Err(Error::Forbidden(Permission::TransferOwnership.act()));
    }
    db::members::set_role(&mut tx, owner, Role::Admin).await?;
    db::members::set_role(&mut tx, heir, Role::Owner).await?;
    let object = ("member", Some(heir.0));
    audit::record(
        app,
        &mut tx,
        By::Caller(identity),
        "company.transferred",
        object,
        json!({ "from": owner }),
    )
    .await?;
    tx.commit().await?;
    Ok(())
}

/// Who held something and does so no more.
#[derive(Clone, Copy, Debug)]
enum Gone {
    Member(UserId),
    Department(DepartmentId),
}

/// Notes of contacts that their conversations lost who held them.
async fn note_released(
    app: &App,
    caller: &Identity,
    tx: &mut TenantTx,
    gone: Gone,
    conversations: &[db::conversations::Released],
) -> Result<()> {
    let (field, holder) = match gone {
        Gone::Member(id) => ("assignee_id", id.0),
        Gone::Department(id) => ("department_id", id.0),
    };
    let changes = conversations.iter().map(|released| Changed {
        contact_id: released.contact_id,
        kind: ContactChange::ConversationChanged,
        object_id: Some(released.id.0),
        was: json!({ field: holder }),
        became: json!({ field: null }),
    });
    history::record(app, tx, By::Caller(caller), changes).await
}

/// Tells of what lost who held it.
fn tell_released(
    scope: CompanyScope,
    conversations: Vec<db::conversations::Released>,
    sessions: Vec<db::sessions::Released>,
    outgoing: &mut Outgoing,
) -> Result<()> {
    for released in conversations {
        let (conversation_id, version) = (released.id, released.version);
        outgoing.event(scope, Event::ConversationChanged { conversation_id, version })?;
    }
    for released in sessions {
        let (session_id, conversation_id) = (released.id, released.conversation_id);
        outgoing.event(scope, Event::SessionChanged { session_id, conversation_id })?;
    }
    Ok(())
}
