//! How connections fare: what stands in their way is told by webhooks, by messages that are refused or taken, and by a check
//! that asks the provider, every day and when somebody wants to know.
//!
//! A token whose time is over, or that the provider does not take any more, stops sending: each message says so at once,
//! instead of being refused by the provider one by one. The first check that finds the token well lets messages go again,
//! and so does [`token_replaced`].

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use db::TenantTx;
use db::connections::Connection;
use db::connections::health::{self, Health, Judged, Standing};
use domain::connection::ConnectionState;
use domain::event::Event;
use domain::health::{Finding, NumberFacts, Obstacle, is_lower_limit, judge};
use domain::inbound::{ConnectionUpdate, ProviderFault};
use domain::job::{Job, Mail};
use domain::user::Permission;
use domain::{CompanyScope, ConnectionId, MessageId};
use providers::channel::error::SendError;
use providers::channel::{Channel, Condition, Inquiry, ReportCondition as _};
use providers::oauth::facebook::AppCredentials;
use secrecy::SecretString;

use super::{found, onboarding, open};
use crate::auth::Identity;
use crate::error::{Error, Result};
use crate::outbox::{self, Outgoing};
use crate::{App, channels};

/// People are told of a token's end so often at most.
const NOTICE_EVERY: TimeDelta = TimeDelta::days(1);

/// A connection is checked so often, and one that does not stand well more often: a day and an hour, less what the hourly
/// schedule's own runs take.
const CHECK_EVERY: TimeDelta = TimeDelta::minutes(24 * 60 - 15);
/// See [`CHECK_EVERY`].
const CHECK_UNWELL_EVERY: TimeDelta = TimeDelta::minutes(45);

/// Meta tells of a violation, and never of its end: after so long it is history.
const RESTRICTED_FOR: TimeDelta = TimeDelta::days(7);

/// After so many attempts the answer is that the provider does not answer.
const ATTEMPTS: u32 = 6;

/// Connections of one transaction of the schedule.
const BATCH: i64 = 200;

/// How much of its time a run of the schedule leaves unused: the next one goes on.
const MARGIN: TimeDelta = TimeDelta::seconds(10);

/// How a connection stands, and all that is in its way.
///
/// # Errors
/// `NotFound`; `Forbidden` without the permission.
pub async fn find(app: &App, identity: &Identity, id: ConnectionId) -> Result<(Health, Vec<Standing>)> {
    identity.require(Permission::ReadInbox)?;
    let mut tx = app.db().await?.begin(identity.scope).await?;
    let known = health::find(&mut tx, id).await?.ok_or(Error::NotFound("connection"))?;
    let obstacles = health::list_obstacles(&mut tx, &[id]).await?;
    Ok((known, obstacles))
}

/// Asks the provider how a connection stands, and writes that down; how it stands then. What is left to do before it works,
/// or was refused, is gone for again by the job that sets connections up.
///
/// # Errors
/// `NotFound`; `Forbidden` without the permission; retryable ones of ours. That the provider does not answer is none.
pub async fn check(app: &App, identity: &Identity, id: ConnectionId) -> Result<(Health, Vec<Standing>)> {
    identity.require(Permission::ManageConnections)?;
    let mut tx = app.db().await?.begin(identity.scope).await?;
    let connection = found(&mut tx, id).await?;
    tx.commit().await?;
    onboarding::resume(app, identity.scope, id, true).await?;
    let asked_at = app.clock.now();
    let condition = match ask(app, identity.scope, &connection).await? {
        Ok(condition) => condition,
        Err(error) => unanswered(&error),
    };
    record(app, identity.scope, &connection, condition, asked_at).await?;
    find(app, identity, id).await
}

/// As [`check`], without anybody who waits for it. Safe to run twice.
///
/// # Errors
/// `RetryLater` when the provider cannot answer now; after some attempts that is what stands in the connection's way.
pub async fn check_unasked(app: &App, scope: CompanyScope, id: ConnectionId, attempt: u32) -> Result<()> {
    let mut tx = app.db().await?.begin(scope).await?;
    let Some(connection) = db::connections::find(&mut tx, id).await? else { return Ok(()) };
    tx.commit().await?;
    onboarding::resume(app, scope, id, false).await?;
    let asked_at = app.clock.now();
    let condition = match ask(app, scope, &connection).await? {
        Ok(condition) => condition,
        Err(error) if attempt < ATTEMPTS => {
            let after = Duration::from_secs(4_u64.saturating_pow(attempt.clamp(1, 5)));
            return Err(Error::RetryLater { after, source: error.into() });
        }
        Err(error) => unanswered(&error),
    };
    record(app, scope, &connection, condition, asked_at).await
}

