//! What each kind of account is made of: which fields people give, which of them are secret, and where they are kept.

use std::borrow::Cow;

use db::connections::Connection;
use domain::connection::ConnectionKind;
use domain::phone;
use providers::guard::Refused;
use reqwest::Url;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::App;
use crate::auth::{hash_secret, new_secret};
use crate::error::{Error, Result};

/// The longest value of a field, in characters.
const CHARS: usize = 4_096;

/// Letters of the hash that stands for a UAZapi instance.
const HASH_CHARS: usize = 32;

/// What people give of an account, by the names of the API. Each kind has its own; see [`FIELDS`].
#[derive(Clone, Debug, Default)]
pub struct Given {
    /// WhatsApp Cloud API: Meta's id of the number.
    pub phone_number_id: Option<String>,
    /// WhatsApp Cloud API: the WhatsApp Business Account.
    pub waba_id: Option<String>,
    /// WhatsApp Cloud API: a system user's or business token.
    pub access_token: Option<SecretString>,
    /// WhatsApp Cloud API: the key of webhook signatures.
    pub app_secret: Option<SecretString>,
    /// WhatsApp Cloud API: what Meta repeats when it asks whether the webhook is ours.
    pub verify_token: Option<SecretString>,
    /// Gateways: the server's address.
    pub base_url: Option<String>,
    /// Evolution API: the instance's name.
    pub instance: Option<String>,
    /// Evolution API: the instance's token, or the server's key.
    pub api_key: Option<SecretString>,
    /// UAZapi: the instance's token.
    pub token: Option<SecretString>,
    /// Twilio: the account, `AC…`.
    pub account_sid: Option<String>,
    /// Twilio: the account's token.
    pub auth_token: Option<SecretString>,
    /// Twilio: a number in E.164, or a messaging service, `MG…`.
    pub sender: Option<String>,
}

/// The fields of each kind. All are needed.
pub const FIELDS: [(ConnectionKind, &[&str]); 4] = [
    (
        ConnectionKind::WhatsappCloud,
        &["phone_number_id", "waba_id", "access_token", "app_secret", "verify_token"],
    ),
    (ConnectionKind::Evolution, &["base_url", "instance", "api_key"]),
    (ConnectionKind::Uazapi, &["base_url", "token"]),
    (ConnectionKind::TwilioSms, &["account_sid", "auth_token", "sender"]),
];

impl Given {
    fn plain(&self) -> [(&'static str, &Option<String>); 6] {
        [
            ("phone_number_id", &self.phone_number_id),
            ("waba_id", &self.waba_id),
            ("base_url", &self.base_url),
            ("instance", &self.instance),
            ("account_sid", &self.account_sid),
            ("sender", &self.sender),
        ]
    }

    fn secret(&self) -> [(&'static str, &Option<SecretString>); 6] {
        [
            ("access_token", &self.access_token),
            ("app_secret", &self.app_secret),
            ("verify_token", &self.verify_token),
            ("api_key", &self.api_key),
            ("token", &self.token),
            ("auth_token", &self.auth_token),
        ]
    }

    /// The names of what is given.
    fn names(&self) -> impl Iterator<Item = &'static str> {
        let plain = self.plain().into_iter().filter(|(_, value)| value.is_some()).map(|(name, _)| name);
        let secret = self.secret().into_iter().filter(|(_, value)| value.is_some()).map(|(name, _)| name);
        plain.chain(secret)
    }

    /// Whether nothing is given.
    pub fn is_empty(&self) -> bool {
        self.names().next().is_none()
    }

    fn value(&self, name: &str) -> Option<&str> {
        let plain = self.plain().into_iter().find(|(known, _)| *known == name);
        plain.and_then(|(_, value)| value.as_deref())
    }
}

/// An account as it is kept.
#[derive(Debug, Default)]
pub(super) struct Account {
    /// The provider's id of it.
    pub(super) id: String,
    pub(super) waba_id: Option<String>,
    pub(super) settings: Value,
    /// What opens it. `None`: as it is.
    pub(super) access_token: Option<SecretString>,
    /// What proves webhooks.
    pub(super) app_secret: Option<SecretString>,
    /// What Meta repeats.
    pub(super) verify_token: Option<SecretString>,
}

impl Account {
    /// Stands for the secrets in what a repetition of a request must have in common with it. Those that we made ourselves
    /// are no part of it.
    pub(super) fn secrets_hash(&self) -> String {
        let mut hash = Sha256::new();
        for secret in [&self.access_token, &self.verify_token].into_iter().flatten() {
            hash.update(hash_secret(secret.expose_secret()));
        }
        hex::encode(hash.finalize())
    }
}

fn fields_of(kind: ConnectionKind) -> Result<&'static [&'static str]> {
    let known = FIELDS.iter().find(|(known, _)| *known == kind).map(|(_, fields)| *fields);
    known.ok_or_else(|| Error::invalid("kind", "connections of this kind cannot be made here"))
}

