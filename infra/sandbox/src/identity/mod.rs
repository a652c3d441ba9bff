//! Google and Facebook as identity providers, under `/google` and `/facebook`: a page that asks who logs in, codes that
//! work once, tokens. With `login_hint` (a subject or an address) or the setting `identity.continue_as` nobody is asked,
//! so that a test can follow the redirects.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http::{HeaderMap, StatusCode, header};
use url::Url;

use crate::script::Target;
use crate::world::Sandbox;
use crate::world::identity::{Account, Grant, Provider};

mod facebook;
pub(crate) mod fault;
mod google;
pub(crate) mod keys;
mod page;

use fault::Fault;

/// Every route of both. Facebook's exist with and without a version, as the real ones do.
pub(crate) fn routes() -> Router<Arc<Sandbox>> {
    let facebook = || {
        Router::new()
            .route("/dialog/oauth", get(facebook::dialog))
            .route("/oauth/access_token", get(facebook::token_by_query).post(facebook::token))
            .route("/me", get(facebook::me))
    };
    Router::new()
        .route("/google/.well-known/openid-configuration", get(google::discovery))
        .route("/google/o/oauth2/v2/auth", get(google::authorise))
        .route("/google/token", post(google::token))
        .route("/google/certs", get(google::certs))
        .nest("/facebook", facebook())
        .nest("/facebook/{version}", facebook())
}

/// The answer to an `oauth_error` of a script: where a person is asked, they are sent back with it.
pub(crate) fn scripted(target: Target, error: &str, request: &[u8]) -> Response {
    let asked = Asked::read(request);
    match target {
        Target::GoogleAuth => google::send_back_without(&asked, error),
        Target::FacebookDialog => facebook::send_back_without(&asked, error),
        Target::FacebookToken | Target::FacebookMe | Target::GraphSignup => {
            facebook::error_named(error).into_response()
        }
        Target::GoogleToken
        | Target::GoogleCerts
        | Target::GraphMessages
        | Target::GraphMedia
        | Target::GraphTemplates
        | Target::GraphStatus
        | Target::OpenAiChat
        | Target::OpenAiEmbeddings
        | Target::Twilio
        | Target::Evolution
        | Target::Uazapi
        | Target::Webhook => Fault::named(error).into_response(),
    }
}

/// A query or a form.
struct Asked(HashMap<String, String>);

impl Asked {
    fn read(encoded: &[u8]) -> Self {
        Self(url::form_urlencoded::parse(encoded).into_owned().collect())
    }

    /// Empty is absent.
    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    fn owned(&self, name: &str) -> Option<String> {
        self.get(name).map(str::to_owned)
    }

    /// Where the browser is to come back to, if that is a web address.
    fn redirect_uri(&self) -> Option<Url> {
        let url = Url::parse(self.get("redirect_uri")?).ok()?;
        matches!(url.scheme(), "http" | "https").then_some(url)
    }

    /// The redirect address with these parameters behind it.
    fn back(&self, parameters: &[(&str, &str)]) -> Option<Url> {
        let mut url = self.redirect_uri()?;
        url.query_pairs_mut().extend_pairs(parameters);
        Some(url)
    }
}

/// Who logs in without being asked.
fn chosen(sandbox: &Sandbox, provider: Provider, asked: &Asked) -> Option<Account> {
    let world = sandbox.world();
    let setting = match provider {
        Provider::Google => &world.settings.identity.continue_as.google,
        Provider::Facebook => &world.settings.identity.continue_as.facebook,
    };
    let wanted = asked.get("login_hint").or(setting.as_deref())?;
    world.identities.find(provider, wanted).cloned()
}

/// Asks who logs in.
fn question(
    sandbox: &Sandbox,
    provider: Provider,
    asked: &Asked,
    headers: &HeaderMap,
    cancelled: &Url,
) -> Response {
    page::ask(provider, sandbox.world().identities.accounts(), &asked.0, headers, cancelled)
}

/// Remembers what was agreed to, under a new code.
fn agree(sandbox: &Sandbox, code: String, grant: Grant) -> String {
    sandbox.world().identities.issue_code(code.clone(), grant);
    code
}

fn redirect(to: &Url) -> Response {
    (StatusCode::FOUND, [(header::LOCATION, to.as_str()), (header::CACHE_CONTROL, "no-store")])
        .into_response()
}
