//! Fields of its own that a company keeps of its customers: what they are called, what they hold, and which values fit.
//!
//! A field that is deleted takes no value along: values stay with their contacts, unseen, and are seen again when a field
//! of that key and a type that they fit is made.

use db::TenantTx;
use db::contact_fields::ContactField;
use db::contacts::Contact;
use domain::ContactFieldId;
use domain::contact::{FieldRule, FieldType, change_custom, is_field_key, shown_custom};
use domain::user::Permission;
use serde_json::{Map, Value, json};

use crate::audit::{self, By};
use crate::auth::Identity;
use crate::error::{Error, Result};
use crate::idempotency::{self, IdempotencyKey};
use crate::{App, Page, Position, text};

/// The longest label, as the table has it.
const LABEL_CHARS: usize = 100;

/// Options of one field at most, and characters of one.
const OPTIONS: usize = 200;
const OPTION_CHARS: usize = 100;

/// Fields of a company at most: each list of contacts reads them all.
const FIELDS: i64 = 200;

/// A field to be made.
#[derive(Clone, Debug)]
pub struct NewField {
    /// Its name in `custom`.
    pub key: String,
    /// What people call it.
    pub label: String,
    /// What it holds.
    pub field_type: FieldType,
    /// What there is to choose from.
    pub options: Vec<String>,
}

/// What shall be true of a field; what is `None` stays. Its key and its type stay always: values stand by them.
#[derive(Clone, Debug, Default)]
pub struct Change {
    /// What people call it.
    pub label: Option<String>,
    /// What there is to choose from. Who has an option that is withdrawn keeps it.
    pub options: Option<Vec<String>>,
}

/// The fields by label.
///
/// # Errors
/// `Forbidden` without the permission.
pub async fn list(
    app: &App,
    identity: &Identity,
    after: Option<Position<String>>,
    limit: i64,
) -> Result<Page<ContactField, String>> {
    identity.require(Permission::ReadInbox)?;
    let mut tx = app.db().await?.begin(identity.scope).await?;
    let rows = db::contact_fields::list(&mut tx, after, limit + 1).await?;
    Ok(Page::cut(rows, limit, |field| (field.label.clone(), field.id.0)))
}

/// One field.
///
/// # Errors
/// `NotFound`; `Forbidden` without the permission.
pub async fn find(app: &App, identity: &Identity, id: ContactFieldId) -> Result<ContactField> {
    identity.require(Permission::ReadInbox)?;
    let mut tx = app.db().await?.begin(identity.scope).await?;
    db::contact_fields::find(&mut tx, id).await?.ok_or(Error::NotFound("field"))
}

/// Makes one; with an idempotency key that was used before, the one that it made then.
///
/// # Errors
/// `Invalid` for a key, label or options that cannot be; `Conflict` for a key that is taken; `Rule` (`too_many_fields`).
pub async fn create(
    app: &App,
    identity: &Identity,
    new: NewField,
    key: Option<&IdempotencyKey>,
) -> Result<ContactField> {
    identity.require(Permission::ManageContacts)?;
    if !is_field_key(&new.key) {
        let message = "1 to 63 small letters, digits and underscores, a letter first";
        return Err(Error::invalid("key", message));
    }
    let now = app.clock.now();
    let field = ContactField {
        id: ContactFieldId(app.clock.new_id()),
        label: text::line("label", &new.label, LABEL_CHARS)?,
        options: checked_options(new.field_type, &new.options)?,
        key: new.key,
        field_type: new.field_type,
        created_at: now,
        updated_at: now,
    };
    let mut tx = app.db().await?.begin(identity.scope).await?;
    let asked = json!([field.key, field.label, field.field_type, field.options]);
    if let Some(known) = idempotency::claim(&mut tx, key, "contact_field", &asked, field.id.0).await? {
        let known = db::contact_fields::find(&mut tx, ContactFieldId(known)).await?;
        return known.ok_or(Error::NotFound("field"));
    }
    if db::contact_fields::count(&mut tx).await? >= FIELDS {
        let message = format!("a company has at most {FIELDS} fields");
        return Err(Error::Rule { code: "too_many_fields", message });
    }
    db::contact_fields::insert(&mut tx, &field).await?;
    let object = ("contact_field", Some(field.id.0));
    let detail = json!({ "key": field.key, "type": field.field_type });
    audit::record(app, &mut tx, By::Caller(identity), "contact_field.created", object, detail).await?;
    tx.commit().await?;
    Ok(field)
}

