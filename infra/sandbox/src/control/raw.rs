//! `POST /_sandbox/webhook`: signs any body and posts it once.

use super::*;

/// How the body is treated.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Treatment {
    phone_number_id: Option<String>,
    /// `valid` (default), `wrong`, `none`, or `sha1` (the legacy header).
    signature: Option<String>,
    /// Write text outside ASCII as `\uXXXX` and `/` as `\/`; default true.
    escape: Option<bool>,
}

/// Posts the body as it is, or escaped, and says what the product answered. Messages in it
/// become known, so that they can be marked as read and open the 24-hour window.
pub(crate) async fn post(
    State(sandbox): Shared,
    Query(treatment): Query<Treatment>,
    body: Bytes,
) -> Response {
    let line = sandbox.world().line(treatment.phone_number_id.as_deref()).cloned();
    let Some(line) = line else {
        return refuse(StatusCode::NOT_FOUND, "no such line");
    };
    let Ok(text) = std::str::from_utf8(&body) else {
        return refuse(StatusCode::UNPROCESSABLE_ENTITY, "the body is not UTF-8");
    };
    let text = if treatment.escape.unwrap_or(true) { sign::escape(text, true) } else { text.to_owned() };
    let headers = match treatment.signature.as_deref().unwrap_or("valid") {
        "valid" => webhooks::signed(&line, &text),
        "wrong" => BTreeMap::from([("x-hub-signature-256", sign::signature("wrong", b"wrong"))]),
        "none" => BTreeMap::new(),
        "sha1" => BTreeMap::from([("x-hub-signature", format!("sha1={}", "0".repeat(40)))]),
        other => {
            return refuse(
                StatusCode::UNPROCESSABLE_ENTITY,
                format!("signature is valid, wrong, none or sha1, not {other}"),
            );
        }
    };
    learn(&sandbox, &body);
    match webhooks::post(&sandbox, &line, &text, &headers).await {
        Ok(answer) => Json(answer).into_response(),
        Err(reason) => refuse(StatusCode::BAD_GATEWAY, reason),
    }
}

fn learn(sandbox: &Sandbox, body: &[u8]) {
    let payload: Value = serde_json::from_slice(body).unwrap_or_default();
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    for change in list(&payload["entry"]).iter().flat_map(|e| list(&e["changes"])) {
        let value = &change["value"];
        let line = value["metadata"]["phone_number_id"].as_str().unwrap_or_default();
        let name = value["contacts"][0]["profile"]["name"].as_str();
        for inbound in list(&value["messages"]) {
            let (Some(from), Some(id)) = (inbound["from"].as_str(), inbound["id"].as_str()) else {
                continue;
            };
            let mut guard = sandbox.world();
            let world = &mut *guard;
            if world.messages.get(id).is_some() {
                continue;
            }
            world.customers.remember(from, from, name, None);
            let kind = inbound["type"].as_str().unwrap_or("unknown");
            let content = inbound[kind].clone();
            let mut message = Message::new(line, from, Writer::Customer, kind, content);
            message.id = id.to_owned();
            inbound::note(world, message, None);
        }
    }
}
