//! What Meta has to be asked before a number works: that our app hears of its account, registration, and what the phone's
//! app knows. A part of the job that follows a connection.
//!
//! Each step that was answered is written down before the next one is asked for. A step whose answer nobody wrote down is
//! asked again, which Meta takes: but for a registration, of which it counts ten in 72 hours. So the number is asked first
//! whether it is registered by now. A step that was refused waits for a person, who mends it and has the connection checked.

use chrono::{DateTime, TimeDelta, Utc};
use db::TenantTx;
use db::connection_onboardings::{self as rows, Progress, Step};
use db::connections::{Connection, health};
use domain::connection::Onboarding;
use domain::health::{Finding, Obstacle};
use domain::inbound::ProviderFault;
use domain::job::Job;
use domain::{CompanyScope, ConnectionId};
use providers::channel::error::SendError;
use providers::whatsapp_cloud::signup::{CLOUD_API, Callback, Sync};
use providers::whatsapp_cloud::{Number, condition};

use super::account::Given;
use crate::error::Result;
use crate::outbox::{self, Outgoing};
use crate::sealed::{self, Place, REGISTRATION_PIN};
use crate::{App, channels};

/// For so long Meta takes no more attempts to register a number that had ten.
const REGISTRATION_LIMIT: TimeDelta = TimeDelta::hours(72);

/// For so long after it came the phone's app shares what it knows.
const SHARED_FOR: TimeDelta = TimeDelta::hours(24);

/// Begins from the first step, for somebody gave other credentials.
///
/// # Errors
/// Database errors only.
pub(super) async fn begin_again(app: &App, tx: &mut TenantTx, id: ConnectionId, given: &Given) -> Result<()> {
    let way = if given.access_token.is_some() || given.app_secret.is_some() {
        // Of which app they are, nobody said.
        db::connections::set_app_and_pin(tx, id, None, None, false).await?;
        Onboarding::Token
    } else {
        rows::find(tx, id).await?.map_or(Onboarding::Token, |progress| progress.way)
    };
    Ok(rows::begin(tx, id, way, app.clock.now()).await?)
}

/// Has the job go on with a connection, if there is something left that may be asked for by now: what was refused only when
/// a person wants it (`refused`), unless it was refused for a time that is over.
///
/// # Errors
/// Database errors only.
pub(super) async fn resume(app: &App, scope: CompanyScope, id: ConnectionId, refused: bool) -> Result<()> {
    let mut tx = app.db().await?.begin(scope).await?;
    if !rows::resume(&mut tx, id, refused, app.clock.now()).await? {
        return Ok(());
    }
    let mut outgoing = Outgoing::default();
    outgoing.job(scope, Job::SetUpConnection { connection_id: id })?;
    outbox::commit(app, tx, outgoing).await
}

/// What stands in the way of a connection for it is not all done, or for what was refused on the way.
///
/// # Errors
/// Database errors only.
pub(super) async fn obstacle(tx: &mut TenantTx, id: ConnectionId) -> Result<Option<Obstacle>> {
    Ok(rows::find(tx, id).await?.and_then(|progress| of(&progress)))
}

fn of(progress: &Progress) -> Option<Obstacle> {
    let is_done = progress.subscribed_at.is_some()
        && match progress.way {
            Onboarding::Token => true,
            Onboarding::Registration => progress.registered_at.is_some(),
            Onboarding::Coexistence => {
                progress.contacts_asked_at.is_some() && progress.history_asked_at.is_some()
            }
        };
    match progress.way {
        _ if progress.failure.is_some() => progress.failure,
        _ if is_done => progress.missed,
        // Somebody registered it: it works meanwhile.
        Onboarding::Token => None,
        Onboarding::Registration | Onboarding::Coexistence => Some(Obstacle::SettingUp),
    }
}

/// Notes that the phone's app shares nothing of its history, as Meta tells.
///
/// # Errors
/// Database errors only.
pub(crate) async fn history_refused(
    app: &App,
    tx: &mut TenantTx,
    id: ConnectionId,
    fault: &ProviderFault,
    outgoing: &mut Outgoing,
) -> Result<()> {
    let now = app.clock.now();
    let held = health::hold(tx, &[id]).await?;
    let Some(progress) = rows::find(tx, id).await?.filter(|_| !held.is_empty()) else { return Ok(()) };
    let missed = Obstacle::HistoryMissed;
    rows::record(tx, id, progress.asked_at, Step::History, Some(missed), now).await?;
    health::raise(tx, &held, &Finding::told(missed, fault.title.clone()), now).await?;
    super::health::settle(tx, &held, now, outgoing).await
}

