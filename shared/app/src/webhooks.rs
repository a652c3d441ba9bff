//! Webhooks: whose is this call, is it genuine, and onto the queue with what it brings. Nothing here touches PostgreSQL:
//! a customer's message is taken also while the database is away.
//!
//! Rooms: [`meta`] the WhatsApp Cloud API · [`twilio`] SMS · [`gateway`] the gateways to WhatsApp.

pub mod gateway;
pub mod twilio;

use std::sync::Arc;
use std::time::Duration;

use cloud::queue::{MAX_MESSAGE_BYTES, QueueMessage};
use cloud::routes::WebhookRoute;
use cloud::seal::Sealed;
use domain::CompanyId;
use domain::connection::ConnectionKind;
use domain::job::{ENVELOPE_VERSION, InboundEnvelope};
use providers::channel::event::Event;
use providers::whatsapp_cloud;
use secrecy::SecretString;
use serde_json::value::RawValue;

use crate::error::{Error, Result, internal};
use crate::sealed::{self, Place};
use crate::{App, trace};

/// Room for the envelope's own fields around a payload.
const ENVELOPE_BYTES: usize = 4 * 1024;

/// The WhatsApp Cloud API's webhooks.
pub mod meta {
    use super::*;

    /// The route key of a slug.
    pub fn route_key(slug: &str) -> String {
        format!("meta#{slug}")
    }

    /// The route key of a number of a company: what another company says of a number is nothing to this one.
    pub fn number_key(company_id: CompanyId, phone_number_id: &str) -> String {
        format!("meta-number#{company_id}#{phone_number_id}")
    }

    /// Answers Meta's verification call (its raw query string): the challenge, when the token is this connection's.
    ///
    /// # Errors
    /// `NotFound` for an unknown slug, `Forbidden` for anything that is not a verification with our token.
    pub async fn verify(app: &App, slug: &str, query: &str) -> Result<String> {
        let route = find(app, &route_key(slug)).await?;
        let expected = open(app, &route, "verify_token", &route.verify_token).await?;
        if let Ok(challenge) = whatsapp_cloud::signature::verify_challenge(query, &expected) {
            return Ok(challenge);
        }
        // Meta calls right after the token was changed, while it is told of it, and takes one answer.
        let refused = || Error::Forbidden("subscribe this webhook");
        let now = app.routes.find_now(&route_key(slug)).await.map_err(internal)?;
        let now = now.filter(|now| now.verify_token != route.verify_token).ok_or_else(refused)?;
        let expected = open(app, &now, "verify_token", &now.verify_token).await?;
        whatsapp_cloud::signature::verify_challenge(query, &expected).map_err(|_| refused())
    }

    /// Takes a signed webhook call; how many events it brought. Once this returns `Ok`, all of them are durable.
    ///
    /// # Errors
    /// `NotFound` for an unknown slug, `Unauthenticated` for a missing or wrong signature, `Malformed` for a body
    /// that is no JSON object, `Internal` when an event could not be enqueued: the provider then sends all again,
    /// and what was enqueued already is recognised.
    pub async fn receive(app: &App, slug: &str, body: &[u8], signature: Option<&str>) -> Result<usize> {
        let route = find(app, &route_key(slug)).await?;
        let app_secret = open(app, &route, "app_secret", &route.app_secret).await?;
        whatsapp_cloud::signature::verify(&app_secret, body, signature)
            .map_err(|_| Error::Unauthenticated)?;
        let events =
            whatsapp_cloud::webhook::split(body).map_err(|error| Error::Malformed(error.to_string()))?;
        let count = events.len();
        let mut messages = Vec::with_capacity(count);
        for event in events {
            let owner = owner(app, &route, event.phone_number_id.as_deref()).await?;
            let event = Event {
                key: event.key,
                group: event.group,
                accounts: event.phone_number_id.into_iter().collect(),
                payload: event.payload,
            };
            let kind = ConnectionKind::WhatsappCloud;
            messages.push(message(app, kind, &route, owner.as_deref(), event).await?);
        }
        app.queues.send_batch(&app.settings.inbound_queue_url, messages).await.map_err(internal)?;
        Ok(count)
    }

