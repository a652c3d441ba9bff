//! Normalising what is about the account itself: its templates, what stands in its way, its numbers.
//!
//! Meta's own examples carry some of these under another's field, so that the members decide where they are telling.

use chrono::DateTime;
use domain::health::Obstacle;
use domain::inbound::{AccountChange, AccountUpdate, InboundEvent, TemplateChange, TemplateUpdate};
use domain::template::TemplateStatus;
use serde_json::Value;

use super::lenient::{instant, text};
use super::normalise::{Event, Normalised};

/// Reads the value of a change that holds no list of events.
pub(super) fn normalise(event: &Event<'_>, value: &Value) -> Normalised {
    match event.field {
        "message_template_status_update"
        | "message_template_quality_update"
        | "message_template_components_update"
        | "template_category_update" => template(event, value),
        "account_update" => Ok(account_update(event, value)),
        // One of Meta's examples comes without its field.
        "unknown" if text(&value["waba_info"], "partner_app_id").is_some() => {
            Ok(account_update(event, value))
        }
        "account_review_update" => Ok(account_review(event, value)),
        "account_alerts" => Ok(Some(account_alert(event, value))),
        // The events' own figures are announced to go: the number itself tells.
        "phone_number_quality_update" | "phone_number_name_update" | "business_capability_update" => {
            Ok(Some(account(event, value, AccountChange::Recheck)))
        }
        "business_username_updates" => Ok(username(event, value)),
        _ => Ok(None),
    }
}

fn account(event: &Event<'_>, value: &Value, change: AccountChange) -> InboundEvent {
    let number = text(value, "phone_number").or_else(|| text(value, "display_phone_number"));
    let number = number.map(|number| number.chars().filter(char::is_ascii_digit).collect());
    InboundEvent::Account(AccountUpdate {
        // Of a partner's events the entry is the partner.
        waba_id: text(&value["waba_info"], "waba_id").or_else(|| event.entry_id()),
        number,
        at: event.time_of(value).unwrap_or(DateTime::UNIX_EPOCH),
        change,
    })
}

fn raised(obstacle: Obstacle, detail: Option<String>) -> AccountChange {
    AccountChange::Raised { obstacle, detail }
}

fn account_update(event: &Event<'_>, value: &Value) -> Option<InboundEvent> {
    let ban = &value["ban_info"];
    let change = match text(value, "event")?.as_str() {
        "ACCOUNT_DELETED" => raised(Obstacle::AccountDeleted, None),
        "ACCOUNT_VIOLATION" => {
            raised(Obstacle::AccountRestricted, text(&value["violation_info"], "violation_type"))
        }
        "ACCOUNT_RESTRICTION" => raised(Obstacle::AccountRestricted, None),
        "DISABLED_UPDATE" => match text(ban, "waba_ban_state")?.as_str() {
            "DISABLE" => raised(Obstacle::AccountDisabled, text(ban, "waba_ban_date")),
            "SCHEDULE_FOR_DISABLE" => raised(Obstacle::AccountRestricted, text(ban, "waba_ban_date")),
            "REINSTATE" => AccountChange::Cleared {
                obstacles: vec![Obstacle::AccountDisabled, Obstacle::AccountRestricted],
            },
            _ => return None,
        },
        "PARTNER_REMOVED" | "PARTNER_APP_UNINSTALLED" => raised(Obstacle::AppRemoved, None),
        "PARTNER_ADDED" | "PARTNER_APP_INSTALLED" => {
            AccountChange::Cleared { obstacles: vec![Obstacle::AppRemoved] }
        }
        _ => return None,
    };
    Some(account(event, value, change))
}

fn account_review(event: &Event<'_>, value: &Value) -> Option<InboundEvent> {
    let change = match text(value, "decision")?.as_str() {
        "REJECTED" => raised(Obstacle::AccountRestricted, Some("REVIEW_REJECTED".to_owned())),
        "APPROVED" => AccountChange::Cleared { obstacles: vec![Obstacle::AccountRestricted] },
        _ => return None,
    };
    Some(account(event, value, change))
}

/// Only what is critical stands in the way; the rest is advice.
fn account_alert(event: &Event<'_>, value: &Value) -> InboundEvent {
    let alert = &value["alert_info"];
    let is = |name: &str, word: &str| text(alert, name).is_some_and(|text| text == word);
    let change = if is("alert_severity", "CRITICAL") && is("alert_status", "ACTIVE") {
        raised(Obstacle::AccountRestricted, text(alert, "alert_type"))
    } else {
        AccountChange::Recheck
    };
    account(event, value, change)
}

/// A username that Meta only keeps for the business is not known to customers yet.
fn username(event: &Event<'_>, value: &Value) -> Option<InboundEvent> {
    let username = match text(value, "status")?.as_str() {
        "approved" => Some(text(value, "username")?),
        "deleted" => None,
        _ => return None,
    };
    Some(account(event, value, AccountChange::Username { username }))
}

fn template(event: &Event<'_>, value: &Value) -> Normalised {
    let provider_template_id =
        text(value, "message_template_id").ok_or("a template update without a template id")?;
    let change = if let Some(score) = text(value, "new_quality_score") {
        TemplateChange::Quality { score }
    } else if let Some(category) = text(value, "new_category") {
        TemplateChange::Category {
            category,
            next: text(value, "correct_category"),
            next_at: instant(value.get("category_update_timestamp")),
        }
    } else if event.field == "message_template_components_update" {
        TemplateChange::Components
    } else {
        let word = text(value, "event").ok_or("a template update without an event")?;
        let Some(status) = TemplateStatus::from_provider(&word) else { return Ok(None) };
        TemplateChange::Status { status, reason: reason(value), detail: detail(value) }
    };
    let at = event.time_of(value).unwrap_or(DateTime::UNIX_EPOCH);
    Ok(Some(InboundEvent::Template(TemplateUpdate { provider_template_id, at, change })))
}

/// Meta's word for why; of a pause it stands elsewhere.
fn reason(value: &Value) -> Option<String> {
    let given = text(value, "reason").filter(|reason| reason != "NONE");
    given.or_else(|| text(&value["other_info"], "title"))
}

fn detail(value: &Value) -> Option<String> {
    let rejection = &value["rejection_info"];
    match (text(rejection, "reason"), text(rejection, "recommendation")) {
        (Some(reason), Some(recommendation)) => Some(format!("{reason} {recommendation}")),
        (reason, recommendation) => {
            reason.or(recommendation).or_else(|| text(&value["other_info"], "description"))
        }
    }
}
