//! Message templates: here what people do with them · [`upkeep`] what is asked of Meta, and brought over from there ·
//! [`sending`] which may be sent, and what fits into them.
//!
//! Meta is asked later, by a job: a template says by its `submission` that it waits for the answer, and by its `error` what
//! that was. What Meta has is never written over by what people want of it: that stands beside it, until Meta took it.

pub mod sending;
pub mod upkeep;

use db::TenantTx;
use db::templates::{Filter, NewTemplate, Template, Wanted};
use domain::connection::ConnectionKind;
use domain::event::Event;
use domain::job::Job;
use domain::template::parameters::{self, Rendered};
use domain::template::{Category, Fault, ParameterFormat, Problem, Submission, TemplateStatus, definition};
use domain::{CompanyScope, ConnectionId, TemplateId};
use serde::Serialize;
use serde_json::{Value, json};

use crate::audit::{self, By};
use crate::auth::Identity;
use crate::error::{Error, Result};
use crate::idempotency::{self, IdempotencyKey};
use crate::outbox::{self, Outgoing};
use crate::{App, Page, Position};

/// The longest part of a name that one looks for.
const LONGEST_Q: usize = 100;

/// What a new template shall be.
#[derive(Clone, Debug, Serialize)]
pub struct NewTemplateWish {
    /// A connection of the account that it shall belong to.
    pub connection_id: ConnectionId,
    /// Lower-case letters, digits and `_`.
    pub name: String,
    /// As `pt_BR`.
    pub language: String,
    /// What it is for.
    pub category: Category,
    /// How its variables are called.
    pub parameter_format: ParameterFormat,
    /// Its components in the Cloud API's words.
    pub components: Value,
    /// Ask Meta at once.
    pub submit: bool,
}

/// What shall be true of a template; what is `None` stays.
#[derive(Clone, Debug, Default)]
pub struct Change {
    /// What it is for.
    pub category: Option<Category>,
    /// How its variables are called; only of one that Meta does not know.
    pub parameter_format: Option<ParameterFormat>,
    /// Its components.
    pub components: Option<Value>,
}

/// Lists templates by name.
///
/// # Errors
/// `Invalid` for a question that is too long.
pub async fn list(
    app: &App,
    scope: CompanyScope,
    filter: &Filter,
    after: Option<Position<String>>,
    limit: i64,
) -> Result<Page<Template, String>> {
    if filter.q.as_deref().is_some_and(|q| q.chars().count() > LONGEST_Q || q.contains('\0')) {
        return Err(Error::invalid("q", format!("up to {LONGEST_Q} characters")));
    }
    let mut tx = app.db().await?.begin_list(scope).await?;
    let rows = db::templates::list(&mut tx, filter, after, limit + 1).await?;
    Ok(Page::cut(rows, limit, |template| (template.name.clone(), template.id.0)))
}

/// One template.
///
/// # Errors
/// `NotFound`.
pub async fn find(app: &App, scope: CompanyScope, id: TemplateId) -> Result<Template> {
    let mut tx = app.db().await?.begin(scope).await?;
    find_in(&mut tx, id).await
}

/// Makes one, and asks Meta if that is wished; with a key that was used before, the one that it made then.
///
/// # Errors
/// `Invalid` for what Meta would refuse, `NotFound` for a connection that is not the company's, `Conflict` when the account
/// has one of this name and language, `Rule` (`templates_unsupported`).
pub async fn create(
    app: &App,
    caller: &Identity,
    new: NewTemplateWish,
    key: Option<&IdempotencyKey>,
) -> Result<Template> {
    definition::check(&definition::Definition {
        name: &new.name,
        language: &new.language,
        category: new.category,
        parameter_format: new.parameter_format,
        components: &new.components,
    })
    .map_err(|fault| refusal(fault, ""))?;
    storable(&new.components)?;
    let id = TemplateId(app.clock.new_id());
    let mut tx = app.db().await?.begin(caller.scope).await?;
    if let Some(known) = idempotency::claim(&mut tx, key, "template", &new, id.0).await? {
        return find_in(&mut tx, TemplateId(known)).await;
    }
    let waba_id = account_of(&mut tx, new.connection_id).await?;
    let submission = if new.submit { Submission::Submitting } else { Submission::Idle };
    let row = NewTemplate {
        id,
        waba_id: &waba_id,
        name: &new.name,
        language: &new.language,
        category: new.category.as_str(),
        parameter_format: new.parameter_format,
        components: &new.components,
        submission,
    };
    db::templates::insert(&mut tx, &row, app.clock.now()).await?;
    let detail = json!({ "name": new.name, "language": new.language });
    audit::record(app, &mut tx, By::Caller(caller), "template.created", ("template", Some(id.0)), detail)
        .await?;
    let template = find_in(&mut tx, id).await?;
    let mut outgoing = changed(caller.scope, id, template.version)?;
    if new.submit {
        outgoing.job(caller.scope, Job::SubmitTemplate { template_id: id })?;
    }
    outbox::commit(app, tx, outgoing).await?;
    Ok(template)
}

