//! What is asked of Meta about templates, and brought over from there. Each job may run twice and be killed anywhere: Meta is
//! looked at before it is asked, and what it was asked before is found there.

use std::collections::HashMap;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use db::connections::Connection;
use db::templates::Template;
use db::templates::provided::{self, Provided};
use domain::event::Event;
use domain::inbound::ProviderFault;
use domain::job::Job;
use domain::template::{Category, Submission, TemplateStatus, say_the_same};
use domain::{CompanyScope, ConnectionId, TemplateId};
use providers::channel::error::SendError;
use providers::whatsapp_cloud::client::WhatsAppCloud;
use providers::whatsapp_cloud::templates::{self as meta, Account, MetaTemplate, NewMetaTemplate};
use serde_json::{Value, json};

use crate::App;
use crate::error::{Error, Result};
use crate::outbox::{self, Outgoing};
use crate::sealed::{self, Place};

/// After so many attempts the answer is that Meta does not answer.
const ATTEMPTS: u32 = 8;

/// The longest pause between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(900);

/// An account's templates are compared with ours so often, if nobody asks for it: six hours, less what the schedule's own runs
/// take.
const SYNC_EVERY: TimeDelta = TimeDelta::minutes(6 * 60 - 15);

/// Accounts of one transaction of the schedule.
const BATCH: i64 = 200;

/// How much of its time a run of the schedule leaves unused: the next one goes on.
const MARGIN: TimeDelta = TimeDelta::seconds(10);

/// What Meta said about a template that it was asked to take.
struct Taken {
    provided: Provided,
    /// What is still wanted beside it.
    change: Option<Value>,
    /// Why that was not done.
    error: Option<ProviderFault>,
}

/// Has Meta take a template, or the change of one.
///
/// # Errors
/// `RetryLater` when Meta cannot answer now; after some attempts the template says so instead.
pub async fn submit(app: &App, scope: CompanyScope, id: TemplateId, attempt: u32) -> Result<()> {
    let Some((template, connection)) = asked(app, scope, id, Submission::Submitting).await? else {
        return Ok(());
    };
    let asked_at = app.clock.now();
    let connection_id = connection.as_ref().map(|connection| connection.id);
    let taken = match reach(app, scope, connection, &template.waba_id).await? {
        Ok((client, account)) => take(&client, &account, &template).await,
        Err(fault) => Err(SendError::Rejected(fault)),
    };
    match taken {
        Ok(taken) => match record_taken(app, scope, id, connection_id, taken, asked_at).await {
            Err(Error::Conflict(title)) => {
                let error = SendError::Rejected(fault("template_conflict", title));
                not_done(app, scope, id, Submission::Submitting, error, attempt).await
            }
            recorded => recorded,
        },
        Err(error) => not_done(app, scope, id, Submission::Submitting, error, attempt).await,
    }
}

async fn take(
    client: &WhatsAppCloud,
    account: &Account,
    template: &Template,
) -> std::result::Result<Taken, SendError> {
    let (category, components) = super::wanted(template);
    let mut found = client.find_template(account, &template.name, &template.language).await?;
    if found.is_none() {
        let new = NewMetaTemplate {
            name: &template.name,
            language: &template.language,
            category: &category,
            parameter_format: template.parameter_format,
            components: &components,
        };
        match client.create_template(account, &new).await {
            Ok(created) => {
                let provided = Provided {
                    provider_template_id: created.id,
                    name: template.name.clone(),
                    language: template.language.clone(),
                    category: created.category.unwrap_or(category),
                    parameter_format: template.parameter_format,
                    components,
                    status: created.status,
                    status_reason: None,
                    quality: None,
                };
                return Ok(Taken { provided, change: None, error: None });
            }
            // Somebody else was faster, and be it we ourselves.
            Err(error) if error.fault().code == meta::EXISTS => {
                found = client.find_template(account, &template.name, &template.language).await?;
                if found.is_none() {
                    return Err(error);
                }
            }
            Err(error) => return Err(error),
        }
    }
    let Some(found) = found else {
        return Err(SendError::Rejected(fault("not_listed", "Meta does not list it")));
    };
    let is_ours = template.provider_template_id.as_deref() == Some(found.id.as_str());
    if say_the_same(&found.components, &components) && (!is_ours || found.category == category) {
        return Ok(Taken { provided: provided(found), change: None, error: None });
    }
    if is_ours {
        let category = Some(category.as_str()).filter(|category| *category != found.category);
        client.edit_template(account, &found.id, category, &components).await?;
        let provided = Provided {
            category: category.unwrap_or(&found.category).to_owned(),
            components,
            status: TemplateStatus::Pending,
            status_reason: None,
            ..provided(found)
        };
        return Ok(Taken { provided, change: None, error: None });
    }
    let title = "The account has a template of this name and language that says something else";
    Ok(Taken {
        provided: provided(found),
        change: Some(json!({ "category": category, "components": components })),
        error: Some(fault(meta::EXISTS, title)),
    })
}

