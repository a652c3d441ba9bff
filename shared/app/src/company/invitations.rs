//! Invitations: a person is asked by mail to join; the link in it proves their address.

use chrono::TimeDelta;
use db::invitations::{Invitation, ShownInvitation};
use db::users::User;
use db::{Principal, TenantTx};
use domain::job::{Job, Mail};
use domain::user::{Locale, Permission, Role};
use domain::{CompanyScope, InvitationId, UserId};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;

use super::members::may_assign;
use crate::audit::{self, By};
use crate::auth::gate::{self, Attempt};
use crate::auth::registration::{address, name, token_invalid};
use crate::auth::{Client, Identity, hash_secret, passwords};
use crate::error::{Error, Result};
use crate::idempotency::{self, IdempotencyKey};
use crate::outbox::{self, Outgoing};
use crate::{App, Page, Position};

/// How long an invitation is good for.
pub const INVITATION_LIFE: TimeDelta = TimeDelta::days(7);

/// Who accepts.
#[derive(Debug)]
pub struct Acceptance {
    /// The token of the link.
    pub token: SecretString,
    /// Display name; needed from who has no account.
    pub name: Option<String>,
    /// Password; needed from who has no account.
    pub password: Option<SecretString>,
}

/// The open invitations, newest first.
///
/// # Errors
/// `Forbidden` without the permission.
pub async fn list(
    app: &App,
    identity: &Identity,
    before: Option<Position>,
    limit: i64,
) -> Result<Page<Invitation>> {
    identity.require(Permission::ManageMembers)?;
    let mut tx = app.db().await?.begin(identity.scope).await?;
    let rows = db::invitations::list_open(&mut tx, before, limit + 1).await?;
    Ok(Page::cut(rows, limit, |invitation| (invitation.created_at, invitation.id.0)))
}

/// One open invitation.
///
/// # Errors
/// `NotFound` for one that there is not, or that was answered or taken back; `Forbidden` without the permission.
pub async fn find(app: &App, identity: &Identity, id: InvitationId) -> Result<Invitation> {
    identity.require(Permission::ManageMembers)?;
    let mut tx = app.db().await?.begin(identity.scope).await?;
    db::invitations::find_open(&mut tx, id).await?.ok_or(Error::NotFound("invitation"))
}

/// Invites a person by mail; with a key that was used before, the invitation that it made then, while it is open.
///
/// # Errors
/// `Invalid` for what is no address, `Forbidden` for a role above the caller's own, `Conflict` for who was invited or
/// is a member already, `RetryLater` for too many in a day. Who was shut out may be invited again.
pub async fn create(
    app: &App,
    identity: &Identity,
    email: &str,
    role: Role,
    locale: Locale,
    key: Option<&IdempotencyKey>,
) -> Result<Invitation> {
    identity.require(Permission::ManageMembers)?;
    let email = address(email)?;
    may_assign(identity, role)?;
    gate::invite(app, identity.scope.company_id(), &email).await?;
    let now = app.clock.now();
    let invitation = Invitation {
        id: InvitationId(app.clock.new_id()),
        email: email.clone(),
        role,
        locale,
        invited_by: identity.user_id(),
        expires_at: now + INVITATION_LIFE,
        created_at: now,
    };
    let mut tx = app.db().await?.begin(identity.scope).await?;
    let asked = json!([email, role, locale]);
    if let Some(known) = idempotency::claim(&mut tx, key, "invitation", &asked, invitation.id.0).await? {
        let known = db::invitations::find_open(&mut tx, InvitationId(known)).await?;
        return known.ok_or(Error::NotFound("invitation"));
    }
    if db::members::is_active_address(&mut tx, &email).await? {
        return Err(Error::Conflict("this person is a member already"));
    }
    // One that nobody answered in time does not stand in the way.
    db::invitations::revoke_expired(&mut tx, &email, now).await?;
    db::invitations::insert(&mut tx, &invitation).await?;
    let object = ("invitation", Some(invitation.id.0));
    let detail = json!({ "email": email, "role": role });
    audit::record(app, &mut tx, By::Caller(identity), "invitation.created", object, detail).await?;
    let mut outgoing = Outgoing::default();
    let mail = Mail::Invitation { invitation_id: invitation.id };
    outgoing.job(identity.scope, Job::SendMail { mail })?;
    outbox::commit(app, tx, outgoing).await?;
    Ok(invitation)
}

/// Takes an open invitation back.
///
/// # Errors
/// `NotFound` when there is none.
pub async fn revoke(app: &App, identity: &Identity, id: InvitationId) -> Result<()> {
    identity.require(Permission::ManageMembers)?;
    let mut tx = app.db().await?.begin(identity.scope).await?;
    if !db::invitations::revoke(&mut tx, id, app.clock.now()).await? {
        return Err(Error::NotFound("invitation"));
    }
    let object = ("invitation", Some(id.0));
    audit::record(app, &mut tx, By::Caller(identity), "invitation.revoked", object, json!({})).await?;
    Ok(tx.commit().await?)
}

