//! How connections fare: what stands in their way is told by webhooks, by messages that are refused or taken, and by a check
//! that asks Meta about number and token, every day and when somebody wants to know.
//!
//! A token whose time is over, or that Meta does not take any more, stops sending: each message says so at once, instead of
//! being refused by Meta one by one. The first check that finds the token well lets messages go again, and so does
//! [`token_replaced`].

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use db::TenantTx;
use db::connection_health::{ConnectionHealth, Facts, Judged, Standing};
use db::connections::Connection;
use domain::event::Event;
use domain::health::{Health, Obstacle, is_lower_limit, judge};
use domain::inbound::ProviderFault;
use domain::job::{Job, Mail};
use domain::{CompanyScope, ConnectionId};
use providers::whatsapp_cloud::client::{Credentials, NumberInfo, WhatsAppCloud};
use providers::whatsapp_cloud::error::SendError;
use providers::whatsapp_cloud::token::TokenInfo;
use secrecy::{ExposeSecret as _, SecretString};

use crate::App;
use crate::error::{Error, Result};
use crate::inbound::CHANNEL;
use crate::outbox::{self, Outgoing};
use crate::sealed::{self, Place};

/// People are told so long before a token's time is over.
const WARNED_BEFORE: TimeDelta = TimeDelta::days(7);

/// They are told so often at most.
const NOTICE_EVERY: TimeDelta = TimeDelta::days(1);

/// A connection is checked so often, and one that does not fare well more often.
const CHECK_EVERY: TimeDelta = TimeDelta::hours(24);
/// See [`CHECK_EVERY`].
const CHECK_UNWELL_EVERY: TimeDelta = TimeDelta::hours(1);

/// Meta tells of a violation, and never of its end: after so long it is history.
const RESTRICTED_FOR: TimeDelta = TimeDelta::days(7);

/// After so many attempts the answer is that Meta does not answer.
const ATTEMPTS: u32 = 6;

/// Connections of one transaction of the schedule.
const BATCH: i64 = 200;

/// How much of its time a run of the schedule leaves unused: the next one goes on.
const MARGIN: TimeDelta = TimeDelta::seconds(10);

/// How a connection fares, and all that stands in its way. One that nobody asked about yet is taken to fare well.
///
/// # Errors
/// `NotFound`.
pub async fn find(
    app: &App,
    scope: CompanyScope,
    id: ConnectionId,
) -> Result<(Option<ConnectionHealth>, Vec<Standing>)> {
    let mut tx = app.db().await?.begin(scope).await?;
    db::connections::find(&mut tx, id).await?.ok_or(Error::NotFound("connection"))?;
    let health = db::connection_health::find(&mut tx, id).await?;
    let obstacles = db::connection_health::list_obstacles(&mut tx, &[id]).await?;
    Ok((health, obstacles))
}

/// Asks for a check, which will be soon.
///
/// # Errors
/// `NotFound`, `Rule` (`check_unsupported`).
pub async fn request_check(app: &App, scope: CompanyScope, connection_id: ConnectionId) -> Result<()> {
    let mut tx = app.db().await?.begin(scope).await?;
    let connection =
        db::connections::find(&mut tx, connection_id).await?.ok_or(Error::NotFound("connection"))?;
    if connection.kind != CHANNEL {
        return Err(Error::Rule {
            code: "check_unsupported",
            message: "connections of this kind cannot be checked".to_owned(),
        });
    }
    let mut outgoing = Outgoing::default();
    outgoing.job(scope, Job::CheckConnection { connection_id })?;
    outbox::commit(app, tx, outgoing).await
}

/// Notes that a connection has another token: what stood in the old one's way is over, and the new one is to be checked.
/// Part of the transaction that writes it.
///
/// # Errors
/// Database errors only.
pub async fn token_replaced(
    app: &App,
    tx: &mut TenantTx,
    connection_id: ConnectionId,
    outgoing: &mut Outgoing,
) -> Result<()> {
    let (scope, now, ids) =
        (CompanyScope::assert_verified(tx.company_id()), app.clock.now(), [connection_id]);
    db::connection_health::hold(tx, &ids, now).await?;
    db::connection_health::clear(tx, &ids, &Obstacle::OF_TOKEN, now).await?;
    db::connection_health::record_token(tx, connection_id, None, None, now).await?;
    settle(tx, &ids, now, outgoing).await?;
    outgoing.job(scope, Job::CheckConnection { connection_id })
}

/// What a check found.
struct Found {
    obstacles: Vec<(Obstacle, Option<String>)>,
    facts: Facts,
    /// When the token's time is over (`None` inside: never); `None` when Meta did not say.
    token_ends: Option<Option<DateTime<Utc>>>,
}

