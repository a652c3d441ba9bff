//! What functions are fed: webhook calls as Meta signs them and a function URL wraps them, and batches of the inbound
//! queue as its event source mapping brings them.

use bytes::Bytes;
use domain::inbound::InboundEvent;
use domain::job::InboundEnvelope;
use domain::{CompanyId, ConnectionId};
use providers::whatsapp_cloud::{normalise, signature, webhook};
use secrecy::SecretString;
use serde_json::value::RawValue;
use serde_json::{Value, json};

/// The business number that everything comes to.
pub(crate) const PHONE_NUMBER_ID: &str = "100000000000002";
/// The account that the number belongs to.
pub(crate) const ACCOUNT_ID: &str = "100000000000001";
/// The place of the webhook's address that tells whose it is.
pub(crate) const SLUG: &str = "bench";

/// The most that one batch of a FIFO queue holds.
pub(crate) const BATCH: usize = 10;

/// 2026-01-10; every event has its own second after that.
const FIRST_SECOND: u64 = 1_768_053_600;

/// One message of a customer.
#[derive(Clone, Copy)]
pub(crate) struct Message {
    /// Which customer.
    pub(crate) customer: u64,
    /// Which message; names its provider id.
    pub(crate) number: u64,
}

/// One report about a message that we sent.
#[derive(Clone)]
pub(crate) struct Status {
    /// The provider's id of the message.
    pub(crate) provider_message_id: String,
    /// `sent`, `delivered`, `read`.
    pub(crate) status: &'static str,
    /// Second of the report, counted from the first event.
    pub(crate) second: u64,
}

/// Where the events of a queue belong.
#[derive(Clone, Copy)]
pub(crate) struct Home {
    /// The company.
    pub(crate) company_id: CompanyId,
    /// Its connection.
    pub(crate) connection_id: ConnectionId,
}

/// A webhook's body with these messages, all in one change, as Meta batches them.
pub(crate) fn messages_body(messages: &[Message]) -> Vec<u8> {
    let contacts: Vec<_> = messages
        .iter()
        .map(|message| {
            let name = format!("Cliente {}", message.customer);
            json!({"profile": {"name": name}, "wa_id": wa_id(message.customer)})
        })
        .collect();
    let listed: Vec<_> = messages
        .iter()
        .map(|message| {
            json!({
                "from": wa_id(message.customer),
                "id": format!("wamid.HBgNNTUxMTkBENCH{:020}", message.number),
                "timestamp": (FIRST_SECOND + message.number).to_string(),
                "type": "text",
                "text": {"body": "Olá! Vocês ainda têm o vestido azul no tamanho M? Queria buscar amanhã cedo."}
            })
        })
        .collect();
    body(json!({"contacts": contacts, "messages": listed}))
}

/// A webhook's body with these reports.
pub(crate) fn statuses_body(statuses: &[Status]) -> Vec<u8> {
    let listed: Vec<_> = statuses
        .iter()
        .map(|status| {
            json!({
                "id": status.provider_message_id,
                "status": status.status,
                "timestamp": (FIRST_SECOND + status.second).to_string(),
                "recipient_id": wa_id(status.second),
                "pricing": {"billable": true, "pricing_model": "PMP", "type": "regular", "category": "marketing"}
            })
        })
        .collect();
    body(json!({"statuses": listed}))
}

fn body(mut value: Value) -> Vec<u8> {
    value["messaging_product"] = json!("whatsapp");
    value["metadata"] = json!({"display_phone_number": "551130000000", "phone_number_id": PHONE_NUMBER_ID});
    let change = json!({"field": "messages", "value": value});
    json!({"object": "whatsapp_business_account", "entry": [{"id": ACCOUNT_ID, "changes": [change]}]})
        .to_string()
        .into_bytes()
}

/// A Brazilian mobile number, one a customer.
fn wa_id(customer: u64) -> String {
    format!("55119{}", 80_000_000 + customer % 20_000_000)
}

/// The function URL's event (payload format 2.0) of a signed POST of `body`.
pub(crate) fn function_url_event(app_secret: &SecretString, body: &[u8]) -> Bytes {
    let signature = signature::sign(app_secret, body);
    api_event("POST", &format!("/{SLUG}"), &[("x-hub-signature-256", &signature)], body)
}