/// What the provider says; `Err` when it says nothing now.
async fn ask(
    app: &App,
    scope: CompanyScope,
    connection: &Connection,
) -> Result<std::result::Result<Condition, SendError>> {
    let channel = match open(app, scope, connection).await? {
        Ok(channel) => channel,
        Err(finding) => return Ok(Ok(only(finding))),
    };
    let inquiry = Inquiry { now: app.clock.now(), app_token: app_token(app, scope, connection).await? };
    Ok(match channel.condition(&inquiry).await {
        Ok(condition) => Ok(condition),
        Err(error) if error.may_pass() => Err(error),
        Err(error) => Ok(only(of_refusal(&channel, &error))),
    })
}

/// The token of the app that the connection's token was made for, where it is known.
async fn app_token(app: &App, scope: CompanyScope, connection: &Connection) -> Result<Option<SecretString>> {
    let Some(app_id) = &connection.app_id else { return Ok(None) };
    match channels::secret(app, scope, connection, "app_secret", &connection.app_secret).await {
        Ok(secret) => Ok(Some(AppCredentials { id: app_id.clone(), secret }.token())),
        Err(error) if error.retryable() => Err(error),
        // The token may still ask about itself.
        Err(_) => Ok(None),
    }
}

/// What a refusal says of the connection, if it is not about the one call.
pub(crate) fn finding(channel: &Channel, error: &SendError) -> Option<Finding> {
    channel.obstacle(error).map(|kind| Finding::told(kind, error.fault().title.clone()))
}

/// What stands in the way of a connection whose provider does not tell how it stands, for good.
pub(super) fn of_refusal(channel: &Channel, error: &SendError) -> Finding {
    let other = || Finding::told(Obstacle::InstanceRefused, error.fault().title.clone());
    finding(channel, error).unwrap_or_else(other)
}

fn only(finding: Finding) -> Condition {
    Condition { found: vec![finding], number: NumberFacts::default(), token_ends: None }
}

fn unanswered(error: &SendError) -> Condition {
    only(Finding::told(Obstacle::Unreachable, error.fault().title.clone()))
}

/// Writes what was found when somebody asked, and what follows from it. What was heard since then is newer, and of a token that
/// was replaced it says nothing.
async fn record(
    app: &App,
    scope: CompanyScope,
    asked: &Connection,
    mut condition: Condition,
    now: DateTime<Utc>,
) -> Result<()> {
    let (id, ids) = (asked.id, [asked.id]);
    let mut outgoing = Outgoing::default();
    let mut tx = app.db().await?.begin(scope).await?;
    health::hold(&mut tx, &ids).await?;
    let is_asked = |known: &Connection| known.access_token == asked.access_token;
    if !db::connections::find(&mut tx, id).await?.as_ref().is_some_and(is_asked) {
        return Ok(());
    }
    let Some(was) = health::find(&mut tx, id).await? else { return Ok(()) };
    // As it is now, whatever a job did while the provider was asked.
    let set_up = onboarding::obstacle(&mut tx, id).await?;
    condition.found.extend(set_up.map(Finding::bare));
    // A token that may not even ask about itself ended as was foretold.
    if condition.token_ends.is_none() && was.token_expires_at.is_some_and(|at| at <= now) {
        for finding in &mut condition.found {
            if finding.obstacle == Obstacle::TokenInvalid {
                finding.obstacle = Obstacle::TokenExpired;
            }
        }
    }
    let is_answered = !condition.found.iter().any(|finding| finding.obstacle == Obstacle::Unreachable);
    let hears_line = is_answered && health::hear(&mut tx, id, now).await?;
    if !hears_line {
        condition.found.retain(|finding| !Obstacle::OF_LINK.contains(&finding.obstacle));
    }
    let is = |obstacle| condition.found.iter().any(|finding| finding.obstacle == obstacle);
    // What the provider did not say, for it did not answer, is as it was.
    if is_answered {
        let over: Vec<_> = Obstacle::CHECKED
            .into_iter()
            .filter(|kind| hears_line || !Obstacle::OF_LINK.contains(kind))
            .filter(|kind| !(is(*kind) || is(Obstacle::LinkClosed) && explains_closing(*kind)))
            .collect();
        health::clear(&mut tx, &ids, &over, now).await?;
    }
    let past: Vec<_> = Obstacle::OF_SETUP.into_iter().filter(|kind| !is(*kind)).collect();
    health::clear(&mut tx, &ids, &past, now).await?;
    let restricted = [Obstacle::AccountRestricted];
    health::clear(&mut tx, &ids, &restricted, now - RESTRICTED_FOR).await?;
    for finding in &condition.found {
        health::raise(&mut tx, &ids, finding, now).await?;
    }
    health::record_number(&mut tx, id, &condition.number).await?;
    tell_quality(scope, id, &was.number, &condition.number, &mut outgoing)?;
    let expires_at = condition.token_ends.unwrap_or(was.token_expires_at);
    let ends = condition.found.iter().any(|finding| finding.obstacle.ends_token());
    let is_due = was.token_noticed_at.is_none_or(|at| at + NOTICE_EVERY <= now);
    let noticed_at = if ends && is_due { Some(now) } else { was.token_noticed_at };
    health::record_token(&mut tx, id, expires_at, noticed_at, Some(now)).await?;
    if ends && is_due {
        outgoing.event(scope, Event::ConnectionTokenEnding { connection_id: id, expires_at })?;
        for user_id in db::members::list_in_charge(&mut tx).await? {
            let mail = Mail::TokenEnding { user_id, connection_id: id };
            outgoing.job(scope, Job::SendMail { mail })?;
        }
    }
    settle(&mut tx, &ids, now, &mut outgoing).await?;
    outbox::commit(app, tx, outgoing).await
}