impl Found {
    /// Nothing is known but that this stands in the way.
    fn only(obstacle: Obstacle, detail: String) -> Self {
        Self { obstacles: vec![(obstacle, Some(detail))], facts: Facts::default(), token_ends: None }
    }
}

/// Asks Meta about number and token of a connection, and writes what follows. Safe to run twice.
///
/// # Errors
/// `RetryLater` when Meta cannot answer now; after some attempts that is what stands in the connection's way.
pub async fn check(app: &App, scope: CompanyScope, id: ConnectionId, attempt: u32) -> Result<()> {
    let mut tx = app.db().await?.begin(scope).await?;
    let Some(connection) = db::connections::find(&mut tx, id).await? else { return Ok(()) };
    if connection.kind != CHANNEL {
        return Ok(());
    }
    tx.commit().await?;
    let now = app.clock.now();
    let found = match ask(app, scope, &connection, now).await? {
        Ok(found) => found,
        Err(error) if attempt < ATTEMPTS => {
            let after = Duration::from_secs(4_u64.saturating_pow(attempt.clamp(1, 5)));
            return Err(Error::RetryLater { after, source: error.into() });
        }
        Err(error) => Found::only(Obstacle::Unreachable, error.fault().title.clone()),
    };
    record(app, scope, id, found, now).await
}

/// What Meta says; `Err` when it says nothing now.
async fn ask(
    app: &App,
    scope: CompanyScope,
    connection: &Connection,
    now: DateTime<Utc>,
) -> Result<std::result::Result<Found, SendError>> {
    let open = async |sealed: &str, column| {
        sealed::open_text(app, sealed, &Place::connection(scope.company_id(), connection.id, column)).await
    };
    let (token, app_secret) = (
        open(&connection.access_token, "access_token").await,
        open(&connection.app_secret, "app_secret").await,
    );
    let (token, app_secret) = match (token, app_secret) {
        (Ok(token), Ok(app_secret)) => (token, app_secret),
        (Err(error), _) | (_, Err(error)) if error.retryable() => return Err(error),
        _ => {
            let detail = "the credentials cannot be read".to_owned();
            return Ok(Ok(Found::only(Obstacle::TokenInvalid, detail)));
        }
    };
    let client = WhatsAppCloud::new(&app.settings.graph_base_url, app.http().clone());
    let by = connection.app_id.as_ref().map_or_else(
        // The app is not known: a token may ask about itself.
        || token.clone(),
        |app_id| SecretString::from(format!("{app_id}|{}", app_secret.expose_secret())),
    );
    let inspected = match client.inspect_token(&token, &by, now).await {
        Ok(inspected) => Some(inspected),
        Err(error) if is_passing(&error) => return Ok(Err(error)),
        // Whoever asks may not be let to ask; the number tells whether the token works.
        Err(_) => None,
    };
    let credentials =
        Credentials { phone_number_id: connection.provider_account.clone(), access_token: token };
    let number = client.number_info(&credentials).await;
    let number = match number {
        Err(error) if is_passing(&error) => return Ok(Err(error)),
        number => number,
    };
    Ok(Ok(conclude(inspected.as_ref(), number, now)))
}

fn is_passing(error: &SendError) -> bool {
    matches!(error, SendError::Retry { .. } | SendError::PairLimited(_) | SendError::Unknown(_))
}

/// What follows from what Meta says of token and number.
fn conclude(
    token: Option<&TokenInfo>,
    number: std::result::Result<NumberInfo, SendError>,
    now: DateTime<Utc>,
) -> Found {
    let mut obstacles = Vec::new();
    let expires_at = token.and_then(|token| token.expires_at);
    let is_expired = token.is_some_and(|token| token.is_expired);
    if let Some(token) = token {
        let detail = token.error.as_ref().map(|fault| fault.title.clone());
        if token.is_expired {
            obstacles.push((Obstacle::TokenExpired, detail));
        } else if !token.is_valid {
            obstacles.push((Obstacle::TokenInvalid, detail));
        } else if expires_at.is_some_and(|at| at <= now + WARNED_BEFORE) {
            obstacles.push((Obstacle::TokenExpiring, None));
        }
    }
    let facts = match number {
        Ok(number) => {
            if number.quality_rating.as_deref() == Some("RED") {
                obstacles.push((Obstacle::QualityLow, None));
            }
            Facts {
                verified_name: number.verified_name,
                display_phone_number: number.display_phone_number,
                quality: number.quality_rating,
                messaging_limit: number.messaging_limit,
                throughput: number.throughput,
                name_status: number.name_status,
            }
        }
        Err(error) => {
            let found = of_refusal(&error).filter(|found| {
                // The token says more about itself.
                let known = obstacles.iter().any(|(known, _)| known.forbids_calls());
                !(is_expired || (known && *found == Obstacle::TokenInvalid))
            });
            // Whatever else Meta refuses here it refuses of this number.
            let found = found.unwrap_or(Obstacle::NumberGone);
            if !obstacles.iter().any(|(known, _)| known.forbids_calls()) {
                obstacles.push((found, Some(error.fault().title.clone())));
            }
            Facts::default()
        }
    };
    Found { obstacles, facts, token_ends: token.map(|token| token.expires_at) }
}

