//! Normalising what is about the account itself: its templates.
//!
//! Meta's own examples carry some of these under another's field, so that the members decide where they are telling.

use chrono::DateTime;
use domain::inbound::{InboundEvent, TemplateChange, TemplateUpdate};
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
        _ => Ok(None),
    }
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
