//! The shapes of webhook bodies.

use serde_json::{Map, Value, json};

use crate::Line;
use crate::clock;
use crate::graph::error::GraphError;
use crate::world::customers::Customer;
use crate::world::messages::{Message, Stage};

/// One thing to tell the product: a message of a customer, a status of one of its own, or news of its account.
#[derive(Debug, Clone)]
pub(crate) struct Update {
    /// Phone number id.
    pub(crate) line: String,
    pub(crate) wa_id: String,
    /// The message concerned.
    pub(crate) message_id: String,
    pub(crate) part: Part,
}

/// What `value` carries.
#[derive(Debug, Clone)]
pub(crate) enum Part {
    Message { contact: Value, message: Value },
    Status { name: &'static str, status: Value },
    Account { field: &'static str, value: Value },
}

impl Update {
    /// For the log: `message:<wamid>` or `<status>:<wamid>`.
    pub(crate) fn label(&self) -> String {
        match &self.part {
            Part::Message { .. } => format!("message:{}", self.message_id),
            Part::Status { name, .. } => format!("{name}:{}", self.message_id),
            Part::Account { field, .. } => format!("{field}:{}", self.message_id),
        }
    }
}

/// A customer's message, as `messages[]` and `contacts[]` show it.
pub(crate) fn inbound(customer: &Customer, message: &Message, timestamp: i64, line: &Line) -> Part {
    let mut contact = json!({ "profile": { "name": customer.name }, "wa_id": customer.wa_id });
    let mut body = Map::new();
    if let Some(user_id) = &customer.user_id {
        contact["user_id"] = json!(user_id);
        body.insert("from_user_id".into(), json!(user_id));
    }
    if let Some(replied) = &message.reply_to {
        let context = json!({ "from": line.display_phone, "id": replied });
        body.insert("context".into(), context);
    }
    body.insert("from".into(), json!(customer.wa_id));
    body.insert("id".into(), json!(message.id));
    body.insert("timestamp".into(), json!(timestamp.to_string()));
    body.insert("type".into(), json!(message.kind));
    if !message.content.is_null() {
        body.insert(message.kind.clone(), message.content.clone());
    }
    Part::Message { contact, message: Value::Object(body) }
}

/// A status of a message of the business. `in_window` decides who pays for a utility template.
pub(crate) fn status(message: &Message, stage: Stage, in_window: bool) -> Part {
    let name = match stage {
        Stage::Accepted => "accepted",
        Stage::Sent => "sent",
        Stage::Delivered => "delivered",
        Stage::Read => "read",
        Stage::Failed => "failed",
    };
    let mut status = json!({
        "id": message.id,
        "status": name,
        "timestamp": clock::now_s().to_string(),
    });
    if !message.wa_id.is_empty() {
        status["recipient_id"] = json!(message.wa_id);
    }
    if let Some(user_id) = &message.user_id {
        status["recipient_user_id"] = json!(user_id);
    }
    if let Some(data) = &message.biz_opaque_callback_data {
        status["biz_opaque_callback_data"] = json!(data);
    }
    if matches!(stage, Stage::Sent | Stage::Delivered) && message.kind != "reaction" {
        add_price(&mut status, message, stage, in_window);
    }
    if stage == Stage::Failed {
        let error = GraphError::of_code(message.error_code.unwrap_or(131_000));
        status["errors"] = json!([error.webhook_form()]);
    }
    Part::Status { name, status }
}

/// Per-message pricing: free inside the window but for marketing; only templates cost.
fn add_price(status: &mut Value, message: &Message, stage: Stage, in_window: bool) {
    let category = message.category.as_deref().unwrap_or("service");
    let free = category == "service" || (category == "utility" && in_window);
    let kind = if free { "free_customer_service" } else { "regular" };
    status["pricing"] = json!({
        "billable": !free, "pricing_model": "PMP", "type": kind, "category": category,
    });
    // v23 still carries it, unique per message.
    let mut conversation = json!({
        "id": conversation_id(&message.id),
        "origin": { "type": category },
    });
    if stage == Stage::Sent {
        let expires = clock::now_s() + 24 * 60 * 60;
        conversation["expiration_timestamp"] = json!(expires.to_string());
    }
    status["conversation"] = conversation;
}

fn conversation_id(message_id: &str) -> String {
    use sha2::Digest as _;
    hex::encode(&sha2::Sha256::digest(message_id.as_bytes())[..16])
}

/// One body for updates of one line: a change each, but neighbouring statuses share theirs.
pub(crate) fn envelope(line: &Line, updates: &[Update]) -> Value {
    let mut changes: Vec<Value> = Vec::new();
    let mut after_status = false;
    for update in updates {
        let (key, part) = match &update.part {
            Part::Message { message, .. } => ("messages", message),
            Part::Status { status, .. } => ("statuses", status),
            Part::Account { field, value } => {
                after_status = false;
                changes.push(json!({ "value": value, "field": field }));
                continue;
            }
        };
        let is_status = key == "statuses";
        let shared = changes
            .last_mut()
            .filter(|_| is_status && after_status)
            .and_then(|change| change["value"]["statuses"].as_array_mut());
        after_status = is_status;
        if let Some(statuses) = shared {
            statuses.push(part.clone());
            continue;
        }
        let mut value = json!({
            "messaging_product": "whatsapp",
            "metadata": {
                "display_phone_number": line.display_phone,
                "phone_number_id": line.phone_number_id,
            },
        });
        if let Part::Message { contact, .. } = &update.part {
            value["contacts"] = json!([contact]);
        }
        value[key] = json!([part]);
        changes.push(json!({ "value": value, "field": "messages" }));
    }
    let mut entry = json!({ "id": line.waba_id, "changes": changes });
    if updates.iter().any(|update| matches!(update.part, Part::Account { .. })) {
        entry["time"] = json!(clock::now_s());
    }
    json!({ "object": "whatsapp_business_account", "entry": [entry] })
}