/// What stands in the way of a connection for which Meta refuses a call so.
fn of_refusal(error: &SendError) -> Option<Obstacle> {
    match error {
        SendError::Reauthorise(fault) => Some(match fault.code.as_str() {
            "190" | "0" => Obstacle::TokenInvalid,
            _ => Obstacle::PermissionMissing,
        }),
        SendError::SenderBlocked(fault) => match fault.code.as_str() {
            "131042" => Some(Obstacle::Unpaid),
            "133010" | "131045" => Some(Obstacle::NumberUnregistered),
            "131031" | "131048" | "368" => Some(Obstacle::SenderBlocked),
            // About this recipient, or a name or country: the number itself is well.
            _ => None,
        },
        SendError::Retry { .. }
        | SendError::PairLimited(_)
        | SendError::WindowClosed(_)
        | SendError::Rejected(_)
        | SendError::Unknown(_) => None,
    }
}

async fn record(
    app: &App,
    scope: CompanyScope,
    id: ConnectionId,
    mut found: Found,
    now: DateTime<Utc>,
) -> Result<()> {
    let ids = [id];
    let mut outgoing = Outgoing::default();
    let mut tx = app.db().await?.begin(scope).await?;
    db::connection_health::hold(&mut tx, &ids, now).await?;
    let Some(was) = db::connection_health::find(&mut tx, id).await? else { return Ok(()) };
    // A token that may not even ask about itself ended as was foretold.
    if found.token_ends.is_none() && was.token_expires_at.is_some_and(|at| at <= now) {
        for (kind, _) in &mut found.obstacles {
            if *kind == Obstacle::TokenInvalid {
                *kind = Obstacle::TokenExpired;
            }
        }
    }
    let over: Vec<_> = Obstacle::CHECKED
        .into_iter()
        .filter(|kind| !found.obstacles.iter().any(|(still, _)| still == kind))
        .collect();
    // What Meta did not say, for it did not answer, is as it was.
    let is_answered = !found.obstacles.iter().any(|(kind, _)| *kind == Obstacle::Unreachable);
    if is_answered {
        db::connection_health::clear(&mut tx, &ids, &over, now).await?;
    }
    let restricted = [Obstacle::AccountRestricted];
    db::connection_health::clear(&mut tx, &ids, &restricted, now - RESTRICTED_FOR).await?;
    for (kind, detail) in &found.obstacles {
        db::connection_health::raise(&mut tx, &ids, *kind, detail.as_deref(), now).await?;
    }
    db::connection_health::record_facts(&mut tx, id, &found.facts).await?;
    tell_quality(scope, &was, &found.facts, &mut outgoing)?;
    let expires_at = found.token_ends.unwrap_or(was.token_expires_at);
    let ends = found.obstacles.iter().any(|(kind, _)| {
        matches!(kind, Obstacle::TokenExpiring | Obstacle::TokenExpired | Obstacle::TokenInvalid)
    });
    let is_due = was.token_noticed_at.is_none_or(|at| at + NOTICE_EVERY <= now);
    let noticed_at = if ends && is_due { Some(now) } else { was.token_noticed_at };
    db::connection_health::record_token(&mut tx, id, expires_at, noticed_at, now).await?;
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

/// Customers take the number worse, or fewer of them may be written to.
fn tell_quality(
    scope: CompanyScope,
    was: &ConnectionHealth,
    now: &Facts,
    outgoing: &mut Outgoing,
) -> Result<()> {
    let is_red = now.quality.as_deref() == Some("RED") && was.quality != now.quality;
    let is_lower = match (&was.messaging_limit, &now.messaging_limit) {
        (Some(before), Some(now)) => is_lower_limit(before, now),
        _ => false,
    };
    if is_red || is_lower {
        let (quality, messaging_limit) = (now.quality.clone(), now.messaging_limit.clone());
        let connection_id = was.connection_id;
        outgoing.event(scope, Event::ConnectionQuality { connection_id, quality, messaging_limit })?;
    }
    Ok(())
}

/// Writes what connections come to, and tells it where it is news.
pub(crate) async fn settle(
    tx: &mut TenantTx,
    ids: &[ConnectionId],
    now: DateTime<Utc>,
    outgoing: &mut Outgoing,
) -> Result<()> {
    let scope = CompanyScope::assert_verified(tx.company_id());
    let standing = db::connection_health::list_obstacles(tx, ids).await?;
    let judged = ids.iter().map(|&connection_id| {
        let own = standing.iter().filter(|it| it.connection_id == connection_id);
        let (state, reason) = judge(&own.map(|it| it.kind).collect::<Vec<_>>());
        Judged { connection_id, state, reason }
    });
    for changed in db::connection_health::settle(tx, &judged.collect::<Vec<_>>(), now).await? {
        let connection_id = changed.connection_id;
        let (health, reason, version) = (changed.state, changed.reason, changed.version);
        outgoing.event(scope, Event::ConnectionHealth { connection_id, health, reason, version })?;
    }
    Ok(())
}

/// A message was refused: what that says of its connection.
pub(crate) async fn refused(
    app: &App,
    scope: CompanyScope,
    connection_id: ConnectionId,
    error: &SendError,
) -> Result<()> {
    let Some(obstacle) = of_refusal(error) else { return Ok(()) };
    let (now, ids) = (app.clock.now(), [connection_id]);
    let mut outgoing = Outgoing::default();
    let mut tx = app.db().await?.begin(scope).await?;
    db::connection_health::hold(&mut tx, &ids, now).await?;
    db::connection_health::raise(&mut tx, &ids, obstacle, Some(&error.fault().title), now).await?;
    settle(&mut tx, &ids, now, &mut outgoing).await?;
    if matches!(obstacle, Obstacle::TokenInvalid | Obstacle::PermissionMissing) {
        // Whether it is over for good, and whom to tell, the check finds out.
        outgoing.job(scope, Job::CheckConnection { connection_id })?;
    }
    outbox::commit(app, tx, outgoing).await
}

/// A message was taken: what only kept messages back is over.
pub(crate) async fn accepted(app: &App, scope: CompanyScope, connection: &Connection) -> Result<()> {
    let kept_back = |kind: &String| Obstacle::SENT.iter().any(|sent| sent.as_str() == kind);
    if !connection.obstacles.iter().any(kept_back) {
        return Ok(());
    }
    let (now, ids) = (app.clock.now(), [connection.id]);
    let mut outgoing = Outgoing::default();
    let mut tx = app.db().await?.begin(scope).await?;
    db::connection_health::hold(&mut tx, &ids, now).await?;
    db::connection_health::clear(&mut tx, &ids, &Obstacle::SENT, now).await?;
    settle(&mut tx, &ids, now, &mut outgoing).await?;
    outbox::commit(app, tx, outgoing).await
}

/// Why nothing can be sent over a connection: then no call is made.
pub(crate) fn obstruction(connection: &Connection) -> Option<ProviderFault> {
    let is = |kind: Obstacle| connection.obstacles.iter().any(|known| known == kind.as_str());
    let (code, title) = if is(Obstacle::TokenExpired) {
        ("token_expired", "The token of this connection has expired: connect it again")
    } else if is(Obstacle::TokenInvalid) {
        (
            "token_invalid",
            "The provider does not take the token of this connection any more: connect it again",
        )
    } else {
        return None;
    };
    Some(ProviderFault { code: code.to_owned(), title: title.to_owned(), detail: None })
}

/// Whether people have to be told that a connection's token ends, and when it does.
pub(crate) async fn ending(
    app: &App,
    scope: CompanyScope,
    id: ConnectionId,
) -> Result<Option<(String, Option<DateTime<Utc>>, Health)>> {
    let mut tx = app.db().await?.begin(scope).await?;
    let Some(name) = db::connections::find_name(&mut tx, id).await? else { return Ok(None) };
    let Some(health) = db::connection_health::find(&mut tx, id).await? else { return Ok(None) };
    let obstacles = db::connection_health::list_obstacles(&mut tx, &[id]).await?;
    let worst = obstacles.iter().filter(|it| {
        matches!(it.kind, Obstacle::TokenExpiring | Obstacle::TokenExpired | Obstacle::TokenInvalid)
    });
    Ok(worst.map(|it| it.kind.health()).max().map(|state| (name, health.token_expires_at, state)))
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
        let due = db::connection_health::list_due(&mut tx, before, unwell_before, after, BATCH).await?;
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
