//! What the process is told by its environment.

use std::collections::HashMap;
use std::net::SocketAddr;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

/// One business phone number as Meta knows it, with the app it belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// `PNID`: the id in `POST /{PNID}/messages`.
    pub phone_number_id: String,
    /// The WhatsApp Business Account, `entry[].id` of its webhooks.
    pub waba_id: String,
    /// Digits of the business number, `metadata.display_phone_number`.
    pub display_phone: String,
    /// The name that customers see.
    pub verified_name: String,
    /// The only `Authorization: Bearer` value accepted for this line.
    pub access_token: String,
    /// Key of `X-Hub-Signature-256`.
    pub app_secret: String,
    /// `hub.verify_token` of the subscription handshake.
    pub verify_token: String,
    /// Where webhooks are posted. Without it they wait, as for a number nobody subscribed.
    pub webhook_url: Option<String>,
}

/// The product as an identity provider knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Application {
    /// Google's client id, Facebook's app id.
    pub client_id: String,
    /// The only secret accepted with it.
    pub client_secret: String,
}

/// Everything the sandbox needs to start.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where to listen. Port 0 takes a free one.
    pub address: SocketAddr,
    /// The line used whenever a request names none. More can be added at `/_sandbox/lines`.
    pub line: Line,
    /// The only OpenAI key accepted.
    pub openai_key: String,
    /// The only application that Google knows.
    pub google: Application,
    /// The only application that Facebook knows.
    pub facebook: Application,
}

impl Config {
    /// Reads `SANDBOX_*` from the environment.
    ///
    /// # Errors
    /// When `SANDBOX_ADDRESS` is no socket address or `SANDBOX_WEBHOOK_URL` no URL.
    pub fn from_env() -> anyhow::Result<Self> {
        let values: HashMap<String, String> = std::env::vars().collect();
        Self::from_values(&values)
    }

    /// The same from any source of values. An empty value counts as absent.
    ///
    /// # Errors
    /// As [`Config::from_env`].
    pub fn from_values(values: &HashMap<String, String>) -> anyhow::Result<Self> {
        let get = |name: &str| values.get(name).filter(|value| !value.is_empty()).cloned();
        let or = |name: &str, default: &str| get(name).unwrap_or_else(|| default.to_owned());
        let webhook_url = get("SANDBOX_WEBHOOK_URL");
        if let Some(address) = &webhook_url {
            url::Url::parse(address).context("SANDBOX_WEBHOOK_URL is not a URL")?;
        }
        Ok(Self {
            address: or("SANDBOX_ADDRESS", "127.0.0.1:8701")
                .parse()
                .context("SANDBOX_ADDRESS is not an address such as 127.0.0.1:8701")?,
            line: Line {
                phone_number_id: or("SANDBOX_PHONE_NUMBER_ID", "100000000000002"),
                waba_id: or("SANDBOX_WABA_ID", "100000000000001"),
                display_phone: or("SANDBOX_DISPLAY_PHONE", "16505550100"),
                verified_name: or("SANDBOX_BUSINESS_NAME", "Loja Demo"),
                access_token: or("SANDBOX_ACCESS_TOKEN", "sandbox-access-token"),
                app_secret: or("SANDBOX_APP_SECRET", "sandbox-app-secret"),
                verify_token: or("SANDBOX_VERIFY_TOKEN", "sandbox-verify-token"),
                webhook_url,
            },
            openai_key: or("SANDBOX_OPENAI_KEY", "sandbox"),
            google: Application {
                client_id: or("SANDBOX_GOOGLE_CLIENT_ID", "sandbox.apps.googleusercontent.com"),
                client_secret: or("SANDBOX_GOOGLE_CLIENT_SECRET", "sandbox-google-secret"),
            },
            facebook: Application {
                client_id: or("SANDBOX_FACEBOOK_APP_ID", "100000000000099"),
                client_secret: or("SANDBOX_FACEBOOK_APP_SECRET", "sandbox-facebook-secret"),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_environment_gives_the_documented_defaults() {
        let config = Config::from_values(&HashMap::new()).expect("defaults are valid");
        assert_eq!(config.address.to_string(), "127.0.0.1:8701");
        assert_eq!(config.line.display_phone, "16505550100");
        assert_eq!(config.line.webhook_url, None);
    }

    #[test]
    fn a_bad_address_is_refused_by_name() {
        let values = HashMap::from([("SANDBOX_ADDRESS".to_owned(), "here".to_owned())]);
        let error = Config::from_values(&values).expect_err("no address");
        assert!(error.to_string().contains("SANDBOX_ADDRESS"));
    }
}