/// Whether it says more than that the line is closed.
fn explains_closing(kind: Obstacle) -> bool {
    matches!(kind, Obstacle::PhoneBarred | Obstacle::LoggedOut | Obstacle::CodeLimit)
}

/// Customers take the number worse, or fewer of them may be written to.
fn tell_quality(
    scope: CompanyScope,
    connection_id: ConnectionId,
    was: &NumberFacts,
    now: &NumberFacts,
    outgoing: &mut Outgoing,
) -> Result<()> {
    let is_red = now.quality.as_deref() == Some("RED") && was.quality != now.quality;
    let is_lower = match (&was.messaging_limit, &now.messaging_limit) {
        (Some(before), Some(now)) => is_lower_limit(before, now),
        _ => false,
    };
    if is_red || is_lower {
        let (quality, messaging_limit) = (now.quality.clone(), now.messaging_limit.clone());
        outgoing.event(scope, Event::ConnectionQuality { connection_id, quality, messaging_limit })?;
    }
    Ok(())
}

/// Writes down what a provider reported `at` that time of a connection's line, and tells of it.
pub(crate) async fn note(
    tx: &mut TenantTx,
    id: ConnectionId,
    update: &ConnectionUpdate,
    at: DateTime<Utc>,
    outgoing: &mut Outgoing,
) -> Result<()> {
    let ids = [id];
    let is_news = !health::hold(tx, &ids).await?.is_empty() && health::hear(tx, id, at).await?;
    if is_news {
        let is_closed = update.found.as_ref().is_some_and(|it| it.obstacle == Obstacle::LinkClosed);
        let over: Vec<_> = Obstacle::OF_LINK
            .into_iter()
            .filter(|kind| !(is_closed && explains_closing(*kind)))
            .chain([Obstacle::Unreachable])
            .collect();
        health::clear(tx, &ids, &over, at).await?;
        if let Some(finding) = &update.found {
            health::raise(tx, &ids, finding, at).await?;
        }
        settle(tx, &ids, at, outgoing).await?;
    }
    if update.has_code {
        let scope = CompanyScope::assert_verified(tx.company_id());
        outgoing.event(scope, Event::ConnectionCode { connection_id: id })?;
    }
    Ok(())
}

/// Writes down that one thing stands in a connection's way, in a transaction of its own.
pub(super) async fn raise(app: &App, scope: CompanyScope, id: ConnectionId, finding: &Finding) -> Result<()> {
    put_in_way(app, scope, id, finding, false).await
}