async fn record_taken(
    app: &App,
    scope: CompanyScope,
    id: TemplateId,
    connection_id: Option<ConnectionId>,
    taken: Taken,
    asked_at: DateTime<Utc>,
) -> Result<()> {
    let Taken { provided, change, error } = taken;
    let error = error.as_ref().map(described);
    let mut tx = app.db().await?.begin(scope).await?;
    let now = app.clock.now();
    let (change, error) = (change.as_ref(), error.as_ref());
    let recorded = provided::record_provided(&mut tx, id, &provided, change, error, asked_at, now).await?;
    let Some(version) = recorded else { return Ok(()) };
    let mut outgoing = super::changed(scope, id, version)?;
    if provided.category == Category::Authentication.as_str()
        && let Some(connection_id) = connection_id
    {
        // Meta words these itself: only what it lists says what may be sent.
        outgoing.job(scope, Job::SyncTemplates { connection_id })?;
    }
    outbox::commit(app, tx, outgoing).await
}

/// Has Meta delete a template, and forgets it.
///
/// # Errors
/// As [`submit`].
pub async fn delete(app: &App, scope: CompanyScope, id: TemplateId, attempt: u32) -> Result<()> {
    let Some((template, connection)) = asked(app, scope, id, Submission::Deleting).await? else {
        return Ok(());
    };
    let deleted = match reach(app, scope, connection, &template.waba_id).await? {
        Ok((client, account)) => remove(&client, &account, &template).await,
        Err(fault) => Err(SendError::Rejected(fault)),
    };
    if let Err(error) = deleted {
        return not_done(app, scope, id, Submission::Deleting, error, attempt).await;
    }
    let mut tx = app.db().await?.begin(scope).await?;
    if !db::templates::delete(&mut tx, id).await? {
        return Ok(());
    }
    let mut outgoing = Outgoing::default();
    outgoing.event(scope, Event::TemplateDeleted { template_id: id })?;
    outbox::commit(app, tx, outgoing).await
}

async fn remove(
    client: &WhatsAppCloud,
    account: &Account,
    template: &Template,
) -> std::result::Result<(), SendError> {
    let id = template.provider_template_id.as_deref().unwrap_or_default();
    let Err(error) = client.delete_template(account, id, &template.name).await else { return Ok(()) };
    if !matches!(error, SendError::Rejected(_)) {
        return Err(error);
    }
    // Meta refuses to delete what is deleted, by codes that are nowhere written down.
    match client.find_template(account, &template.name, &template.language).await? {
        Some(found) if is_there(&found) => Err(error),
        _ => Ok(()),
    }
}

/// The template and how to reach its account, if this is what is still asked.
async fn asked(
    app: &App,
    scope: CompanyScope,
    id: TemplateId,
    submission: Submission,
) -> Result<Option<(Template, Option<Connection>)>> {
    let mut tx = app.db().await?.begin(scope).await?;
    let Some(template) = db::templates::find(&mut tx, id).await? else { return Ok(None) };
    if template.submission != submission {
        return Ok(None);
    }
    let connection = db::connections::find_of_account(&mut tx, &template.waba_id).await?;
    tx.commit().await?;
    Ok(Some((template, connection)))
}

/// A client with the rights to an account, or why there is none.
async fn reach(
    app: &App,
    scope: CompanyScope,
    connection: Option<Connection>,
    waba_id: &str,
) -> Result<std::result::Result<(WhatsAppCloud, Account), ProviderFault>> {
    let Some(connection) = connection else {
        return Ok(Err(fault("connection_missing", "No number of this account is connected any more")));
    };
    let place = Place::connection(scope.company_id(), connection.id, "access_token");
    let access_token = match sealed::open_text(app, &connection.access_token, &place).await {
        Ok(access_token) => access_token,
        Err(error) if error.retryable() => return Err(error),
        Err(error) => {
            tracing::error!(connection.id = %connection.id, error = error.chain(), "connection unusable");
            let title = "The credentials of this connection cannot be read: connect it again";
            return Ok(Err(fault("connection_unusable", title)));
        }
    };
    let client = WhatsAppCloud::new(&app.settings.graph_base_url, app.http().clone());
    Ok(Ok((client, Account { waba_id: waba_id.to_owned(), access_token })))
}

/// Asks again later what may be answered then; else the template says why not.
async fn not_done(
    app: &App,
    scope: CompanyScope,
    id: TemplateId,
    asked: Submission,
    error: SendError,
    attempt: u32,
) -> Result<()> {
    tracing::warn!(template.id = %id, provider.code = error.fault().code, "provider did not do what it was asked");
    if attempt < ATTEMPTS
        && let Some(after) = patience(&error, attempt)
    {
        return Err(Error::RetryLater { after, source: error.into() });
    }
    let mut tx = app.db().await?.begin(scope).await?;
    let described = described(error.fault());
    let now = app.clock.now();
    let Some(version) = provided::record_refused(&mut tx, id, asked, &described, now).await? else {
        return Ok(());
    };
    outbox::commit(app, tx, super::changed(scope, id, version)?).await
}