/// Reads what is given of a new account.
pub(super) fn checked(app: &App, kind: ConnectionKind, given: &Given) -> Result<Account> {
    let fields = fields_of(kind)?;
    check_values(app, kind, given)?;
    let is_given = |field: &&&str| given.names().any(|name| name == **field);
    if let Some(missing) = fields.iter().find(|field| !is_given(field)) {
        return Err(Error::invalid(*missing, "is needed"));
    }
    let plain = |name: &str| given.value(name).unwrap_or_default().to_owned();
    Ok(match kind {
        ConnectionKind::WhatsappCloud => Account {
            id: plain("phone_number_id"),
            waba_id: given.waba_id.clone(),
            settings: json!({}),
            access_token: given.access_token.clone(),
            app_secret: given.app_secret.clone(),
            verify_token: given.verify_token.clone(),
        },
        ConnectionKind::Evolution => Account {
            id: plain("instance"),
            settings: json!({ "base_url": base_url(&plain("base_url")) }),
            access_token: given.api_key.clone(),
            // The key of the tokens that its webhooks carry: ours to choose, and given to it by us.
            app_secret: Some(new_secret("")),
            ..Account::default()
        },
        ConnectionKind::Uazapi => Account {
            id: instance_of(given.token.as_ref()),
            settings: json!({ "base_url": base_url(&plain("base_url")) }),
            access_token: given.token.clone(),
            app_secret: given.token.clone(),
            ..Account::default()
        },
        ConnectionKind::TwilioSms => Account {
            id: plain("sender"),
            settings: json!({ "account_sid": plain("account_sid") }),
            access_token: given.auth_token.clone(),
            app_secret: given.auth_token.clone(),
            ..Account::default()
        },
        ConnectionKind::WhatsappWeb | ConnectionKind::Retell => Account::default(),
    })
}

/// Reads what is new of an account.
pub(super) fn changed(app: &App, known: &Connection, given: &Given) -> Result<Account> {
    if given.is_empty() {
        return Ok(Account::default());
    }
    fields_of(known.kind)?;
    check_values(app, known.kind, given)?;
    let plain = |name: &str, known: &str| given.value(name).unwrap_or(known).to_owned();
    let mut account = Account {
        id: known.provider_account.clone(),
        waba_id: known.waba_id.clone(),
        settings: known.settings.clone(),
        ..Account::default()
    };
    if let Some(url) = &given.base_url {
        account.settings["base_url"] = base_url(url).into();
    }
    match known.kind {
        ConnectionKind::WhatsappCloud => {
            // Routes of webhooks lead from a number to its connection.
            if plain("phone_number_id", &known.provider_account) != known.provider_account {
                return Err(Error::invalid("phone_number_id", "cannot be changed: make another connection"));
            }
            account.waba_id = given.waba_id.clone().or(account.waba_id);
            account.access_token = given.access_token.clone();
            account.app_secret = given.app_secret.clone();
            account.verify_token = given.verify_token.clone();
        }
        ConnectionKind::Evolution => {
            account.id = plain("instance", &known.provider_account);
            account.access_token = given.api_key.clone();
        }
        ConnectionKind::Uazapi => {
            if given.token.is_some() {
                account.id = instance_of(given.token.as_ref());
            }
            account.access_token = given.token.clone();
            account.app_secret = given.token.clone();
        }
        ConnectionKind::TwilioSms => {
            account.id = plain("sender", &known.provider_account);
            if let Some(account_sid) = &given.account_sid {
                account.settings["account_sid"] = account_sid.clone().into();
            }
            account.access_token = given.auth_token.clone();
            account.app_secret = given.auth_token.clone();
        }
        ConnectionKind::WhatsappWeb | ConnectionKind::Retell => {}
    }
    Ok(account)
}

