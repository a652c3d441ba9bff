//! Turns: a customer's burst is complete when its newest job finds it unchanged.

use chrono::{DateTime, TimeDelta, Utc};
use db::TenantTx;
use domain::event::Event;
use domain::job::Job;
use domain::session::{SessionStatus, ai_silent_because};
use domain::turn::TurnState;
use domain::{CompanyScope, SessionId, TurnId};

use crate::App;
use crate::error::Result;
use crate::outbox::{self, Outgoing};

/// Closes a turn and asks for its answer, if `version` is its newest. Safe to run twice.
///
/// # Errors
/// Retryable ones only.
pub async fn close(app: &App, scope: CompanyScope, turn_id: TurnId, version: i32) -> Result<()> {
    let now = app.clock.now();
    let mut tx = app.db().await?.begin(scope).await?;
    let Some(turn) = db::turns::close(&mut tx, turn_id, version, now).await? else {
        return Ok(());
    };
    let mut outgoing = Outgoing::default();
    match ai_silence(app, &mut tx, turn.session_id).await? {
        Some(reason) => {
            db::turns::end(&mut tx, turn_id, TurnState::Skipped, Some(reason), now).await?;
        }
        None => {
            let conversation_id = turn.conversation_id;
            outgoing.job(
                scope,
                Job::MarkRead { message_id: turn.last_message_id, conversation_id, typing: true },
            )?;
            outgoing.job(scope, Job::AnswerTurn { turn_id })?;
        }
    }
    outbox::commit(app, tx, outgoing).await
}

/// Why the AI is silent in a session; `None` when it may speak.
pub(crate) async fn ai_silence(
    app: &App,
    tx: &mut TenantTx,
    session_id: SessionId,
) -> Result<Option<&'static str>> {
    let Some(standing) = db::sessions::find_ai_standing(tx, session_id).await? else {
        return Ok(Some("session_gone"));
    };
    Ok(ai_silent_because(
        standing.status,
        standing.ai_blocked_until,
        standing.bypass_bots,
        standing.persona_id.is_some(),
        app.clock.now(),
    ))
}

/// A turn that waits for so long has lost its job.
const LOST_AFTER: TimeDelta = TimeDelta::minutes(10);

/// Turns that one transaction asks for again.
const BATCH: i64 = 100;

/// Asks again for turns whose job is lost, of every company, until none is left or `deadline` is near; how many. A turn
/// that is only late is answered once all the same.
///
/// # Errors
/// Database errors; what was asked for stays so.
pub async fn rescue(app: &App, deadline: DateTime<Utc>) -> Result<usize> {
    let mut rescued = 0;
    while app.clock.now() + TimeDelta::seconds(5) < deadline {
        let now = app.clock.now();
        let mut tx = app.system_db().await?.begin_system().await?;
        let stuck = db::turns::touch_stuck(&mut tx, now - LOST_AFTER, now, BATCH).await?;
        if stuck.is_empty() {
            break;
        }
        rescued += stuck.len();
        let mut outgoing = Outgoing::default();
        for turn in stuck {
            // The schedule acts for all companies, each turn for its own.
            let scope = CompanyScope::assert_verified(turn.company_id);
            let turn_id = turn.id;
            outgoing.job(
                scope,
                match turn.state {
                    TurnState::Open => Job::CloseTurn { turn_id, version: turn.version },
                    _ => Job::AnswerTurn { turn_id },
                },
            )?;
        }
        outbox::commit_system(app, tx, outgoing).await?;
    }
    Ok(rescued)
}

/// Gives a turn up: the AI cannot answer it, a person has to.
pub(crate) async fn give_up(app: &App, scope: CompanyScope, turn_id: TurnId, reason: &str) -> Result<()> {
    let mut tx = app.db().await?.begin(scope).await?;
    let Some(turn) = db::turns::find(&mut tx, turn_id).await? else { return Ok(()) };
    let mut outgoing = Outgoing::default();
    if db::turns::end(&mut tx, turn_id, TurnState::Failed, Some(reason), app.clock.now()).await? {
        let (session_id, conversation_id) = (turn.session_id, turn.conversation_id);
        for status in [SessionStatus::Queued, SessionStatus::Active] {
            db::sessions::set_status(&mut tx, session_id, &[status], status, "ai_failed", app.clock.now())
                .await?;
        }
        outgoing.event(scope, Event::SessionNeedsHuman { session_id, conversation_id })?;
    }
    outbox::commit(app, tx, outgoing).await
}