/// How long to wait before the same is asked again; `None` when it would not help. What may have been done already is found.
fn patience(error: &SendError, attempt: u32) -> Option<Duration> {
    let grown = || Duration::from_secs(4_u64.saturating_pow(attempt.clamp(1, 6))).min(LONGEST_PAUSE);
    match error {
        SendError::Retry { after, .. } => Some(after.map_or_else(grown, |after| after.min(LONGEST_PAUSE))),
        error if error.may_pass() => Some(grown()),
        _ => None,
    }
}

/// Compares an account's templates with ours: all of them are read before anything is written.
///
/// # Errors
/// `RetryLater` when Meta cannot answer now; after some attempts it is let go until the next time.
pub async fn sync(app: &App, scope: CompanyScope, connection_id: ConnectionId, attempt: u32) -> Result<()> {
    let mut tx = app.db().await?.begin(scope).await?;
    let Some(connection) = db::connections::find(&mut tx, connection_id).await? else { return Ok(()) };
    let Some(waba_id) = connection.waba_id.clone() else { return Ok(()) };
    tx.commit().await?;
    // A connection that is unusable says so when somebody sends by it.
    let Ok((client, account)) = reach(app, scope, Some(connection), &waba_id).await? else { return Ok(()) };
    let asked_at = app.clock.now();
    let listed = match client.list_templates(&account).await {
        Ok(listed) => listed,
        Err(error) => {
            let code = &error.fault().code;
            tracing::warn!(connection.id = %connection_id, provider.code = code, "templates not listed");
            return match patience(&error, attempt) {
                Some(after) if attempt < ATTEMPTS => Err(Error::RetryLater { after, source: error.into() }),
                _ => Ok(()),
            };
        }
    };
    // One row a name, whatever Meta lists twice.
    let listed: HashMap<_, _> = listed
        .into_iter()
        .filter(is_there)
        .map(|template| ((template.name.clone(), template.language.clone()), provided(template)))
        .collect();
    let listed: Vec<Provided> = listed.into_values().collect();
    let new_ids: Vec<_> = listed.iter().map(|_| app.clock.new_id()).collect();
    let ids: Vec<_> = listed.iter().map(|template| template.provider_template_id.clone()).collect();
    let now = app.clock.now();
    let mut tx = app.db().await?.begin(scope).await?;
    // One that was deleted and made again has another id, and is there when the missing ones are looked for.
    let changed = provided::record_listed(&mut tx, &waba_id, &new_ids, &listed, asked_at, now).await?;
    let gone = provided::record_missing(&mut tx, &waba_id, &ids, asked_at, now).await?;
    provided::record_synced(&mut tx, &waba_id, asked_at).await?;
    let mut outgoing = Outgoing::default();
    let changed = u32::try_from(gone + changed).unwrap_or(u32::MAX);
    if changed > 0 {
        outgoing.event(scope, Event::TemplatesSynced { connection_id, changed })?;
    }
    outbox::commit(app, tx, outgoing).await
}

/// Asks for a comparison of every account that had none for hours, until all are asked for or `deadline` is near; how many.
///
/// # Errors
/// Database errors; what was asked for stays asked for.
pub async fn request_due(app: &App, deadline: DateTime<Utc>) -> Result<usize> {
    let before = app.clock.now() - SYNC_EVERY;
    let (mut asked, mut after) = (0, None);
    while app.clock.now() + MARGIN < deadline {
        let mut tx = app.system_db().await?.begin_system().await?;
        let accounts = provided::list_unsynced(&mut tx, before, after, BATCH).await?;
        let Some(last) = accounts.last() else { break };
        after = Some((last.company_id, last.waba_id.clone()));
        asked += accounts.len();
        let mut outgoing = Outgoing::default();
        for account in accounts {
            // The schedule acts for all companies, each row for its own.
            let scope = CompanyScope::assert_verified(account.company_id);
            outgoing.job(scope, Job::SyncTemplates { connection_id: account.connection_id })?;
        }
        outbox::commit_system(app, tx, outgoing).await?;
    }
    Ok(asked)
}

fn is_there(template: &MetaTemplate) -> bool {
    !matches!(template.status, TemplateStatus::PendingDeletion | TemplateStatus::Deleted)
}

fn provided(template: MetaTemplate) -> Provided {
    Provided {
        provider_template_id: template.id,
        name: template.name,
        language: template.language,
        category: template.category,
        parameter_format: template.parameter_format,
        components: template.components,
        status: template.status,
        status_reason: template.rejected_reason,
        quality: template.quality,
    }
}

fn fault(code: &str, title: &str) -> ProviderFault {
    ProviderFault { code: code.to_owned(), title: title.to_owned(), detail: None }
}

fn described(fault: &ProviderFault) -> Value {
    json!({ "code": fault.code, "title": fault.title, "detail": fault.detail })
}
