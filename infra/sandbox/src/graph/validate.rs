//! What Meta refuses before it accepts anything. Limits are those of the send-messages pages.

use serde_json::Value;

use super::error::GraphError;
use crate::number;

/// What `POST /{PNID}/messages` asks for.
#[derive(Debug)]
pub(crate) enum Request {
    Read { message_id: String, typing: bool },
    Send(Box<Draft>),
}

/// To whom.
#[derive(Debug)]
pub(crate) enum Recipient {
    /// Digits.
    Phone(String),
    /// Business-scoped user id.
    UserId(String),
}

/// A message that may be accepted.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) recipient: Recipient,
    /// `to` or `recipient`, as given.
    pub(crate) input: String,
    pub(crate) kind: String,
    pub(crate) content: Value,
    pub(crate) reply_to: Option<String>,
    pub(crate) callback: Option<String>,
}

type Checked<T = ()> = Result<T, GraphError>;

/// Reads and checks a body.
pub(crate) fn parse(body: &[u8]) -> Checked<Request> {
    let body: Value = serde_json::from_slice(body)
        .map_err(|error| GraphError::parameter(format!("Invalid JSON: {error}")))?;
    if body["messaging_product"] != "whatsapp" {
        return Err(required("messaging_product"));
    }
    if body["status"] == "read" {
        let message_id = text(&body, "message_id")?.to_owned();
        let typing = body["typing_indicator"]["type"] == "text";
        return Ok(Request::Read { message_id, typing });
    }
    draft(&body).map(|draft| Request::Send(Box::new(draft)))
}

fn draft(body: &Value) -> Checked<Draft> {
    let (recipient, input) = recipient(body)?;
    let kind = body["type"].as_str().unwrap_or("text");
    let content = &body[kind];
    if content.is_null() {
        return Err(required(kind));
    }
    let content = content.clone();
    match kind {
        "text" => within(text(&content, "body")?, "text['body']", 4096)?,
        "image" | "video" | "document" | "audio" | "sticker" => media(kind, &content)?,
        "interactive" => interactive(&content)?,
        "location" => location(&content)?,
        "contacts" => contacts(&content)?,
        "reaction" => {
            text(&content, "message_id")?;
            if !content["emoji"].is_string() {
                return Err(required("reaction['emoji']"));
            }
        }
        // Filled in where the account is known.
        "template" => {}
        other => {
            return Err(GraphError::parameter(format!(
                "Param type must be one of {{AUDIO, CONTACTS, DOCUMENT, IMAGE, INTERACTIVE, \
                 LOCATION, REACTION, STICKER, TEMPLATE, TEXT, VIDEO}} - got \"{other}\"."
            )));
        }
    }
    let callback = body["biz_opaque_callback_data"].as_str();
    if let Some(callback) = callback {
        within(callback, "biz_opaque_callback_data", 512)?;
    }
    Ok(Draft {
        recipient,
        input,
        kind: kind.to_owned(),
        content,
        reply_to: body["context"]["message_id"].as_str().map(str::to_owned),
        callback: callback.map(str::to_owned),
    })
}

/// `to` wins over `recipient` when both are given.
fn recipient(body: &Value) -> Checked<(Recipient, String)> {
    if let Some(to) = body["to"].as_str().filter(|to| !to.is_empty()) {
        let digits = number::digits(to)
            .ok_or_else(|| GraphError::of_code(131_009).details("Param to is not a valid phone number"))?;
        return Ok((Recipient::Phone(digits), to.to_owned()));
    }
    match body["recipient"].as_str().filter(|id| !id.is_empty()) {
        Some(id) => Ok((Recipient::UserId(id.to_owned()), id.to_owned())),
        None => Err(required("to")),
    }
}

fn media(kind: &str, content: &Value) -> Checked {
    let has = |name: &str| content[name].as_str().is_some_and(|value| !value.is_empty());
    if has("id") == has("link") {
        return Err(GraphError::parameter(format!("Param {kind} must have exactly one of id and link.")));
    }
    if has("link") && !content["link"].as_str().is_some_and(|l| l.starts_with("http")) {
        return Err(GraphError::parameter(format!("Param {kind}['link'] is not a valid URL.")));
    }
    match content["caption"].as_str() {
        Some(_) if matches!(kind, "audio" | "sticker") => {
            Err(GraphError::parameter(format!("Unexpected key \"caption\" on param \"{kind}\".")))
        }
        Some(caption) => within(caption, &format!("{kind}['caption']"), 1024),
        None => Ok(()),
    }
}