/// Makes who holds the link a member. Somebody who has an account joins with it; anybody else gets one, with the address
/// proved by the link, and so does who finds an account that somebody registered and never proved.
///
/// # Errors
/// `Rule` `token_invalid`; `Invalid` for a name or password that is needed and missing or wrong; `Conflict` for who is
/// a member already.
pub async fn accept(app: &App, client: &Client, acceptance: Acceptance) -> Result<()> {
    gate::pass(app, Attempt::Token, client, None).await?.forgive_if(app, join(app, client, acceptance)).await
}

async fn join(app: &App, client: &Client, acceptance: Acceptance) -> Result<()> {
    let now = app.clock.now();
    let db = app.db().await?;
    let token_hash = hash_secret(acceptance.token.expose_secret());
    let mut tx = db.begin_identity(&Principal::KeyHash(token_hash.clone())).await?;
    let shown = db::invitations::find_shown(&mut tx, &token_hash).await?;
    drop(tx);
    let shown = shown.filter(|invitation| invitation.expires_at > now).ok_or_else(token_invalid)?;
    let mut tx = db.begin_identity(&Principal::Email(shown.email.clone())).await?;
    let known = db::users::find_by_email(&mut tx, &shown.email).await?;
    drop(tx);
    let (user, standing) = match known {
        Some(known) if known.email_verified_at.is_some() => (known, Standing::Proved),
        Some(unproved) => {
            (User { id: unproved.id, ..newcomer(app, &shown, acceptance).await? }, Standing::Unproved)
        }
        None => (newcomer(app, &shown, acceptance).await?, Standing::Unknown),
    };

    let mut tx = db.begin(CompanyScope::assert_verified(shown.company_id)).await?;
    if !db::invitations::set_accepted(&mut tx, shown.id, now).await? {
        return Err(token_invalid());
    }
    tx.act_as(user.id).await?;
    match standing {
        Standing::Proved => {}
        Standing::Unproved => {
            if !db::users::claim(&mut tx, user.id, &user.name, user.password_hash.as_deref(), now).await? {
                return Err(Error::Conflict(
                    "this address was confirmed a moment ago; follow the link again",
                ));
            }
        }
        Standing::Unknown => db::users::insert(&mut tx, &user).await?,
    }
    db::members::insert(&mut tx, user.id, shown.role).await?;
    let by = By::Person(user.id, client);
    let detail = json!({ "invitation_id": shown.id, "role": shown.role });
    audit::record(app, &mut tx, by, "member.joined", ("member", Some(user.id.0)), detail).await?;
    if matches!(standing, Standing::Unproved) {
        leave_others(app, &mut tx, user.id, client).await?;
    }
    Ok(tx.commit().await?)
}

/// What is known of the person who accepts.
#[derive(Clone, Copy)]
enum Standing {
    /// They have an account.
    Proved,
    /// Somebody registered their address and never proved it: the account is theirs from here on.
    Unproved,
    /// Nothing.
    Unknown,
}

/// Takes a person out of the company that was registered with their address, in which nobody has ever been. In the
/// transaction that gives them the account: they shall never be found to own what a stranger made.
async fn leave_others(app: &App, tx: &mut TenantTx, user_id: UserId, client: &Client) -> Result<()> {
    let joined = tx.company_id();
    let memberships = db::users::list_memberships(tx, user_id).await?;
    for membership in memberships.iter().filter(|membership| membership.company_id != joined) {
        tx.turn_to(CompanyScope::assert_verified(membership.company_id)).await?;
        db::members::set_deactivated(tx, user_id, Some(app.clock.now())).await?;
        let object = ("member", Some(user_id.0));
        let detail = json!({ "reason": "account_claimed" });
        audit::record(app, tx, By::Person(user_id, client), "member.deactivated", object, detail).await?;
    }
    Ok(())
}

async fn newcomer(app: &App, shown: &ShownInvitation, acceptance: Acceptance) -> Result<User> {
    let missing = |field: &'static str| Error::invalid(field, "needed from who has no account yet");
    let display_name = name("name", &acceptance.name.ok_or_else(|| missing("name"))?)?;
    let password = acceptance.password.ok_or_else(|| missing("password"))?;
    passwords::check(&password)?;
    Ok(User {
        id: UserId(app.clock.new_id()),
        email: shown.email.clone(),
        name: display_name,
        password_hash: Some(passwords::hash(password).await?),
        email_verified_at: Some(app.clock.now()),
        registration_hash: None,
        locale: shown.locale,
    })
}
