//! The match from a connection to the client of its channel, and what each channel takes.

use db::connections::Connection;
use domain::connection::ConnectionKind;
use domain::inbound::{Address, AddressKind};
use domain::message::MessageType;
use domain::{CompanyScope, sms};
use providers::channel::Channel;
use providers::whatsapp_cloud::{Credentials, Number, WhatsAppCloud};
use providers::{evolution, twilio, uazapi};
use secrecy::SecretString;
use serde_json::{Value, json};

use crate::App;
use crate::error::{Error, Result};
use crate::sealed::{self, Place};

/// Opens a connection's channel. `http` calls addresses that are ours to choose; those that customers gave are called with
/// the guarded client. A process may have to ask Secrets Manager, so that no transaction should be open.
///
/// # Errors
/// `Poison` when the credentials do not open, or nothing speaks for this kind of connection yet.
pub(crate) async fn open(
    app: &App,
    scope: CompanyScope,
    connection: &Connection,
    http: &reqwest::Client,
) -> Result<Channel> {
    let secret = secret(app, scope, connection, "access_token", &connection.access_token).await?;
    let setting = |name: &str| connection.settings[name].as_str().unwrap_or_default().to_owned();
    match connection.kind {
        ConnectionKind::WhatsappCloud => Ok(Channel::WhatsAppCloud(Number {
            client: WhatsAppCloud::new(&app.settings.graph_base_url, http.clone()),
            credentials: Credentials {
                phone_number_id: connection.provider_account.clone(),
                access_token: secret,
            },
        })),
        ConnectionKind::Evolution => Ok(Channel::Evolution(evolution::Instance {
            base_url: setting("base_url"),
            http: app.guarded_http()?.clone(),
            name: connection.provider_account.clone(),
            api_key: secret,
        })),
        ConnectionKind::Uazapi => Ok(Channel::Uazapi(uazapi::Instance {
            base_url: setting("base_url"),
            http: app.guarded_http()?.clone(),
            token: secret,
        })),
        ConnectionKind::TwilioSms => {
            let webhook = webhook_url(app, connection.kind, &connection.slug);
            Ok(Channel::Twilio(twilio::Sender {
                base_url: app.settings.twilio_base_url.clone(),
                http: http.clone(),
                account_sid: setting("account_sid"),
                auth_token: secret,
                from: connection.provider_account.clone(),
                status_callback: webhook.map(|url| format!("{url}/status")),
            }))
        }
        kind @ (ConnectionKind::WhatsappWeb | ConnectionKind::Retell) => {
            Err(Error::Poison(anyhow::anyhow!("nothing speaks for {kind}")))
        }
    }
}

/// Opens one of a connection's secrets.
///
/// # Errors
/// As [`sealed::open_text`].
pub(crate) async fn secret(
    app: &App,
    scope: CompanyScope,
    connection: &Connection,
    column: &'static str,
    sealed: &str,
) -> Result<SecretString> {
    sealed::open_text(app, sealed, &Place::connection(scope.company_id(), connection.id, column)).await
}

/// Where a connection's webhooks are received; Twilio's is followed by what it is about. `None` when this function was not
/// told.
pub(crate) fn webhook_url(app: &App, kind: ConnectionKind, slug: &str) -> Option<String> {
    let settings = &app.settings;
    let (base, provider) = match kind {
        ConnectionKind::WhatsappCloud => (&settings.meta_webhook_url, String::new()),
        ConnectionKind::TwilioSms => (&settings.twilio_webhook_url, String::new()),
        ConnectionKind::Evolution | ConnectionKind::Uazapi => {
            (&settings.gateway_webhook_url, format!("{kind}/"))
        }
        ConnectionKind::WhatsappWeb | ConnectionKind::Retell => return None,
    };
    let base = base.trim_end_matches('/');
    (!base.is_empty()).then(|| format!("{base}/{provider}{slug}"))
}

/// The address to begin a conversation with: the provider's own first, then the number that people use.
pub(crate) fn preferred(kind: ConnectionKind, addresses: impl Iterator<Item = Address>) -> Option<Address> {
    let ranks: &[AddressKind] = match kind {
        ConnectionKind::WhatsappCloud => &[AddressKind::WaId, AddressKind::E164, AddressKind::Bsuid],
        ConnectionKind::WhatsappWeb | ConnectionKind::Evolution | ConnectionKind::Uazapi => {
            &[AddressKind::WaId, AddressKind::E164, AddressKind::Lid]
        }
        ConnectionKind::TwilioSms | ConnectionKind::Retell => &[AddressKind::E164],
    };
    let ranked = addresses.filter_map(|address| {
        let rank = ranks.iter().position(|kind| *kind == address.kind)?;
        Some((rank, address))
    });
    ranked.min_by_key(|(rank, _)| *rank).map(|(_, address)| address)
}

/// Whether a channel sends messages of a type.
pub(crate) fn sends(kind: ConnectionKind, message_type: MessageType) -> bool {
    match message_type {
        MessageType::Text
        | MessageType::Image
        | MessageType::Video
        | MessageType::Audio
        | MessageType::Document => true,
        MessageType::Sticker | MessageType::Location | MessageType::Contacts | MessageType::Reaction => {
            kind != ConnectionKind::TwilioSms
        }
        MessageType::Template | MessageType::Interactive => kind == ConnectionKind::WhatsappCloud,
        MessageType::Button
        | MessageType::Note
        | MessageType::Order
        | MessageType::System
        | MessageType::Edit
        | MessageType::Revoke
        | MessageType::Unsupported => false,
    }
}

/// The longest text of one message, in characters.
pub(crate) fn longest_text(kind: ConnectionKind) -> usize {
    match kind {
        ConnectionKind::TwilioSms => sms::LONGEST,
        ConnectionKind::WhatsappCloud
        | ConnectionKind::WhatsappWeb
        | ConnectionKind::Evolution
        | ConnectionKind::Uazapi
        | ConnectionKind::Retell => providers::whatsapp_cloud::limits::TEXT,
    }
}

/// What stands beside a text of ours: of an SMS how many it is.
pub(crate) fn text_content(kind: ConnectionKind, text: &str) -> Option<Value> {
    (kind == ConnectionKind::TwilioSms).then(|| json!({ "sms": sms::segments(text) }))
}