fn interactive(content: &Value) -> Checked {
    let kind = text(content, "type")?;
    let body = content["body"]["text"].as_str().unwrap_or_default();
    if body.is_empty() {
        return Err(required("interactive['body']['text']"));
    }
    let limit = if kind == "list" { 4096 } else { 1024 };
    within(body, "interactive['body']['text']", limit)?;
    if let Some(footer) = content["footer"]["text"].as_str() {
        within(footer, "interactive['footer']['text']", 60)?;
    }
    match kind {
        "button" => buttons(&content["action"]),
        "list" => list(&content["action"]),
        "cta_url" => {
            let parameters = &content["action"]["parameters"];
            text(parameters, "display_text").and(text(parameters, "url")).map(drop)
        }
        _ => Ok(()),
    }
}

fn buttons(action: &Value) -> Checked {
    let buttons = array(action, "buttons")?;
    if !(1..=3).contains(&buttons.len()) {
        return Err(GraphError::parameter(
            "Invalid buttons count. Min allowed buttons: 1, Max allowed buttons: 3",
        ));
    }
    let mut seen = Vec::new();
    for button in buttons {
        let id = text(&button["reply"], "id")?;
        let title = text(&button["reply"], "title")?;
        within(id, "button['reply']['id']", 256)?;
        within(title, "button['reply']['title']", 20)?;
        if seen.contains(&id) || seen.contains(&title) {
            return Err(GraphError::of_code(131_009).details("Button ids and titles are unique"));
        }
        seen.push(id);
        if title != id {
            seen.push(title);
        }
    }
    Ok(())
}

fn list(action: &Value) -> Checked {
    within(text(action, "button")?, "interactive['action']['button']", 20)?;
    let sections = array(action, "sections")?;
    if !(1..=10).contains(&sections.len()) {
        return Err(GraphError::of_code(131_009).details("A list has 1 to 10 sections"));
    }
    let mut total = 0;
    for section in sections {
        match section["title"].as_str() {
            Some(title) => within(title, "section['title']", 24)?,
            None if sections.len() > 1 => return Err(required("section['title']")),
            None => {}
        }
        let rows = array(section, "rows")?;
        total += rows.len();
        for row in rows {
            within(text(row, "id")?, "row['id']", 200)?;
            within(text(row, "title")?, "row['title']", 24)?;
            within(row["description"].as_str().unwrap_or_default(), "row['description']", 72)?;
        }
    }
    if !(1..=10).contains(&total) {
        return Err(GraphError::of_code(131_009)
            .details(format!("Total row count exceed max allowed count: 10 (got {total})")));
    }
    Ok(())
}

fn location(content: &Value) -> Checked {
    for name in ["latitude", "longitude"] {
        let value = &content[name];
        let number = value.as_f64().or_else(|| value.as_str().and_then(|text| text.parse().ok()));
        if number.is_none_or(|degrees: f64| degrees.abs() > 180.0) {
            return Err(required(&format!("location['{name}']")));
        }
    }
    Ok(())
}

fn contacts(content: &Value) -> Checked {
    let contacts = content.as_array().filter(|contacts| !contacts.is_empty());
    for contact in contacts.ok_or_else(|| required("contacts"))? {
        text(&contact["name"], "formatted_name")?;
    }
    Ok(())
}

fn required(name: &str) -> GraphError {
    GraphError::parameter(format!("The parameter {name} is required."))
}

fn text<'v>(value: &'v Value, name: &str) -> Checked<&'v str> {
    value[name].as_str().filter(|text| !text.is_empty()).ok_or_else(|| required(name))
}

fn array<'v>(value: &'v Value, name: &str) -> Checked<&'v Vec<Value>> {
    value[name].as_array().ok_or_else(|| required(name))
}

fn within(value: &str, name: &str, limit: usize) -> Checked {
    if value.chars().count() > limit {
        return Err(GraphError::parameter(format!("Param {name} must be at most {limit} characters long.")));
    }
    Ok(())
}
