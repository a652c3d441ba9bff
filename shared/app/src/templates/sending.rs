//! Sending by templates: which may be sent, and whether a message fits into its template. What Meta would refuse is refused
//! before, with the field that is wrong.

use db::TenantTx;
use db::conversations::Recipient;
use db::templates::Sendable;
use domain::ConnectionId;
use domain::template::{TemplateStatus, parameters};
use serde_json::Value;

use super::refusal;
use crate::error::{Error, Result};

/// So many templates are offered at most.
const OFFERED: i64 = 100;

/// The category of templates that advertise.
const MARKETING: &str = "MARKETING";

/// What may be sent over a connection, by name.
pub(crate) async fn offers(tx: &mut TenantTx, connection_id: ConnectionId) -> Result<Vec<Sendable>> {
    Ok(db::templates::list_sendable(tx, connection_id, OFFERED).await?)
}

/// Checks a message by a template, in the Cloud API's words. Where the account's templates were never brought over, one that
/// is not known passes: Meta decides.
///
/// # Errors
/// `Rule` (`template_not_found`, `template_paused`, `template_disabled`, `template_rejected`, `template_not_approved`,
/// `marketing_opted_out`), `Invalid` for parameters that do not fit.
pub(crate) async fn check(tx: &mut TenantTx, recipient: &Recipient, message: &Value) -> Result<()> {
    let connection_id = recipient.connection_id;
    let name = message["name"].as_str().unwrap_or_default();
    let language = message["language"]["code"].as_str().unwrap_or_default();
    if name.contains('\0') || language.contains('\0') {
        return Err(Error::invalid("template.name", "holds a NUL character"));
    }
    let Some(template) = db::templates::find_named(tx, connection_id, name, language).await? else {
        if db::templates::is_synced(tx, connection_id).await? {
            return Err(gone());
        }
        return Ok(());
    };
    if let Some(error) = refused(template.status) {
        return Err(error);
    }
    if template.category == MARKETING && recipient.marketing_opted_out {
        return Err(Error::Rule {
            code: "marketing_opted_out",
            message: "this customer wants no marketing, and Meta would refuse it".to_owned(),
        });
    }
    parameters::check(&template.components, template.parameter_format, &message["components"])
        .map_err(|fault| refusal(fault, "template."))
}

fn gone() -> Error {
    Error::Rule {
        code: "template_not_found",
        message: "the account has no template of this name and language".to_owned(),
    }
}

fn refused(status: TemplateStatus) -> Option<Error> {
    Some(match status {
        TemplateStatus::Approved | TemplateStatus::Flagged => return None,
        TemplateStatus::Paused => Error::Rule {
            code: "template_paused",
            message: "Meta has paused this template: customers complained of it".to_owned(),
        },
        TemplateStatus::Disabled | TemplateStatus::Locked => {
            Error::Rule { code: "template_disabled", message: "Meta has disabled this template".to_owned() }
        }
        TemplateStatus::Rejected => {
            Error::Rule { code: "template_rejected", message: "Meta has rejected this template".to_owned() }
        }
        TemplateStatus::Draft
        | TemplateStatus::Pending
        | TemplateStatus::InAppeal
        | TemplateStatus::LimitExceeded => Error::Rule {
            code: "template_not_approved",
            message: "Meta has not approved this template".to_owned(),
        },
        TemplateStatus::Archived | TemplateStatus::PendingDeletion | TemplateStatus::Deleted => gone(),
    })
}