/// Notes that the phone's app shares its history after all.
///
/// # Errors
/// Database errors only.
pub(crate) async fn history_comes(
    app: &App,
    tx: &mut TenantTx,
    id: ConnectionId,
    outgoing: &mut Outgoing,
) -> Result<()> {
    if !rows::history_comes(tx, id).await? {
        return Ok(());
    }
    let now = app.clock.now();
    let held = health::hold(tx, &[id]).await?;
    health::clear(tx, &held, &[Obstacle::HistoryMissed], now).await?;
    super::health::settle(tx, &held, now, outgoing).await
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
    obstacle: Obstacle,
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
) -> Result<std::result::Result<(), SendError>> {
    let mut tx = app.db().await?.begin(scope).await?;
    let progress = rows::find(&mut tx, connection.id).await?;
    tx.commit().await?;
    let Some(progress) = progress.filter(|progress| progress.failure.is_none()) else { return Ok(Ok(())) };
    let way = Way { app, scope, connection, number, asked_at: progress.asked_at };
    way.go(&progress).await
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
        let pin = db::connections::find_registration_pin(&mut tx, self.connection.id).await?;
        tx.commit().await?;
        let Some(pin) = pin else { return Ok(Ok(())) };
        let place = Place::connection(self.scope.company_id(), self.connection.id, REGISTRATION_PIN);
        let pin = sealed::open_text(self.app, &pin, &place).await?;
        Ok(self.number.client.register(&self.number.credentials, &pin).await)
    }

    /// The phone's app is asked for what it knows. What it does not share is missed, and the number works without.
    async fn share(&self, progress: &Progress) -> Result<std::result::Result<(), SendError>> {
        let steps = [
            (progress.contacts_asked_at, Step::Contacts, Sync::Contacts, Obstacle::ContactsMissed),
            (progress.history_asked_at, Step::History, Sync::History, Obstacle::HistoryMissed),
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
                    connection.id = %self.connection.id, provider.code = fault.code, step = missed.as_str(),
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
        answer: std::result::Result<Option<Obstacle>, SendError>,
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
        // Of a token that Meta does not take the step says nothing: it waits for one that works.
        let is_of_token = condition::obstacle(&error).is_some_and(Obstacle::forbids_calls);
        if error.may_pass() || is_of_token {
            return Ok(Err(error));
        }
        let refusal = refused(&error, now);
        tracing::warn!(
            connection.id = %id, provider.code = error.fault().code, reason = refusal.obstacle.as_str(), ?step,
            "Meta refuses a step to a number that works"
        );
        let mut tx = self.app.db().await?.begin(self.scope).await?;
        rows::fail(&mut tx, id, self.asked_at, refusal.obstacle, refusal.not_before).await?;
        tx.commit().await?;
        Ok(Ok(false))
    }
}

/// The token is somebody's, who may have given it no right to this: our app may be subscribed all the same.
fn not_subscribed(_: &SendError, _: DateTime<Utc>) -> Refusal {
    Refusal { obstacle: Obstacle::NotSubscribed, not_before: None }
}

/// Meta calls the address before it takes it: "(#2200) Callback verification failed".
fn subscription_refused(error: &SendError, _: DateTime<Utc>) -> Refusal {
    let fault = error.fault();
    let is_unverified = fault.code == "2200"
        || [Some(&fault.title), fault.detail.as_ref()]
            .into_iter()
            .flatten()
            .any(|text| text.contains("(#2200)"));
    let obstacle = if is_unverified { Obstacle::WebhookUnverified } else { Obstacle::SubscriptionRefused };
    Refusal { obstacle, not_before: None }
}

/// By the error table of the Cloud API (developers.facebook.com/docs/whatsapp/cloud-api/support/error-codes).
fn registration_refused(error: &SendError, now: DateTime<Utc>) -> Refusal {
    let (obstacle, not_before) = match error.fault().code.as_str() {
        "133005" => (Obstacle::PinMismatch, None),
        "133006" => (Obstacle::NumberUnverified, None),
        "133008" | "133009" => (Obstacle::PinBlocked, None),
        "133016" => (Obstacle::RegistrationLimited, Some(now + REGISTRATION_LIMIT)),
        _ => (Obstacle::RegistrationRefused, None),
    };
    Refusal { obstacle, not_before }
}

fn share_refused(_: &SendError, _: DateTime<Utc>) -> Refusal {
    Refusal { obstacle: Obstacle::SharingRefused, not_before: None }
}