/// A message was refused: what that says of its connection. With a token that is in doubt the provider is asked, the first
/// time: whether it is over for good, and whom to tell, the check finds out.
pub(crate) async fn refused(
    app: &App,
    scope: CompanyScope,
    id: ConnectionId,
    finding: &Finding,
) -> Result<()> {
    put_in_way(app, scope, id, finding, Obstacle::OF_TOKEN.contains(&finding.obstacle)).await
}

/// A failure that a provider tells of after the call.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    /// What it says of the connection.
    pub finding: Finding,
    /// When it happened.
    pub at: DateTime<Utc>,
}

/// Writes down what reports say of connections: what `told` stands in their way, and what stands there no more because
/// messages `arrived`. Part of the transaction that applies them.
///
/// Meta and Twilio take messages that they know to fail, one after the other. So only one that came through proves that others
/// may, and that only if it was sent since: what was sent before may arrive for days.
pub(crate) async fn reported(
    tx: &mut TenantTx,
    told: &BTreeMap<(ConnectionId, Obstacle), Told>,
    arrived: &[MessageId],
    now: DateTime<Utc>,
    outgoing: &mut Outgoing,
) -> Result<()> {
    let scope = CompanyScope::assert_verified(tx.company_id());
    let mut concerned = BTreeSet::new();
    if !told.is_empty() {
        let ids: BTreeSet<_> = told.keys().map(|(id, _)| *id).collect();
        concerned.extend(health::hold(tx, &ids.into_iter().collect::<Vec<_>>()).await?);
    }
    for ((id, obstacle), Told { finding, at }) in told.iter().filter(|((id, _), _)| concerned.contains(id)) {
        let is_new = health::raise(tx, &[*id], finding, (*at).min(now)).await?;
        if is_new && Obstacle::OF_TOKEN.contains(obstacle) {
            outgoing.job(scope, Job::CheckConnection { connection_id: *id })?;
        }
    }
    if !arrived.is_empty() {
        for came in health::list_come_through(tx, arrived, &Obstacle::SENT).await? {
            let held = health::hold(tx, &[came.connection_id]).await?;
            health::clear(tx, &held, &Obstacle::SENT, came.sent_at).await?;
            concerned.extend(held);
        }
    }
    let concerned: Vec<_> = concerned.into_iter().collect();
    if concerned.is_empty() {
        return Ok(());
    }
    settle(tx, &concerned, now, outgoing).await
}

async fn put_in_way(
    app: &App,
    scope: CompanyScope,
    id: ConnectionId,
    finding: &Finding,
    is_doubtful: bool,
) -> Result<()> {
    let (now, ids) = (app.clock.now(), [id]);
    let mut outgoing = Outgoing::default();
    let mut tx = app.db().await?.begin(scope).await?;
    let held = health::hold(&mut tx, &ids).await?;
    let is_new = health::raise(&mut tx, &held, finding, now).await?;
    settle(&mut tx, &held, now, &mut outgoing).await?;
    if is_new && is_doubtful {
        outgoing.job(scope, Job::CheckConnection { connection_id: id })?;
    }
    outbox::commit(app, tx, outgoing).await
}

/// Writes how connections stand, and tells it where it is news.
pub(crate) async fn settle(
    tx: &mut TenantTx,
    ids: &[ConnectionId],
    now: DateTime<Utc>,
    outgoing: &mut Outgoing,
) -> Result<()> {
    let scope = CompanyScope::assert_verified(tx.company_id());
    let standing = health::list_obstacles(tx, ids).await?;
    let judged = ids.iter().map(|&connection_id| {
        let own = standing.iter().filter(|it| it.connection_id == connection_id);
        let (state, reason) = judge(&own.map(|it| it.kind).collect::<Vec<_>>());
        Judged { connection_id, state, reason }
    });
    for changed in health::settle(tx, &judged.collect::<Vec<_>>(), now).await? {
        let health::Changed { connection_id, state, reason, version } = changed;
        outgoing.event(scope, Event::ConnectionHealth { connection_id, state, reason, version })?;
    }
    Ok(())
}