/// Changes one: at once what only we know, and of what Meta has the change that is to be submitted.
///
/// # Errors
/// `NotFound`, `Invalid` for what Meta would refuse, `Conflict` while Meta is asked or when it has it no more.
pub async fn change(app: &App, caller: &Identity, id: TemplateId, change: Change) -> Result<Template> {
    let mut tx = app.db().await?.begin(caller.scope).await?;
    let was = find_free(&mut tx, id).await?;
    let is_provided = was.provider_template_id.is_some();
    let format = change.parameter_format.unwrap_or(was.parameter_format);
    if is_provided && format != was.parameter_format {
        return Err(Error::invalid("parameter_format", "stays as it is once Meta has the template"));
    }
    let (category, components) = wanted(&was);
    let category = change.category.map_or(category, |category| category.as_str().to_owned());
    let components = change.components.unwrap_or(components);
    definition::check_components(known_category(&category), format, &components)
        .map_err(|fault| refusal(fault, ""))?;
    storable(&components)?;
    let wish = json!({ "category": category, "components": components });
    let as_it_is = category == was.category && components == was.components;
    let row = if is_provided {
        Wanted {
            category: &was.category,
            parameter_format: format,
            components: &was.components,
            change: (!as_it_is).then_some(&wish),
            submission: Submission::Idle,
        }
    } else {
        Wanted {
            category: &category,
            parameter_format: format,
            components: &components,
            change: None,
            submission: Submission::Idle,
        }
    };
    let version = db::templates::want(&mut tx, id, &row, app.clock.now()).await?;
    let detail = json!({ "name": was.name, "language": was.language });
    audit::record(app, &mut tx, By::Caller(caller), "template.changed", ("template", Some(id.0)), detail)
        .await?;
    let template = find_in(&mut tx, id).await?;
    outbox::commit(app, tx, changed(caller.scope, id, version)?).await?;
    Ok(template)
}

/// Asks Meta to take one, or the change of it. One that is being asked about is answered as it is.
///
/// # Errors
/// `NotFound`, `Conflict` when there is nothing to ask.
pub async fn submit(
    app: &App,
    caller: &Identity,
    id: TemplateId,
    key: Option<&IdempotencyKey>,
) -> Result<Template> {
    let mut tx = app.db().await?.begin(caller.scope).await?;
    lock(&mut tx, id).await?;
    let was = find_in(&mut tx, id).await?;
    let known = idempotency::claim(&mut tx, key, "template.submit", &id, id.0).await?;
    if known.is_some() || was.submission == Submission::Submitting {
        return Ok(was);
    }
    check_free(&was)?;
    if was.provider_template_id.is_some() && was.change.is_none() {
        return Err(Error::Conflict("Meta has this template as it is: change it first"));
    }
    let row = Wanted {
        category: &was.category,
        parameter_format: was.parameter_format,
        components: &was.components,
        change: was.change.as_ref(),
        submission: Submission::Submitting,
    };
    let version = db::templates::want(&mut tx, id, &row, app.clock.now()).await?;
    let detail = json!({ "name": was.name, "language": was.language });
    audit::record(app, &mut tx, By::Caller(caller), "template.submitted", ("template", Some(id.0)), detail)
        .await?;
    let template = find_in(&mut tx, id).await?;
    let mut outgoing = changed(caller.scope, id, version)?;
    outgoing.job(caller.scope, Job::SubmitTemplate { template_id: id })?;
    outbox::commit(app, tx, outgoing).await?;
    Ok(template)
}

/// Removes one: at once what Meta does not have (`None`), and else when Meta deleted it.
///
/// # Errors
/// `NotFound`; `Conflict` while Meta is asked to take it.
pub async fn delete(app: &App, caller: &Identity, id: TemplateId) -> Result<Option<Template>> {
    let mut tx = app.db().await?.begin(caller.scope).await?;
    lock(&mut tx, id).await?;
    let was = find_in(&mut tx, id).await?;
    match was.submission {
        Submission::Deleting => return Ok(Some(was)),
        Submission::Submitting => return Err(Error::Conflict(ASKED)),
        Submission::Idle => {}
    }
    let detail = json!({ "name": was.name, "language": was.language });
    audit::record(app, &mut tx, By::Caller(caller), "template.deleted", ("template", Some(id.0)), detail)
        .await?;
    if was.provider_template_id.is_none() || was.status == TemplateStatus::Deleted {
        db::templates::delete(&mut tx, id).await?;
        let mut outgoing = Outgoing::default();
        outgoing.event(caller.scope, Event::TemplateDeleted { template_id: id })?;
        outbox::commit(app, tx, outgoing).await?;
        return Ok(None);
    }
    let row = Wanted {
        category: &was.category,
        parameter_format: was.parameter_format,
        components: &was.components,
        change: was.change.as_ref(),
        submission: Submission::Deleting,
    };
    let version = db::templates::want(&mut tx, id, &row, app.clock.now()).await?;
    let template = find_in(&mut tx, id).await?;
    let mut outgoing = changed(caller.scope, id, version)?;
    outgoing.job(caller.scope, Job::DeleteTemplate { template_id: id })?;
    outbox::commit(app, tx, outgoing).await?;
    Ok(Some(template))
}

