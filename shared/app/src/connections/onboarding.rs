//! What Meta has to be asked before a number works: that our app hears of its account, registration, and what the phone's
//! app knows. A part of the job that follows a connection.
//!
//! Each step that was answered is written down before the next one is asked for. A step whose answer nobody wrote down is
//! asked again, which Meta takes: but for a registration, of which it counts ten in 72 hours. So the number is asked first
//! whether it is registered by now. A step that was refused waits for a person, who mends it and has the connection checked.

use chrono::{DateTime, TimeDelta, Utc};
use db::TenantTx;
use db::connection_onboardings::{self as rows, Progress, Step};
use db::connections::Connection;
use domain::connection::{ConnectionState, Onboarding};
use domain::job::Job;
use domain::{CompanyScope, ConnectionId};
use providers::channel::Condition;
use providers::channel::error::{Remedy, SendError};
use providers::whatsapp_cloud::Number;
use providers::whatsapp_cloud::signup::{CLOUD_API, Callback, Sync};

use super::account::Given;
use crate::error::Result;
use crate::outbox::{self, Outgoing};
use crate::sealed::{self, Place, REGISTRATION_PIN};
use crate::{App, channels};

/// For so long Meta takes no more attempts to register a number that had ten.
const REGISTRATION_LIMIT: TimeDelta = TimeDelta::hours(72);

/// For so long after it came the phone's app shares what it knows.
const SHARED_FOR: TimeDelta = TimeDelta::hours(24);

/// How far a connection is from working.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// All is done; but that this does not come.
    Done { missed: Option<String> },
    /// Steps are left, which a job goes for.
    Underway,
    /// A step was refused. A number that somebody registered works for all that, but for what we hear of it.
    Failed { reason: String, works: bool },
}

/// Begins from the first step, for somebody gave other credentials.
///
/// # Errors
/// Database errors only.
pub(super) async fn begin_again(app: &App, tx: &mut TenantTx, id: ConnectionId, given: &Given) -> Result<()> {
    let way = if given.access_token.is_some() || given.app_secret.is_some() {
        // Of which app they are, nobody said.
        rows::set_app(tx, id, None, None, false).await?;
        Onboarding::Token
    } else {
        rows::find(tx, id).await?.map_or(Onboarding::Token, |progress| progress.way)
    };
    Ok(rows::begin(tx, id, way, app.clock.now()).await?)
}

/// Has the job go on with a connection, if there is something left that may be asked for by now.
///
/// # Errors
/// Database errors only.
pub(super) async fn resume(app: &App, scope: CompanyScope, connection: &Connection) -> Result<()> {
    let mut tx = app.db().await?.begin(scope).await?;
    if !rows::resume(&mut tx, connection.id, app.clock.now()).await? {
        return Ok(());
    }
    let mut outgoing = Outgoing::default();
    outgoing.job(scope, Job::SetUpConnection { connection_id: connection.id })?;
    outbox::commit(app, tx, outgoing).await
}

/// How far a connection is from working, as it is written down.
///
/// # Errors
/// Database errors only.
pub(super) async fn standing(app: &App, scope: CompanyScope, id: ConnectionId) -> Result<Standing> {
    let mut tx = app.db().await?.begin(scope).await?;
    let progress = rows::find(&mut tx, id).await?;
    Ok(progress.map_or(Standing::Done { missed: None }, |progress| of(&progress)))
}

fn of(progress: &Progress) -> Standing {
    let is_done = progress.subscribed_at.is_some()
        && match progress.way {
            Onboarding::Token => true,
            Onboarding::Registration => progress.registered_at.is_some(),
            Onboarding::Coexistence => {
                progress.contacts_asked_at.is_some() && progress.history_asked_at.is_some()
            }
        };
    match &progress.failure {
        Some(reason) => Standing::Failed { reason: reason.clone(), works: progress.way == Onboarding::Token },
        None if is_done => Standing::Done { missed: progress.missed.clone() },
        None => Standing::Underway,
    }
}

impl Standing {
    /// How a connection stands whose number says this of itself.
    pub(super) fn state(self, condition: Condition) -> (ConnectionState, Option<String>) {
        match self {
            Self::Done { missed } => (condition.state, condition.reason.or(missed)),
            Self::Underway => (ConnectionState::Connecting, Some("setting_up".to_owned())),
            Self::Failed { reason, works: true } => (ConnectionState::Degraded, Some(reason)),
            Self::Failed { reason, works: false } => (ConnectionState::Down, Some(reason)),
        }
    }
}

