//! One webhook call: proof that the gateway calls, and events for the queue. The gateway signs nothing; it writes the
//! instance's token into the body, which is compared with ours and goes no further.

use chrono::{DateTime, Utc};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Map, Value, json};
use subtle::ConstantTimeEq as _;

use super::client::SOURCE;
use crate::channel::event::{ACCOUNT_GROUP, Bulk, Event, Jid, group, notice_key};
use crate::lenient::{flag, list, parse, text};

/// The body holds another token than the instance's, or none, or is no JSON at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the webhook token is missing or wrong")]
pub struct BadToken;

/// Members of the envelope that do not go along: the token, and what the gateway keeps of the chat for itself.
const LEFT_OUT: [&str; 2] = ["token", "BaseUrl"];

/// Makes events of a body that arrived `at`, if it carries the instance's token (compared in constant time). What is not
/// recognised comes out as a notice, whole: integrations that refused unknown shapes lost every status for hours.
///
/// # Errors
/// [`BadToken`]; also for an empty token of ours, which anybody could guess.
pub fn split(token: &SecretString, body: &[u8], at: DateTime<Utc>) -> Result<Vec<Event>, BadToken> {
    let whole = parse(&String::from_utf8_lossy(body)).map_err(|_| BadToken)?;
    let expected = token.expose_secret();
    let claimed = whole["token"].as_str().unwrap_or_default();
    let is_right: bool = claimed.as_bytes().ct_eq(expected.as_bytes()).into();
    if !is_right || expected.is_empty() {
        return Err(BadToken);
    }
    let Value::Object(mut members) = whole else { return Err(BadToken) };
    LEFT_OUT.iter().for_each(|name| drop(members.remove(*name)));
    let account = members.get("instanceName").and_then(Value::as_str).map(str::to_owned);
    let event = |key: String, group: String, members: &Map<String, Value>| {
        let mut members = members.clone();
        members.insert("received_at_ms".to_owned(), at.timestamp_millis().into());
        Event {
            key,
            group,
            accounts: account.iter().cloned().collect(),
            payload: Value::Object(members).to_string(),
        }
    };
    let whole = Value::Object(members.clone());
    let name = text(&whole, "EventType").unwrap_or_else(|| "unknown".to_owned());
    let chat = chat_group(&whole).unwrap_or_else(|| ACCOUNT_GROUP.to_owned());
    let events = match name.as_str() {
        "messages" => message_key(&whole["message"]).map(|key| {
            // The chat's own members are the gateway's CRM: large, and nobody reads them.
            let kept = without_chat(&members);
            vec![event(key, chat.clone(), &kept)]
        }),
        "messages_update" => {
            // Each names its own message: with the list of all of them, a report of a thousand would be a thousand lists.
            let mut kept = members.clone();
            if let Some(said) = kept.get_mut("event").and_then(Value::as_object_mut) {
                said.remove("MessageIDs");
            }
            let mut bulk = Bulk::of_body(body);
            let mut events = Vec::new();
            for (id, word) in updates(&whole) {
                kept.insert("about".to_owned(), json!({ "id": id, "status": word }));
                let event = event(format!("status:{id}:{word}"), chat.clone(), &kept);
                bulk.add(event.payload.len());
                events.push(event);
                if bulk.is_exceeded() {
                    break;
                }
            }
            (!events.is_empty() && !bulk.is_exceeded()).then_some(events)
        }
        // A state has no time: the same words may come again, and mean it again.
        "connection" => {
            let key = notice_key(&[&name, &at.timestamp_millis().to_string(), &whole.to_string()]);
            Some(vec![event(key, ACCOUNT_GROUP.to_owned(), &members)])
        }
        _ => None,
    };
    Ok(events.unwrap_or_else(|| vec![event(notice_key(&[&name, &whole.to_string()]), chat, &members)]))
}

fn message_key(message: &Value) -> Option<String> {
    let id = text(message, "messageid")?;
    Some(match (flag(message, "fromMe"), callback(message).is_some()) {
        // What we asked the gateway to send.
        (true, true) => format!("status:{id}:SentByApi"),
        (true, false) => format!("echo:{id}"),
        (false, _) => format!("message:{id}"),
    })
}

/// What we gave along with a message that we asked the gateway to send. Others may call it for the same number, and give
/// along words of theirs.
pub(super) fn callback(message: &Value) -> Option<String> {
    let is_ours = flag(message, "wasSentByApi") && text(message, "track_source").as_deref() == Some(SOURCE);
    text(message, "track_id").filter(|_| is_ours)
}

fn without_chat(members: &Map<String, Value>) -> Map<String, Value> {
    let mut kept = members.clone();
    if let Some(chat) = kept.remove("chat") {
        let of_customer = ["phone", "wa_chatid", "wa_chatlid", "wa_name"];
        let chat = of_customer.iter().filter_map(|name| Some(((*name).to_owned(), chat.get(*name)?.clone())));
        kept.insert("chat".to_owned(), Value::Object(chat.collect()));
    }
    kept
}

/// The messages that a report names, and how far they got: a list of ids, or one in the flat form.
fn updates(whole: &Value) -> Vec<(String, String)> {
    let event = &whole["event"];
    let word = text(event, "Type").or_else(|| text(whole, "state"));
    let ids = list(event, "MessageIDs").iter().filter_map(|id| id.as_str().map(str::to_owned));
    let of_list: Vec<_> =
        word.iter().flat_map(|word| ids.clone().map(move |id| (id, word.clone()))).collect();
    if !of_list.is_empty() {
        return of_list;
    }
    text(whole, "messageid").zip(text(whole, "status")).into_iter().collect()
}

/// The chat that it is of: a group, or the customer by number if it is known.
fn chat_group(whole: &Value) -> Option<String> {
    let (message, event) = (&whole["message"], &whole["event"]);
    let chat = text(message, "chatid").or_else(|| text(event, "Chat")).or_else(|| text(whole, "chatid"))?;
    let number = text(message, "sender_pn").or_else(|| text(event, "sender_pn"));
    match (Jid::parse(&chat)?, number.as_deref().and_then(Jid::parse)) {
        (Jid::Number(number), _) | (Jid::Lid(_), Some(Jid::Number(number))) => Some(group(&number)),
        (Jid::Lid(lid), _) => Some(group(&lid)),
        (Jid::Group(id), _) => Some(group(&id)),
        (Jid::Broadcast, _) => None,
    }
}
