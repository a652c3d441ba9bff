//! Silences of the AI that are over are lifted, and told. For every reader they were over before.

use chrono::{DateTime, TimeDelta, Utc};
use domain::CompanyScope;
use domain::event::Event;

use crate::App;
use crate::error::Result;
use crate::outbox::{self, Outgoing};

/// Sessions that one transaction lifts.
const BATCH: i64 = 200;

/// How much of its time a run leaves unused: the next one goes on.
const MARGIN: TimeDelta = TimeDelta::seconds(10);

/// Lifts what is over until nothing is left or `deadline` is near; how many silences.
///
/// # Errors
/// Database errors; what was lifted stays lifted, and is told.
pub async fn lift(app: &App, deadline: DateTime<Utc>) -> Result<usize> {
    let mut lifted = 0;
    while app.clock.now() + MARGIN < deadline {
        let mut tx = app.system_db().await?.begin_system().await?;
        let sessions = db::sessions::lift_silences(&mut tx, app.clock.now(), BATCH).await?;
        if sessions.is_empty() {
            break;
        }
        lifted += sessions.len();
        let mut outgoing = Outgoing::default();
        for session in sessions {
            // The schedule acts for all companies, each row for its own.
            let scope = CompanyScope::assert_verified(session.company_id);
            let (session_id, conversation_id) = (session.id, session.conversation_id);
            outgoing.event(scope, Event::SessionChanged { session_id, conversation_id })?;
        }
        outbox::commit_system(app, tx, outgoing).await?;
    }
    Ok(lifted)
}
