//! The page that is a customer's phone, and what it asks for.
//!
//! What the customer does goes through `/_sandbox/inbound`, the same door that tests use.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::{Multipart, Path, Query, State};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use futures::{Stream, StreamExt as _};
use http::{StatusCode, header};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::broadcast::error::RecvError;

use crate::control::refuse;
use crate::graph::{media, progress};
use crate::number;
use crate::world::messages::{Message, Stage, Writer};
use crate::world::{Sandbox, World};

type Shared = State<Arc<Sandbox>>;

const PAGE: &str = include_str!("assets/phone.html");
const FILES: &[(&str, &str, &str)] = &[
    ("phone.css", "text/css; charset=utf-8", include_str!("assets/phone.css")),
    ("bubbles.css", "text/css; charset=utf-8", include_str!("assets/bubbles.css")),
    ("phone.js", "text/javascript; charset=utf-8", include_str!("assets/phone.js")),
    ("bubbles.js", "text/javascript; charset=utf-8", include_str!("assets/bubbles.js")),
    ("words.js", "text/javascript; charset=utf-8", include_str!("assets/words.js")),
    ("icon.svg", "image/svg+xml", include_str!("assets/icon.svg")),
];

/// The page and its own requests.
pub(crate) fn routes() -> Router<Arc<Sandbox>> {
    Router::new()
        .route("/", get(page))
        .route("/phone/{file}", get(file))
        .route("/phone/events", get(events))
        .route("/phone/api/state", get(state))
        .route("/phone/api/customers", post(customer))
        .route("/phone/api/read", post(read))
        .route("/phone/api/media", post(upload))
        .route("/phone/media/{id}", get(attachment))
}

async fn page() -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CACHE_CONTROL, "no-cache"),
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; \
             base-uri 'none'; form-action 'none'",
        ),
    ];
    (headers, PAGE).into_response()
}