    /// The connection that an event belongs to. One address may serve all numbers of a company, so the number in the
    /// event decides; `None` when it is none of this company's.
    async fn owner(
        app: &App,
        route: &Arc<WebhookRoute>,
        phone_number_id: Option<&str>,
    ) -> Result<Option<Arc<WebhookRoute>>> {
        let Some(number) = phone_number_id.filter(|number| route.provider_account.as_deref() != Some(number))
        else {
            return Ok(Some(route.clone()));
        };
        let key = number_key(route.company_id, number);
        let other = match app.routes.find(&key).await.map_err(internal)? {
            Some(known) => Some(known),
            // What is not there may have been made a moment ago, and its messages are not to be set aside.
            None => app.routes.find_now(&key).await.map_err(internal)?,
        };
        Ok(other.filter(|other| other.company_id == route.company_id))
    }
}

async fn open(app: &App, route: &WebhookRoute, field: &'static str, sealed: &Sealed) -> Result<SecretString> {
    sealed::open(app, sealed, &Place::route(route.company_id, &route.route_key, field)).await
}

async fn find(app: &App, route_key: &str) -> Result<Arc<WebhookRoute>> {
    app.routes.find(route_key).await.map_err(internal)?.ok_or(Error::NotFound("webhook"))
}

/// The route of a call, and what `check` makes of the call with the route's secret. A secret may have been changed a moment
/// ago, and not every provider asks again: what it does not fit is held against the secret as it is now, too.
async fn proved<T>(
    app: &App,
    route_key: &str,
    check: impl Fn(&SecretString) -> Option<T>,
) -> Result<(Arc<WebhookRoute>, T)> {
    let route = find(app, route_key).await?;
    if let Some(proved) = check(&open(app, &route, "app_secret", &route.app_secret).await?) {
        return Ok((route, proved));
    }
    let now = app.routes.find_now(route_key).await.map_err(internal)?.ok_or(Error::NotFound("webhook"))?;
    if now.app_secret == route.app_secret {
        return Err(Error::Unauthenticated);
    }
    let proved = check(&open(app, &now, "app_secret", &now.app_secret).await?);
    Ok((now, proved.ok_or(Error::Unauthenticated)?))
}

/// Puts the events of one account on the queue; how many there are. One that came to another account than the connection's
/// is kept, and not acted upon: whoever set two accounts to one address did not mean to mix their customers.
async fn enqueue(app: &App, route: &WebhookRoute, kind: ConnectionKind, events: Vec<Event>) -> Result<usize> {
    let count = events.len();
    let mut messages = Vec::with_capacity(count);
    for event in events {
        let own = route.provider_account.as_deref().is_none_or(|own| {
            event.accounts.is_empty() || event.accounts.iter().any(|account| account == own)
        });
        messages.push(message(app, kind, route, own.then_some(route), event).await?);
    }
    app.queues.send_batch(&app.settings.inbound_queue_url, messages).await.map_err(internal)?;
    Ok(count)
}

/// Wraps one event for the inbound queue; a large one goes to the bucket and a pointer on the queue. An event without
/// an `owner` is kept under the connection whose address it came to.
async fn message(
    app: &App,
    kind: ConnectionKind,
    route: &WebhookRoute,
    owner: Option<&WebhookRoute>,
    event: Event,
) -> Result<QueueMessage> {
    let now = app.clock.now();
    let kept_raw = owner.is_none().then(|| "other_number".to_owned());
    let route = owner.unwrap_or(route);
    let mut envelope = InboundEnvelope {
        v: ENVELOPE_VERSION,
        company_id: route.company_id,
        connection_id: route.connection_id,
        provider: kind.to_string(),
        key: event.key,
        received_at_ms: now.timestamp_millis(),
        trace: trace::current(),
        kept_raw,
        payload: None,
        overflow_key: None,
    };
    if event.payload.len() + ENVELOPE_BYTES > MAX_MESSAGE_BYTES {
        let object = format!("inbound/{}/{}", route.company_id, app.clock.new_id());
        app.overflow
            .put(&app.settings.overflow_bucket, &object, event.payload.into_bytes())
            .await
            .map_err(internal)?;
        envelope.overflow_key = Some(object);
    } else {
        envelope.payload = Some(RawValue::from_string(event.payload).map_err(internal)?);
    }
    Ok(QueueMessage {
        // Everything about one customer of one connection stays in order.
        group: Some(format!("{}-{}", route.connection_id, event.group)),
        deduplication: Some(format!("{}-{}", route.connection_id, envelope.key)),
        body: serde_json::to_string(&envelope).map_err(internal)?,
        delay: Duration::ZERO,
        attributes: Vec::new(),
    })
}
