//! Members: their roles, and who is shut out.

use db::TenantTx;
use db::members::Member;
use domain::UserId;
use domain::event::Event;
use domain::user::{Permission, Role};
use serde_json::json;

use super::{Gone, note_released, tell_released};
use crate::audit::{self, By};
use crate::auth::Identity;
use crate::error::{Error, Result};
use crate::outbox::{self, Outgoing};
use crate::{App, Page, Position};

/// What shall change of a member.
#[derive(Clone, Copy, Debug, Default)]
pub struct Change {
    /// Another role.
    pub role: Option<Role>,
    /// Shut out, or let in again.
    pub active: Option<bool>,
}

/// The members by name, those who are shut out too.
///
/// # Errors
/// `Forbidden` without the permission.
pub async fn list(
    app: &App,
    identity: &Identity,
    after: Option<Position<String>>,
    limit: i64,
) -> Result<Page<Member, String>> {
    identity.require(Permission::ReadCompany)?;
    let mut tx = app.db().await?.begin(identity.scope).await?;
    let rows = db::members::list(&mut tx, after, limit + 1).await?;
    Ok(Page::cut(rows, limit, |member| (member.name.clone(), member.user_id.0)))
}

/// One member, who may be shut out.
///
/// # Errors
/// `NotFound` for who is no member; `Forbidden` without the permission.
pub async fn find(app: &App, identity: &Identity, user_id: UserId) -> Result<Member> {
    identity.require(Permission::ReadCompany)?;
    let mut tx = app.db().await?.begin(identity.scope).await?;
    db::members::find(&mut tx, user_id).await?.ok_or(Error::NotFound("member"))
}

/// Changes a member. Who is shut out has no session in this company from now on, and no request of theirs passes after
/// half a minute.
///
/// # Errors
/// `NotFound` for who is no member; `Forbidden` for a role above the caller's own, for the owner, and for oneself.
pub async fn change(app: &App, identity: &Identity, user_id: UserId, change: Change) -> Result<Member> {
    identity.require(Permission::ManageMembers)?;
    let now = app.clock.now();
    let mut outgoing = Outgoing::default();
    let mut tx = app.db().await?.begin(identity.scope).await?;
    let member = find_changeable(&mut tx, identity, user_id).await?;
    if let Some(role) = change.role.filter(|role| *role != member.role) {
        may_assign(identity, role)?;
        db::members::set_role(&mut tx, user_id, role).await?;
        let detail = json!({ "from": member.role, "to": role });
        let object = ("member", Some(user_id.0));
        audit::record(app, &mut tx, By::Caller(identity), "member.role_changed", object, detail).await?;
    }
    if let Some(active) = change.active.filter(|active| *active != member.deactivated_at.is_none()) {
        db::members::set_deactivated(&mut tx, user_id, (!active).then_some(now)).await?;
        if !active {
            db::login_sessions::end_of_member(&mut tx, user_id, "deactivated", now).await?;
            outgoing.event(identity.scope, Event::MemberShutOut { user_id })?;
        }
        let action = if active { "member.activated" } else { "member.deactivated" };
        let object = ("member", Some(user_id.0));
        audit::record(app, &mut tx, By::Caller(identity), action, object, json!({})).await?;
    }
    let member = db::members::find_for_update(&mut tx, user_id).await?.ok_or(Error::NotFound("member"))?;
    outbox::commit(app, tx, outgoing).await?;
    Ok(member)
}

/// Takes a person out of the company: out of its departments, off its conversations and open sessions. What they wrote and
/// did stays. As for who is shut out, nothing of theirs passes after half a minute.
///
/// # Errors
/// As [`change`].
pub async fn remove(app: &App, identity: &Identity, user_id: UserId) -> Result<()> {
    identity.require(Permission::ManageMembers)?;
    let now = app.clock.now();
    let mut outgoing = Outgoing::default();
    let mut tx = app.db().await?.begin(identity.scope).await?;
    let member = find_changeable(&mut tx, identity, user_id).await?;
    // Conversations before sessions, as everywhere.
    let conversations = db::conversations::release_all_of(&mut tx, user_id).await?;
    let sessions = db::sessions::release_all_of(&mut tx, user_id, now).await?;
    note_released(app, identity, &mut tx, Gone::Member(user_id), &conversations).await?;
    tell_released(identity.scope, conversations, sessions, &mut outgoing)?;
    db::login_sessions::end_of_member(&mut tx, user_id, "removed", now).await?;
    db::members::delete(&mut tx, user_id).await?;
    outgoing.event(identity.scope, Event::MemberShutOut { user_id })?;
    let object = ("member", Some(user_id.0));
    let detail = json!({ "name": member.name, "email": member.email, "role": member.role });
    audit::record(app, &mut tx, By::Caller(identity), "member.removed", object, detail).await?;
    outbox::commit(app, tx, outgoing).await
}

/// A member whom the caller may change.
async fn find_changeable(tx: &mut TenantTx, identity: &Identity, user_id: UserId) -> Result<Member> {
    let member = db::members::find_for_update(tx, user_id).await?.ok_or(Error::NotFound("member"))?;
    if identity.user_id() == Some(user_id) {
        return Err(Error::Forbidden("change one's own membership"));
    }
    may_assign(identity, member.role)?;
    Ok(member)
}

/// Refuses a caller who may not give `role` to somebody, or take it away. An API key reaches as far as an admin, and no
/// further than what it holds itself.
pub(super) fn may_assign(identity: &Identity, role: Role) -> Result<()> {
    let reaches = match identity.role() {
        Some(own) => own.may_assign(role),
        None => {
            let held = |permission: Permission| identity.require(permission).is_ok();
            Role::Admin.may_assign(role) && role.permissions().filter(|it| it.is_for_keys()).all(held)
        }
    };
    if reaches { Ok(()) } else { Err(Error::Forbidden("give or take this role")) }
}