async fn file(Path(name): Path<String>) -> Response {
    match FILES.iter().find(|file| file.0 == name) {
        Some((_, content_type, text)) => {
            let headers = [(header::CONTENT_TYPE, *content_type), (header::CACHE_CONTROL, "no-cache")];
            (headers, *text).into_response()
        }
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

/// The business, the customers with their last message, one chat, and how delivery goes.
async fn state(State(sandbox): Shared, Query(asked): Query<HashMap<String, String>>) -> Response {
    let world = sandbox.world();
    let line_id = asked.get("phone_number_id").map(String::as_str);
    let Some(line) = world.line(line_id) else {
        return refuse(StatusCode::NOT_FOUND, "no such line");
    };
    let wa_id = asked
        .get("customer")
        .and_then(|typed| number::digits(typed))
        .map(|digits| world.customers.resolve(&digits));
    let chat = wa_id.as_ref().and_then(|id| world.chats.get(&line.phone_number_id, id));
    let messages: Vec<&Message> =
        chat.map(|chat| visible(&world, chat.messages.iter()).collect()).unwrap_or_default();
    let mut customers: Vec<Value> = world
        .customers
        .all()
        .filter_map(|customer| {
            let chat = world.chats.get(&line.phone_number_id, &customer.wa_id);
            let newest: Vec<&Message> = chat
                .map(|chat| visible(&world, chat.messages.iter().rev()).take(50).collect())
                .unwrap_or_default();
            let unread = newest
                .iter()
                .filter(|message| message.writer == Writer::Business && message.stage == Stage::Delivered);
            let mut shown = json!(customer);
            shown["unread"] = json!(unread.count());
            shown["last_message"] = json!(newest.first());
            // People the business wrote to in vain have no phone worth opening.
            (chat.is_none() || !newest.is_empty()).then_some(shown)
        })
        .collect();
    customers.sort_by_key(|c| std::cmp::Reverse(c["last_message"]["at_ms"].as_i64()));
    customers.truncate(200);
    Json(json!({
        "business": {
            "name": line.verified_name,
            "phone": crate::graph::spelled(&line.display_phone),
            "phone_number_id": line.phone_number_id,
        },
        "wa_id": wa_id,
        "customers": customers,
        "messages": messages,
        "typing_until_ms": chat.map_or(0, |chat| chat.typing_until_ms),
        "delivery": world.outbound.state,
    }))
    .into_response()
}

fn visible<'w>(world: &'w World, ids: impl Iterator<Item = &'w String>) -> impl Iterator<Item = &'w Message> {
    ids.filter_map(|id| world.messages.get(id))
        .filter(|message| message.visible && message.kind != "reaction")
}

#[derive(Deserialize)]
struct NewCustomer {
    phone: String,
    #[serde(default)]
    name: Option<String>,
}

/// Takes a phone in hand: a new customer, or a new name for one.
async fn customer(State(sandbox): Shared, Json(asked): Json<NewCustomer>) -> Response {
    let Some(digits) = number::digits(&asked.phone) else {
        return refuse(StatusCode::UNPROCESSABLE_ENTITY, "phone is not a phone number");
    };
    let mut world = sandbox.world();
    let wa_id = world.customers.resolve(&digits);
    let name = asked.name.as_deref().filter(|name| !name.is_empty());
    Json(world.customers.remember(&wa_id, &digits, name, None)).into_response()
}

#[derive(Deserialize)]
struct Reading {
    customer: String,
    #[serde(default)]
    phone_number_id: Option<String>,
}

/// The chat is open in front of the customer.
async fn read(State(sandbox): Shared, Json(asked): Json<Reading>) -> Response {
    let found = {
        let world = sandbox.world();
        let line = world.line(asked.phone_number_id.as_deref());
        let line = line.map(|line| line.phone_number_id.clone());
        let digits = number::digits(&asked.customer);
        line.zip(digits.map(|digits| world.customers.resolve(&digits)))
    };
    let Some((line, wa_id)) = found else {
        return refuse(StatusCode::NOT_FOUND, "no such line or customer");
    };
    let read = progress::read_chat(&sandbox, &line, &wa_id);
    Json(json!({ "read": read })).into_response()
}

/// A picture, sound or document that the customer attaches, before it is sent.
async fn upload(State(sandbox): Shared, mut form: Multipart) -> Response {
    while let Ok(Some(field)) = form.next_field().await {
        if field.name() != Some("file") {
            continue;
        }
        let mime_type = field.content_type().unwrap_or_default().to_owned();
        let filename = field.file_name().map(str::to_owned);
        let Ok(bytes) = field.bytes().await else {
            return refuse(StatusCode::BAD_REQUEST, "the file could not be read");
        };
        if media::check(&mime_type, bytes.len()).is_err() {
            return refuse(
                StatusCode::UNPROCESSABLE_ENTITY,
                "WhatsApp does not take files of this type or size",
            );
        }
        let id = sandbox.world().media.insert(&mime_type, filename, bytes).id;
        return Json(json!({ "id": id, "mime_type": mime_type })).into_response();
    }
    refuse(StatusCode::UNPROCESSABLE_ENTITY, "the field file is missing")
}

async fn attachment(State(sandbox): Shared, Path(id): Path<String>) -> Response {
    let media = sandbox.world().media.get(&id).cloned();
    match media {
        Some(media) => {
            let headers = [
                (header::CONTENT_TYPE, media.mime_type),
                (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
            ];
            (headers, media.bytes).into_response()
        }
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

/// Everything that happens, as it happens. A page that fell behind is told to start over.
async fn events(State(sandbox): Shared) -> Sse<impl Stream<Item = Result<Event, Infallible>> + use<>> {
    let receiver = sandbox.events.subscribe();
    let first = futures::stream::once(async { Event::default().data("{\"kind\":\"hello\"}") });
    let rest = futures::stream::unfold(receiver, |mut receiver| async move {
        match receiver.recv().await {
            Ok(event) => Some((Event::default().data(event.to_string()), receiver)),
            Err(RecvError::Lagged(_)) => Some((Event::default().data("{\"kind\":\"reset\"}"), receiver)),
            Err(RecvError::Closed) => None,
        }
    });
    Sse::new(first.chain(rest).map(Ok)).keep_alive(KeepAlive::default())
}
