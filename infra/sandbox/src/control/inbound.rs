//! `POST /_sandbox/inbound`: a customer writes.

use super::*;

use crate::clock;
use crate::graph::media;
use crate::webhooks::payload::{self, Update};
use crate::world::World;
use crate::world::messages::Attachment;

/// What a customer does. Only `from` and one kind of content are needed.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Inbound {
    /// The number as a person writes it; WhatsApp's own spelling is worked out from it.
    from: String,
    /// WhatsApp's id for the account, when it must be another than the rule gives.
    #[serde(default)]
    wa_id: Option<String>,
    /// `profile.name`.
    #[serde(default)]
    name: Option<String>,
    /// Business-scoped user id.
    #[serde(default)]
    user_id: Option<String>,
    /// Default `text`.
    #[serde(default, rename = "type")]
    kind: Option<String>,
    /// Short for `content: {"body": …}`.
    #[serde(default)]
    text: Option<String>,
    /// What stands under the key named like the type.
    #[serde(default)]
    content: Option<Value>,
    /// A file of the sandbox, for the media types; mime type, hash and address are filled in.
    #[serde(default)]
    media_id: Option<String>,
    /// The wamid replied to.
    #[serde(default)]
    reply_to: Option<String>,
    /// Unix seconds; default now. An old one leaves the 24-hour window closed.
    #[serde(default)]
    timestamp: Option<i64>,
    /// The wamid, when it must be a certain one; sent again it is the same message again.
    #[serde(default)]
    id: Option<String>,
    /// The line written to; default the first.
    #[serde(default)]
    phone_number_id: Option<String>,
}

pub(crate) async fn post(State(sandbox): Shared, Json(inbound): Json<Inbound>) -> Response {
    match receive(&sandbox, inbound) {
        Ok(message) => {
            let answer = json!({ "id": message.id, "wa_id": message.wa_id });
            (StatusCode::CREATED, Json(answer)).into_response()
        }
        Err(reason) => refuse(StatusCode::UNPROCESSABLE_ENTITY, reason),
    }
}

/// Keeps the message, shows it, and sends the webhook on its way.
pub(crate) fn receive(sandbox: &Arc<Sandbox>, inbound: Inbound) -> Result<Message, String> {
    let digits = number::digits(&inbound.from).ok_or("from is not a phone number")?;
    let timestamp = inbound.timestamp.unwrap_or_else(clock::now_s);
    let mut guard = sandbox.world();
    let world = &mut *guard;
    let line = world.line(inbound.phone_number_id.as_deref()).ok_or("no such line")?.clone();
    let wa_id = inbound.wa_id.clone().unwrap_or_else(|| world.customers.resolve(&digits));
    let customer =
        world.customers.remember(&wa_id, &digits, inbound.name.as_deref(), inbound.user_id.as_deref());
    let kind = inbound.kind.as_deref().unwrap_or("text").to_owned();
    let (content, attachment) = content(sandbox, world, &inbound, &kind)?;
    let mut message = Message::new(&line.phone_number_id, &wa_id, Writer::Customer, &kind, content);
    if let Some(id) = inbound.id {
        message.id = id;
    }
    message.reply_to = inbound.reply_to;
    message.attachment = attachment;
    note(world, message.clone(), Some(timestamp));
    let reacted = (kind == "reaction").then(|| react(world, &message)).flatten();
    drop(guard);
    let shown = reacted.unwrap_or_else(|| message.clone());
    sandbox.tell(json!({ "kind": "message", "message": shown, "customer": customer }));
    let update = Update {
        line: message.line.clone(),
        wa_id,
        message_id: message.id.clone(),
        part: payload::inbound(&customer, &message, timestamp, &line),
    };
    webhooks::enqueue(sandbox, update);
    Ok(message)
}

/// Puts a customer's message into its chat and opens the window from its time on.
pub(crate) fn note(world: &mut World, message: Message, timestamp: Option<i64>) {
    let at_ms = timestamp.map_or_else(clock::now_ms, |seconds| {
        // Within the present second the finer clock keeps the order of the bubbles.
        if seconds == clock::now_s() { clock::now_ms() } else { seconds * 1000 }
    });
    let chat = world.chats.entry(&message.line, &message.wa_id);
    chat.customer_wrote_at_ms = Some(chat.customer_wrote_at_ms.unwrap_or(at_ms).max(at_ms));
    if world.messages.get(&message.id).is_none() {
        world.chats.append(&message.line, &message.wa_id, &message.id);
        world.messages.insert(Message { at_ms, ..message });
    }
}

fn content(
    sandbox: &Sandbox,
    world: &World,
    inbound: &Inbound,
    kind: &str,
) -> Result<(Value, Option<Attachment>), String> {
    let mut content = match (&inbound.content, &inbound.text) {
        (Some(content), _) => content.clone(),
        (None, Some(text)) if kind == "text" => json!({ "body": text }),
        (None, Some(text)) if inbound.media_id.is_some() => json!({ "caption": text }),
        (None, None) if inbound.media_id.is_some() => json!({}),
        (None, None) if kind == "unsupported" => json!({ "type": "unknown" }),
        _ => return Err("content (or text) is missing".into()),
    };
    let Some(id) = &inbound.media_id else {
        return Ok((content, None));
    };
    let media = world.media.get(id).ok_or("no such media_id")?;
    content["id"] = json!(media.id);
    content["mime_type"] = json!(media.mime_type);
    content["sha256"] = json!(media.sha256_base64());
    if world.settings.webhook.media_url {
        content["url"] = json!(media::address(sandbox, &sandbox.origin, id));
    }
    if kind == "document"
        && let Some(filename) = &media.filename
    {
        content["filename"] = json!(filename);
    }
    let attachment = Attachment {
        id: media.id.clone(),
        mime_type: media.mime_type.clone(),
        filename: media.filename.clone(),
    };
    Ok((content, Some(attachment)))
}

/// Puts the emoji on the bubble it is for. Without one the reaction is taken away.
fn react(world: &mut World, reaction: &Message) -> Option<Message> {
    let target = reaction.content["message_id"].as_str()?;
    let emoji = reaction.content["emoji"].as_str().filter(|e| !e.is_empty());
    let message = world.messages.get_mut(target)?;
    message.reaction_of_customer = emoji.map(str::to_owned);
    Some(message.clone())
}