/// Notes that a connection has another token: what stood in the old one's way is over. Part of the transaction that writes
/// it, and followed by a check.
pub(crate) async fn token_replaced(
    app: &App,
    tx: &mut TenantTx,
    id: ConnectionId,
    outgoing: &mut Outgoing,
) -> Result<()> {
    let (now, ids) = (app.clock.now(), [id]);
    health::hold(tx, &ids).await?;
    health::clear(tx, &ids, &Obstacle::OF_TOKEN, now).await?;
    health::record_token(tx, id, None, None, None).await?;
    settle(tx, &ids, now, outgoing).await
}

/// Notes that steps are left before a connection works. Part of the transaction that asks for the job that goes for them, and
/// that settles how it stands afterwards.
pub(super) async fn setting_up(app: &App, tx: &mut TenantTx, id: ConnectionId) -> Result<()> {
    let (now, ids) = (app.clock.now(), [id]);
    health::hold(tx, &ids).await?;
    health::clear(tx, &ids, &Obstacle::OF_SETUP, now).await?;
    health::raise(tx, &ids, &Finding::bare(Obstacle::SettingUp), now).await?;
    Ok(())
}

/// A message was taken: a gateway takes none without a line. Of the rest only a message that arrives is proof; see [`reported`].
pub(crate) async fn accepted(app: &App, scope: CompanyScope, connection: &Connection) -> Result<()> {
    if !connection.obstacles.contains(&Obstacle::LinkClosed) {
        return Ok(());
    }
    let (now, ids) = (app.clock.now(), [connection.id]);
    let mut outgoing = Outgoing::default();
    let mut tx = app.db().await?.begin(scope).await?;
    let held = health::hold(&mut tx, &ids).await?;
    health::clear(&mut tx, &held, &[Obstacle::LinkClosed], now).await?;
    settle(&mut tx, &held, now, &mut outgoing).await?;
    outbox::commit(app, tx, outgoing).await
}

/// Why nothing can be sent over a connection: then no call is made.
pub(crate) fn obstruction(connection: &Connection) -> Option<ProviderFault> {
    let obstacle = connection.obstacles.iter().filter(|it| it.forbids_calls()).min()?;
    let title = match obstacle {
        Obstacle::TokenExpired => "The token of this connection has expired: connect it again",
        _ => "The provider does not take the token of this connection any more: connect it again",
    };
    Some(ProviderFault { code: obstacle.as_str().to_owned(), title: title.to_owned(), detail: None })
}

/// A token that ends, for those who are told of it.
pub(crate) struct Ending {
    /// What people call the connection.
    pub name: String,
    /// When its time is over, if anybody knows.
    pub expires_at: Option<DateTime<Utc>>,
    /// It is over.
    pub is_over: bool,
}

/// Whether people have to be told that a connection's token ends.
pub(crate) async fn ending(app: &App, scope: CompanyScope, id: ConnectionId) -> Result<Option<Ending>> {
    let mut tx = app.db().await?.begin(scope).await?;
    let Some(connection) = db::connections::find(&mut tx, id).await? else { return Ok(None) };
    let Some(known) = health::find(&mut tx, id).await? else { return Ok(None) };
    let gravest = connection.obstacles.iter().filter(|it| it.ends_token()).min();
    Ok(gravest.map(|obstacle| Ending {
        name: connection.name,
        expires_at: known.token_expires_at,
        is_over: obstacle.state() == ConnectionState::Down,
    }))
}

/// Asks for a check of every connection that is due, until all are asked for or `deadline` is near; how many.
///
/// # Errors
/// Database errors; what was asked for stays asked for.
pub async fn request_due(app: &App, deadline: DateTime<Utc>) -> Result<usize> {
    let now = app.clock.now();
    let (mut asked, mut after) = (0, None);
    while app.clock.now() + MARGIN < deadline {
        let mut tx = app.system_db().await?.begin_system().await?;
        let (before, unwell_before) = (now - CHECK_EVERY, now - CHECK_UNWELL_EVERY);
        let due = health::list_due(&mut tx, before, unwell_before, after, BATCH).await?;
        let Some(last) = due.last() else { break };
        after = Some((last.company_id, last.connection_id));
        asked += due.len();
        let mut outgoing = Outgoing::default();
        for connection in due {
            // The schedule acts for all companies, each row for its own.
            let scope = CompanyScope::assert_verified(connection.company_id);
            outgoing.job(scope, Job::CheckConnection { connection_id: connection.connection_id })?;
        }
        outbox::commit_system(app, tx, outgoing).await?;
    }
    Ok(asked)
}
