//! `POST /{PNID}/messages`: send, or mark as read.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::HeaderMap;
use serde_json::{Value, json};

use super::error::GraphError;
use super::validate::{self, Draft, Recipient, Request};
use super::{Shared, progress, templates};
use crate::clock;
use crate::script::{self, Target};
use crate::world::Sandbox;
use crate::world::messages::{Message, Stage, Writer};

/// How long a typing indicator stays without a message.
const TYPING_MS: i64 = 25_000;

pub(crate) async fn post(
    State(sandbox): Shared,
    Path((_, phone_number_id)): Path<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    script::run(&sandbox, Target::GraphMessages, &body, async {
        match take(&sandbox, &phone_number_id, &headers, &body) {
            Ok(answer) => Json(answer).into_response(),
            Err(error) => error.into_response(),
        }
    })
    .await
}

fn take(
    sandbox: &Arc<Sandbox>,
    phone_number_id: &str,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Value, GraphError> {
    let line = super::line(&sandbox.world(), headers, phone_number_id)?.clone();
    match validate::parse(body)? {
        Request::Read { message_id, typing } => {
            mark_read(sandbox, &line.phone_number_id, &message_id, typing)?;
            Ok(json!({ "success": true }))
        }
        Request::Send(draft) => {
            let message = store(sandbox, &line, *draft, body)?;
            let answer = accepted(&message);
            progress::follow(sandbox.clone(), message);
            Ok(answer)
        }
    }
}

/// Marks the customer's message and those before it as read, and shows the business typing.
fn mark_read(sandbox: &Sandbox, line: &str, message_id: &str, typing: bool) -> Result<(), GraphError> {
    let mut guard = sandbox.world();
    let world = &mut *guard;
    let wa_id = world
        .messages
        .get(message_id)
        .filter(|message| message.writer == Writer::Customer && message.line == line)
        .map(|message| message.wa_id.clone())
        .ok_or_else(|| GraphError::of_code(131_009).details("message_id is not a message of a customer"))?;
    let chat = world.chats.entry(line, &wa_id);
    if typing {
        chat.typing_until_ms = clock::now_ms() + TYPING_MS;
    }
    let typing_until_ms = chat.typing_until_ms;
    let mut changed = Vec::new();
    for id in &chat.messages {
        if let Some(message) = world.messages.get_mut(id)
            && message.writer == Writer::Customer
            && message.stage != Stage::Read
        {
            message.stage = Stage::Read;
            changed.push(message.clone());
        }
        if id == message_id {
            break;
        }
    }
    drop(guard);
    for message in changed {
        sandbox.tell(json!({ "kind": "message", "message": message }));
    }
    if typing {
        sandbox.tell(json!({
            "kind": "typing", "phone_number_id": line, "wa_id": wa_id,
            "typing_until_ms": typing_until_ms,
        }));
    }
    Ok(())
}

/// Keeps the message. From here on it counts as accepted, whatever becomes of the answer.
fn store(
    sandbox: &Sandbox,
    line: &crate::Line,
    mut draft: Draft,
    body: &[u8],
) -> Result<Message, GraphError> {
    let mut guard = sandbox.world();
    let world = &mut *guard;
    let mut category = None;
    if draft.kind == "template" {
        let template = templates::fill(world, &line.access_token, &draft.content)?;
        category = Some(template.category);
        draft.content["rendered"] = template.rendered;
    }
    let (wa_id, user_id) = match &draft.recipient {
        Recipient::Phone(digits) => (world.customers.resolve(digits), None),
        Recipient::UserId(user_id) => {
            (world.customers.of_user_id(user_id).unwrap_or_default(), Some(user_id.clone()))
        }
    };
    if wa_id == line.display_phone {
        return Err(GraphError::of_code(131_021));
    }
    if let Recipient::Phone(digits) = &draft.recipient
        && world.customers.get(&wa_id).is_none()
    {
        world.customers.remember(&wa_id, digits, None, None);
    }
    let mut message =
        Message::new(&line.phone_number_id, &wa_id, Writer::Business, &draft.kind, draft.content);
    message.to = Some(draft.input);
    message.user_id = user_id;
    message.reply_to = draft.reply_to;
    message.biz_opaque_callback_data = draft.callback;
    message.category = category;
    message.error_code =
        world.script.take(Target::GraphStatus, body).map(|rule| rule.graph_code.unwrap_or(131_026));
    world.chats.append(&message.line, &message.wa_id, &message.id);
    world.messages.insert(message.clone());
    Ok(message)
}

fn accepted(message: &Message) -> Value {
    let mut contact = json!({ "input": message.to });
    match &message.user_id {
        Some(user_id) => contact["user_id"] = json!(user_id),
        None => contact["wa_id"] = json!(message.wa_id),
    }
    let mut sent = json!({ "id": message.id });
    if message.kind == "template" {
        sent["message_status"] = json!("accepted");
    }
    json!({ "messaging_product": "whatsapp", "contacts": [contact], "messages": [sent] })
}