/// Changes one.
///
/// # Errors
/// As [`create`], and `NotFound`.
pub async fn change(
    app: &App,
    identity: &Identity,
    id: ContactFieldId,
    change: Change,
) -> Result<ContactField> {
    identity.require(Permission::ManageContacts)?;
    let mut tx = app.db().await?.begin(identity.scope).await?;
    let mut field =
        db::contact_fields::find_for_update(&mut tx, id).await?.ok_or(Error::NotFound("field"))?;
    if let Some(label) = &change.label {
        field.label = text::line("label", label, LABEL_CHARS)?;
    }
    if let Some(options) = &change.options {
        field.options = checked_options(field.field_type, options)?;
    }
    field.updated_at = app.clock.now();
    db::contact_fields::update(&mut tx, id, &field.label, &field.options, field.updated_at).await?;
    let detail = json!({ "label": change.label, "options": change.options });
    let object = ("contact_field", Some(id.0));
    audit::record(app, &mut tx, By::Caller(identity), "contact_field.changed", object, detail).await?;
    tx.commit().await?;
    Ok(field)
}

/// Deletes one; its values stay, unseen.
///
/// # Errors
/// `NotFound`.
pub async fn delete(app: &App, identity: &Identity, id: ContactFieldId) -> Result<()> {
    identity.require(Permission::ManageContacts)?;
    let mut tx = app.db().await?.begin(identity.scope).await?;
    let key = db::contact_fields::delete(&mut tx, id).await?.ok_or(Error::NotFound("field"))?;
    let object = ("contact_field", Some(id.0));
    let detail = json!({ "key": key });
    audit::record(app, &mut tx, By::Caller(identity), "contact_field.deleted", object, detail).await?;
    Ok(tx.commit().await?)
}

fn checked_options(field_type: FieldType, options: &[String]) -> Result<Vec<String>> {
    if field_type != FieldType::Choice {
        return match options {
            [] => Ok(Vec::new()),
            _ => Err(Error::invalid("options", "only a field of type choice has options")),
        };
    }
    let mut checked = Vec::new();
    for option in options {
        let option = text::line("options", option, OPTION_CHARS)?;
        if !checked.contains(&option) {
            checked.push(option);
        }
    }
    match checked.len() {
        1..=OPTIONS => Ok(checked),
        _ => Err(Error::invalid("options", format!("1 to {OPTIONS} options"))),
    }
}

fn rule<'a>(fields: &'a [ContactField], key: &str) -> Option<FieldRule<'a>> {
    let field = fields.iter().find(|field| field.key == key)?;
    Some(FieldRule { field_type: field.field_type, options: &field.options })
}

/// Takes `changes` over into a contact's custom fields.
///
/// # Errors
/// `Invalid` for `custom.<key>`.
pub(crate) async fn take_over(
    tx: &mut TenantTx,
    custom: &mut Value,
    changes: &Map<String, Value>,
) -> Result<()> {
    if changes.is_empty() {
        return Ok(());
    }
    let fields = db::contact_fields::list_all(tx).await?;
    let mut values = custom.as_object().cloned().unwrap_or_default();
    change_custom(&mut values, changes, |key| rule(&fields, key))
        .map_err(|(key, message)| Error::invalid(format!("custom.{key}"), message))?;
    *custom = Value::Object(values);
    Ok(())
}

/// Leaves of contacts' custom fields those that the company has.
pub(crate) async fn hide_unknown(tx: &mut TenantTx, contacts: &mut [Contact]) -> Result<()> {
    let has_any = |contact: &Contact| contact.custom.as_object().is_some_and(|custom| !custom.is_empty());
    if !contacts.iter().any(has_any) {
        return Ok(());
    }
    let fields = db::contact_fields::list_all(tx).await?;
    for contact in contacts {
        if let Some(custom) = contact.custom.as_object_mut() {
            shown_custom(custom, |key| rule(&fields, key));
        }
    }
    Ok(())
}
