//! The webhooks of gateways to WhatsApp: one address, `/{provider}/{slug}`, and each provider's own proof that it calls.

use domain::connection::ConnectionKind;
use providers::{evolution, uazapi};
use secrecy::SecretString;

use super::{enqueue, proved};
use crate::App;
use crate::error::{Error, Result};

/// The route key of a slug of a provider's.
pub fn route_key(provider: ConnectionKind, slug: &str) -> String {
    format!("{provider}#{slug}")
}

/// Takes a call of a provider; how many events it brought. Once this returns `Ok`, all of them are durable.
///
/// # Errors
/// `NotFound` for a provider that is no gateway and for an unknown slug, `Unauthenticated` for a missing or wrong proof,
/// `Malformed` for a body that is no webhook at all, `Internal` when an event could not be enqueued: gateways then send it
/// again, and what was enqueued already is recognised.
pub async fn receive(
    app: &App,
    provider: &str,
    slug: &str,
    body: &[u8],
    authorization: Option<&str>,
) -> Result<usize> {
    let unknown = || Error::NotFound("webhook");
    let kind: ConnectionKind = provider.parse().map_err(|_| unknown())?;
    let now = app.clock.now();
    let (route, events) = match kind {
        ConnectionKind::Evolution => {
            let check = |key: &SecretString| evolution::signature::verify(key, authorization, now).ok();
            let (route, ()) = proved(app, &route_key(kind, slug), check).await?;
            let events = evolution::webhook::split(body, now);
            (route, events.map_err(|error| Error::Malformed(error.to_string()))?)
        }
        ConnectionKind::Uazapi => {
            let check = |token: &SecretString| uazapi::webhook::split(token, body, now).ok();
            proved(app, &route_key(kind, slug), check).await?
        }
        ConnectionKind::WhatsappCloud
        | ConnectionKind::WhatsappWeb
        | ConnectionKind::TwilioSms
        | ConnectionKind::Retell => return Err(unknown()),
    };
    enqueue(app, &route, kind, events).await
}