/// What a customer would see, with these components of a message.
///
/// # Errors
/// `NotFound`, `Invalid` for parameters that do not fit.
pub async fn preview(app: &App, scope: CompanyScope, id: TemplateId, components: &Value) -> Result<Rendered> {
    let template = find(app, scope, id).await?;
    parameters::check(&template.components, template.parameter_format, components)
        .map_err(|fault| refusal(fault, ""))?;
    Ok(parameters::render(&template.components, components))
}

/// Asks for a comparison with what Meta has, which will be soon.
///
/// # Errors
/// `NotFound` for a connection that is not the company's, `Rule` (`templates_unsupported`).
pub async fn request_sync(app: &App, scope: CompanyScope, connection_id: ConnectionId) -> Result<()> {
    let mut tx = app.db().await?.begin(scope).await?;
    account_of(&mut tx, connection_id).await?;
    let mut outgoing = Outgoing::default();
    outgoing.job(scope, Job::SyncTemplates { connection_id })?;
    outbox::commit(app, tx, outgoing).await
}

const ASKED: &str = "Meta is being asked about this template: wait for the answer";

/// What a person wants of a template: the change, or as it is.
fn wanted(template: &Template) -> (String, Value) {
    let Some(change) = &template.change else {
        return (template.category.clone(), template.components.clone());
    };
    let category = change["category"].as_str().unwrap_or(&template.category);
    (category.to_owned(), change["components"].clone())
}

/// Of a category that we do not know, nothing special is known.
fn known_category(category: &str) -> Category {
    let all = [Category::Authentication, Category::Marketing, Category::Utility];
    all.into_iter().find(|known| known.as_str() == category).unwrap_or(Category::Utility)
}

async fn account_of(tx: &mut TenantTx, id: ConnectionId) -> Result<String> {
    let connection = db::connections::find(tx, id).await?.ok_or(Error::NotFound("connection"))?;
    let account = connection.waba_id.filter(|_| connection.kind == ConnectionKind::WhatsappCloud);
    account.ok_or_else(|| Error::Rule {
        code: "templates_unsupported",
        message: "this channel has no templates".to_owned(),
    })
}

async fn find_in(tx: &mut TenantTx, id: TemplateId) -> Result<Template> {
    db::templates::find(tx, id).await?.ok_or(Error::NotFound("template"))
}

async fn lock(tx: &mut TenantTx, id: TemplateId) -> Result<()> {
    if db::templates::lock(tx, id).await? { Ok(()) } else { Err(Error::NotFound("template")) }
}

async fn find_free(tx: &mut TenantTx, id: TemplateId) -> Result<Template> {
    lock(tx, id).await?;
    let template = find_in(tx, id).await?;
    check_free(&template)?;
    Ok(template)
}

fn check_free(template: &Template) -> Result<()> {
    if template.submission != Submission::Idle {
        return Err(Error::Conflict(ASKED));
    }
    match template.status {
        TemplateStatus::PendingDeletion | TemplateStatus::Deleted => {
            Err(Error::Conflict("Meta has deleted this template"))
        }
        _ => Ok(()),
    }
}

/// PostgreSQL's JSON holds no NUL.
fn storable(components: &Value) -> Result<()> {
    if components.to_string().contains("\\u0000") {
        return Err(Error::invalid("components", "holds a NUL character"));
    }
    Ok(())
}

pub(crate) fn changed(scope: CompanyScope, template_id: TemplateId, version: i32) -> Result<Outgoing> {
    let mut outgoing = Outgoing::default();
    outgoing.event(scope, Event::TemplateChanged { template_id, version })?;
    Ok(outgoing)
}

/// A fault as the caller is told of it; `prefix` stands before the field.
pub(crate) fn refusal(fault: Fault, prefix: &str) -> Error {
    let field = format!("{prefix}{}", fault.field);
    match fault.problem {
        Problem::Needed => Error::invalid(field, "is needed"),
        Problem::Unexpected => Error::invalid(field, "the template has no such part"),
        Problem::OneOf(words) => Error::invalid(field, format!("must be one of {words}")),
        Problem::Characters(least, most) => Error::invalid(field, format!("{least} to {most} characters")),
        Problem::Items(least, most) => Error::invalid(field, format!("{least} to {most} items")),
        Problem::Twice => Error::invalid(field, "stands here twice"),
        Problem::Gap => Error::invalid(field, "variables are {{1}}, {{2}} and so on, without a gap"),
        Problem::VariableName => Error::invalid(field, "lower-case letters, digits and _"),
        Problem::NoVariables => Error::invalid(field, "holds no variables"),
        Problem::OneVariableAtEnd => Error::invalid(field, "at most one variable, at the end"),
        Problem::Examples(count) => Error::invalid(field, format!("as many examples as variables: {count}")),
        Problem::Parameters { expected, given } => {
            Error::invalid(field, format!("{expected} parameters, but there are {given}"))
        }
        Problem::NoSuchVariable(name) => Error::invalid(field, format!("the template has no {name} here")),
        Problem::Missing(name) => Error::invalid(field, format!("without a value for {name}")),
    }
}