/// The event (payload format 2.0) of an HTTP request.
pub(crate) fn api_event(method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Bytes {
    let host = "bench.lambda-url.us-east-1.on.aws";
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let mut event = json!({
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": query,
        "headers": {
            "content-length": body.len().to_string(),
            "x-amzn-tls-cipher-suite": "TLS_AES_128_GCM_SHA256",
            "x-amzn-tls-version": "TLSv1.3",
            "x-amzn-trace-id": "Root=1-5eb33c07-de25b420912dee103a5db434",
            "x-forwarded-proto": "https",
            "host": host,
            "x-forwarded-port": "443",
            "content-type": "application/json",
            "x-forwarded-for": "173.252.87.10",
            "accept": "*/*",
            "user-agent": "facebookexternalua"
        },
        "requestContext": {
            "accountId": "anonymous",
            "apiId": "bench",
            "domainName": host,
            "domainPrefix": "bench",
            "http": {
                "method": method,
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": "173.252.87.10",
                "userAgent": "facebookexternalua"
            },
            "requestId": "00000000-0000-4000-8000-000000000000",
            "routeKey": "$default",
            "stage": "$default",
            "time": "10/Jan/2026:14:00:00 +0000",
            "timeEpoch": FIRST_SECOND * 1000
        },
        "body": String::from_utf8_lossy(body),
        "isBase64Encoded": false
    });
    for (name, value) in headers {
        event["headers"][*name] = json!(value);
    }
    event.to_string().into()
}

/// The event of an inbound queue's batch: the events of a webhook body, as the webhook function puts them there.
///
/// # Errors
/// When the body is no webhook, or brings events that nobody acts upon: then nothing worth measuring is fed.
pub(crate) fn queue_event(home: Home, body: &[u8]) -> anyhow::Result<Bytes> {
    let events = webhook::split(body)?;
    let mut records = Vec::with_capacity(events.len());
    for event in events {
        let understood = normalise::normalise(&event.payload);
        anyhow::ensure!(
            matches!(understood, InboundEvent::Message(_) | InboundEvent::Status(_)),
            "the bench feeds an event that is not understood: {understood:?}"
        );
        records.push(record(home, event)?);
    }
    Ok(json!({"Records": records}).to_string().into())
}

fn record(home: Home, event: webhook::SplitEvent) -> anyhow::Result<Value> {
    let group = format!("{}-{}", home.connection_id, event.group);
    let deduplication = format!("{}-{}", home.connection_id, event.key);
    let envelope = InboundEnvelope {
        v: 1,
        company_id: home.company_id,
        connection_id: home.connection_id,
        provider: "whatsapp_cloud".to_owned(),
        key: event.key,
        received_at_ms: i64::try_from(FIRST_SECOND * 1000)?,
        trace: Some("00-5eb33c07de25b420912dee103a5db434-53995c3f42cd8ad8-01".to_owned()),
        kept_raw: None,
        payload: Some(RawValue::from_string(event.payload)?),
        overflow_key: None,
    };
    Ok(json!({
        "messageId": deduplication,
        "receiptHandle": "AQEBbench",
        "body": serde_json::to_string(&envelope)?,
        "attributes": {
            "ApproximateReceiveCount": "1",
            "SentTimestamp": (FIRST_SECOND * 1000).to_string(),
            "SenderId": "AROABENCH:webhook-meta",
            "ApproximateFirstReceiveTimestamp": (FIRST_SECOND * 1000).to_string(),
            "MessageGroupId": group,
            "MessageDeduplicationId": deduplication,
            "SequenceNumber": "18870000000000000001"
        },
        "messageAttributes": {},
        "md5OfBody": "d41d8cd98f00b204e9800998ecf8427e",
        "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:us-east-1:000000000000:inbound.fifo",
        "awsRegion": "us-east-1"
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    const HOME: Home = Home { company_id: CompanyId(Uuid::nil()), connection_id: ConnectionId(Uuid::nil()) };

    #[test]
    fn a_body_becomes_as_many_records_as_it_has_events() {
        let messages: Vec<_> = (0..10).map(|number| Message { customer: number, number }).collect();
        let statuses: Vec<_> = (0..10)
            .map(|second| Status {
                provider_message_id: format!("wamid.{second}"),
                status: "delivered",
                second,
            })
            .collect();
        for body in [messages_body(&messages), statuses_body(&statuses)] {
            let event = queue_event(HOME, &body).expect("understood");
            let event: Value = serde_json::from_slice(&event).expect("JSON");
            assert_eq!(event["Records"].as_array().map(Vec::len), Some(10));
        }
    }

    #[test]
    fn the_signature_is_over_the_body_that_is_sent() {
        let secret = SecretString::from("secret");
        let body = messages_body(&[Message { customer: 1, number: 1 }]);
        let event: Value = serde_json::from_slice(&function_url_event(&secret, &body)).expect("JSON");
        let (sent, header) = (event["body"].as_str(), event["headers"]["x-hub-signature-256"].as_str());
        assert!(signature::verify(&secret, sent.expect("a body").as_bytes(), header).is_ok());
    }
}