fn check_values(app: &App, kind: ConnectionKind, given: &Given) -> Result<()> {
    let fields = fields_of(kind)?;
    if let Some(other) = given.names().find(|name| !fields.contains(name)) {
        return Err(Error::invalid(other, "is not known here"));
    }
    let secrets = given.secret();
    let secrets = secrets.iter().filter_map(|(name, value)| Some((*name, value.as_ref()?.expose_secret())));
    let plain = given.plain();
    let plain = plain.iter().filter_map(|(name, value)| Some((*name, value.as_deref()?)));
    for (name, value) in plain.chain(secrets) {
        let is_good = (1..=CHARS).contains(&value.chars().count())
            && value.trim() == value
            && !value.chars().any(char::is_control);
        if !is_good {
            return Err(Error::invalid(name, format!("1 to {CHARS} characters")));
        }
    }
    if let Some(url) = &given.base_url {
        check_address(app, url)?;
    }
    if given.account_sid.as_ref().is_some_and(|sid| !is_sid(sid, "AC")) {
        return Err(Error::invalid("account_sid", "an account of Twilio's, AC and 32 hexadecimal digits"));
    }
    let is_sender = |sender: &String| {
        is_sid(sender, "MG") || phone::parse(sender, "").is_ok_and(|phone| phone.e164 == *sender)
    };
    if given.sender.as_ref().is_some_and(|sender| !is_sender(sender)) {
        return Err(Error::invalid("sender", "a number in E.164, or a messaging service of Twilio's, MG…"));
    }
    if given.phone_number_id.as_ref().is_some_and(|id| !id.bytes().all(|byte| byte.is_ascii_digit())) {
        return Err(Error::invalid("phone_number_id", "digits"));
    }
    Ok(())
}

/// The server is called by us: it must be of the public internet.
fn check_address(app: &App, url: &str) -> Result<()> {
    let refused = |message: Cow<'static, str>| Error::invalid("base_url", message);
    let url = Url::parse(url).map_err(|_| refused("an address with https".into()))?;
    if url.query().is_some() || url.fragment().is_some() {
        return Err(refused("an address without a query".into()));
    }
    app.guard()?.check(&url).map_err(|error| match error {
        Refused::Scheme => refused("an address with https".into()),
        Refused::Credentials => refused("an address without a password".into()),
        Refused::NoHost | Refused::Name | Refused::Address | Refused::Redirects => {
            refused("an address of the public internet".into())
        }
    })
}

fn base_url(url: &str) -> &str {
    url.trim_end_matches('/')
}

fn is_sid(text: &str, prefix: &str) -> bool {
    let digits = text.strip_prefix(prefix).unwrap_or_default();
    digits.len() == 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// A UAZapi instance is its token, of which only a hash may be read.
fn instance_of(token: Option<&SecretString>) -> String {
    let hash = hash_secret(token.map_or("", |token| token.expose_secret()));
    hash.chars().take(HASH_CHARS).collect()
}
