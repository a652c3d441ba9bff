//! Twilio's webhooks: customers' SMS and MMS, and reports on ours.

use domain::connection::ConnectionKind;
use providers::twilio::signature;
use providers::twilio::webhook::{self, About};
use secrecy::SecretString;

use super::{enqueue, proved};
use crate::App;
use crate::error::{Error, Result};

/// The route key of a slug.
pub fn route_key(slug: &str) -> String {
    format!("twilio#{slug}")
}

/// One call, as it came.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// The path and query below the function's own address: `/<slug>/messages?…`.
    pub path_and_query: &'a str,
    /// The host that the platform says was called. It counts where the installation does not say how it is reached.
    pub host: Option<&'a str>,
    /// The body is a form.
    pub is_form: bool,
    /// The body.
    pub body: &'a [u8],
    /// `X-Twilio-Signature`.
    pub signature: Option<&'a str>,
    /// What a report's address says of its message.
    pub callback: Option<&'a str>,
}

/// Takes a signed call; how many events it brought. Once this returns `Ok`, all of them are durable.
///
/// What is signed is the public address: that of the configuration, or the one that the platform says was called. Headers
/// of proxies are not believed.
///
/// # Errors
/// `NotFound` for an unknown slug, `Unauthenticated` for a missing or wrong signature, `Internal` when an event could not
/// be enqueued: Twilio's fallback or its retry brings it again, and what was enqueued already is recognised.
pub async fn receive(app: &App, slug: &str, about: About, call: Call<'_>) -> Result<usize> {
    let origin = match (app.settings.twilio_webhook_url.trim_end_matches('/'), call.host) {
        ("", Some(host)) => format!("https://{host}"),
        ("", None) => return Err(Error::Unauthenticated),
        (configured, _) => configured.to_owned(),
    };
    let url = format!("{origin}{}", call.path_and_query);
    let check = |auth_token: &SecretString| {
        signature::verify(auth_token, &url, call.is_form, call.body, call.signature).ok()
    };
    let (route, ()) = proved(app, &route_key(slug), check).await?;
    if !call.is_form {
        return Err(Error::Malformed("not a form".to_owned()));
    }
    let events = webhook::split(about, call.body, call.callback, app.clock.now());
    enqueue(app, &route, ConnectionKind::TwilioSms, events).await
}
