//! The match from a connection to the client of its channel.

use db::connections::Connection;
use domain::CompanyScope;
use domain::connection::ConnectionKind;
use providers::channel::Channel;
use providers::whatsapp_cloud::{Credentials, Number, WhatsAppCloud};

use crate::App;
use crate::error::{Error, Result};
use crate::sealed::{self, Place};

/// Opens a connection's channel. `http` calls addresses that are ours to choose; a process may have to ask Secrets Manager,
/// so that no transaction should be open.
///
/// # Errors
/// `Poison` when the credentials do not open, or nothing speaks for this kind of connection yet.
pub(crate) async fn open(
    app: &App,
    scope: CompanyScope,
    connection: &Connection,
    http: &reqwest::Client,
) -> Result<Channel> {
    let place = Place::connection(scope.company_id(), connection.id, "access_token");
    let access_token = sealed::open_text(app, &connection.access_token, &place).await?;
    match connection.kind {
        ConnectionKind::WhatsappCloud => Ok(Channel::WhatsAppCloud(Number {
            client: WhatsAppCloud::new(&app.settings.graph_base_url, http.clone()),
            credentials: Credentials { phone_number_id: connection.provider_account.clone(), access_token },
        })),
        kind @ (ConnectionKind::WhatsappWeb
        | ConnectionKind::Evolution
        | ConnectionKind::Uazapi
        | ConnectionKind::TwilioSms
        | ConnectionKind::Retell) => Err(Error::Poison(anyhow::anyhow!("nothing speaks for {kind}"))),
    }
}