/// A connection on its way, and who speaks for it.
struct Way<'a> {
    app: &'a App,
    scope: CompanyScope,
    connection: &'a Connection,
    number: &'a Number,
    asked_at: DateTime<Utc>,
}

/// What a refusal means for the step.
struct Refusal {
    reason: &'static str,
    not_before: Option<DateTime<Utc>>,
}

/// Goes on where somebody stopped, to the last step or the first that is refused.
///
/// # Errors
/// Ours; the inner one when Meta does not answer now.
pub(super) async fn run(
    app: &App,
    scope: CompanyScope,
    connection: &Connection,
    number: &Number,
) -> Result<std::result::Result<Standing, SendError>> {
    let mut tx = app.db().await?.begin(scope).await?;
    let progress = rows::find(&mut tx, connection.id).await?;
    tx.commit().await?;
    let Some(progress) = progress else { return Ok(Ok(Standing::Done { missed: None })) };
    if progress.failure.is_none() {
        let way = Way { app, scope, connection, number, asked_at: progress.asked_at };
        if let Err(error) = way.go(&progress).await? {
            return Ok(Err(error));
        }
    }
    Ok(Ok(standing(app, scope, connection.id).await?))
}

impl Way<'_> {
    async fn go(&self, progress: &Progress) -> Result<std::result::Result<(), SendError>> {
        if progress.subscribed_at.is_none() {
            let answer = self.subscribe(progress.way).await?;
            let refused = match progress.way {
                Onboarding::Token => not_subscribed,
                Onboarding::Registration | Onboarding::Coexistence => subscription_refused,
            };
            match self.note(Step::Subscribed, answer, refused).await? {
                Ok(true) => {}
                Ok(false) => return Ok(Ok(())),
                Err(error) => return Ok(Err(error)),
            }
        }
        match progress.way {
            Onboarding::Token => Ok(Ok(())),
            Onboarding::Registration if progress.registered_at.is_some() => Ok(Ok(())),
            Onboarding::Registration => {
                let answer = self.register().await?;
                Ok(self.note(Step::Registered, answer, registration_refused).await?.map(|_| ()))
            }
            Onboarding::Coexistence => self.share(progress).await,
        }
    }

    /// Our app hears of the account; of one that came by our own app, at the connection's own address.
    async fn subscribe(&self, way: Onboarding) -> Result<std::result::Result<(), SendError>> {
        let connection = self.connection;
        let Some(waba_id) = &connection.waba_id else { return Ok(Ok(())) };
        let url = channels::webhook_url(self.app, connection.kind, &connection.slug);
        let callback = match (way, url) {
            // The address of that app is for its owner to set.
            (Onboarding::Token, _) | (_, None) => None,
            (Onboarding::Registration | Onboarding::Coexistence, Some(url)) => {
                let sealed = &connection.verify_token;
                let verify_token =
                    channels::secret(self.app, self.scope, connection, "verify_token", sealed).await?;
                Some(Callback { url, verify_token })
            }
        };
        let token = &self.number.credentials.access_token;
        Ok(self.number.client.subscribe_app(token, waba_id, callback.as_ref()).await)
    }

    /// The number is registered with our PIN, unless it is by now.
    async fn register(&self) -> Result<std::result::Result<(), SendError>> {
        let known = match self.number.client.number_info(&self.number.credentials).await {
            Ok(known) => known,
            Err(error) => return Ok(Err(error)),
        };
        if known.platform_type.as_deref() == Some(CLOUD_API) {
            return Ok(Ok(()));
        }
        let mut tx = self.app.db().await?.begin(self.scope).await?;
        let pin = rows::find_pin(&mut tx, self.connection.id).await?;
        tx.commit().await?;
        let Some(pin) = pin else { return Ok(Ok(())) };
        let place = Place::connection(self.scope.company_id(), self.connection.id, REGISTRATION_PIN);
        let pin = sealed::open_text(self.app, &pin, &place).await?;
        Ok(self.number.client.register(&self.number.credentials, &pin).await)
    }

    /// The phone's app is asked for what it knows. What it does not share is missed, and the number works without.
    async fn share(&self, progress: &Progress) -> Result<std::result::Result<(), SendError>> {
        let steps = [
            (progress.contacts_asked_at, Step::Contacts, Sync::Contacts, "contacts_missed"),
            (progress.history_asked_at, Step::History, Sync::History, "history_missed"),
        ];
        for (asked_at, step, what, missed) in steps {
            if asked_at.is_some() {
                continue;
            }
            let is_late = self.app.clock.now() >= self.asked_at + SHARED_FOR;
            let mut answer = match is_late {
                true => Ok(Some(missed)),
                false => {
                    let answer = self.number.client.share_app_data(&self.number.credentials, what).await;
                    answer.map(|()| None)
                }
            };
            if let Err(SendError::Rejected(fault)) = &answer {
                tracing::warn!(
                    connection.id = %self.connection.id, provider.code = fault.code, step = missed,
                    "the phone's app does not share what it knows"
                );
                // Somebody of us asked before, and died.
                answer = Ok((fault.code != "2593107").then_some(missed));
            }
            match self.note_missed(step, answer, share_refused).await? {
                Ok(true) => {}
                Ok(false) => return Ok(Ok(())),
                Err(error) => return Ok(Err(error)),
            }
        }
        Ok(Ok(()))
    }

    async fn note(
        &self,
        step: Step,
        answer: std::result::Result<(), SendError>,
        refused: fn(&SendError, DateTime<Utc>) -> Refusal,
    ) -> Result<std::result::Result<bool, SendError>> {
        self.note_missed(step, answer.map(|()| None), refused).await
    }

    /// Writes down what Meta answered; whether to go on. What passes is the inner error.
    async fn note_missed(
        &self,
        step: Step,
        answer: std::result::Result<Option<&str>, SendError>,
        refused: fn(&SendError, DateTime<Utc>) -> Refusal,
    ) -> Result<std::result::Result<bool, SendError>> {
        let now = self.app.clock.now();
        let id = self.connection.id;
        let error = match answer {
            Ok(missed) => {
                let mut tx = self.app.db().await?.begin(self.scope).await?;
                let is_current = rows::record(&mut tx, id, self.asked_at, step, missed, now).await?;
                tx.commit().await?;
                return Ok(Ok(is_current));
            }
            Err(error) => error,
        };
        if matches!(error.remedy(), Remedy::RetryAfter | Remedy::Unknown) {
            return Ok(Err(error));
        }
        let refusal = refused(&error, now);
        tracing::warn!(
            connection.id = %id, provider.code = error.fault().code, reason = refusal.reason, ?step,
            "Meta refuses a step to a number that works"
        );
        let mut tx = self.app.db().await?.begin(self.scope).await?;
        rows::fail(&mut tx, id, self.asked_at, refusal.reason, refusal.not_before).await?;
        tx.commit().await?;
        Ok(Ok(false))
    }
}

fn any_refused(error: &SendError, otherwise: &'static str) -> Refusal {
    let reason = match error {
        SendError::Reauthorise(_) => "not_authorised",
        SendError::SenderBlocked(_) => "blocked",
        _ => otherwise,
    };
    Refusal { reason, not_before: None }
}

/// The token is somebody's, who may have given it no right to this: our app may be subscribed all the same.
fn not_subscribed(_: &SendError, _: DateTime<Utc>) -> Refusal {
    Refusal { reason: "not_subscribed", not_before: None }
}

/// Meta calls the address before it takes it: "(#2200) Callback verification failed".
fn subscription_refused(error: &SendError, _: DateTime<Utc>) -> Refusal {
    let fault = error.fault();
    let is_unverified = fault.code == "2200"
        || [Some(&fault.title), fault.detail.as_ref()]
            .into_iter()
            .flatten()
            .any(|text| text.contains("(#2200)"));
    any_refused(error, if is_unverified { "webhook_unverified" } else { "subscription_refused" })
}

/// By the error table of the Cloud API (developers.facebook.com/docs/whatsapp/cloud-api/support/error-codes).
fn registration_refused(error: &SendError, now: DateTime<Utc>) -> Refusal {
    match error.fault().code.as_str() {
        // It has another PIN, of two-step verification.
        "133005" => Refusal { reason: "pin_mismatch", not_before: None },
        "133006" => Refusal { reason: "number_unverified", not_before: None },
        "133008" | "133009" => Refusal { reason: "pin_guessed_too_often", not_before: None },
        "133016" => Refusal { reason: "registration_limited", not_before: Some(now + REGISTRATION_LIMIT) },
        _ => any_refused(error, "registration_refused"),
    }
}

fn share_refused(error: &SendError, _: DateTime<Utc>) -> Refusal {
    any_refused(error, "sharing_refused")
}
