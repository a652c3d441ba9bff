//! Passwords and keys of one state, made at its first start and kept: a restart must still decrypt what the
//! previous run encrypted, and a script's API key must still work.

use std::fs;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::layout::{Layout, write_private};

/// All secrets of one local stack. None of them is of use outside it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Credentials {
    /// Password of the superuser `postgres`.
    pub superuser_password: String,
    /// Password of `mia_owner`.
    pub owner_password: String,
    /// Password of `mia_app`.
    pub app_password: String,
    /// Password of `mia_system`.
    pub system_password: String,
    /// Value of the secret from which the encryption key is derived.
    pub master_key: String,
    /// Value of the secret from which the signing key of sessions is derived.
    pub token_key: String,
    /// What the demo company is made of.
    pub demo: DemoCredentials,
}

/// What a person or a script needs to act as, and to talk to, the demo company.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DemoCredentials {
    /// Id of the company.
    pub company_id: Uuid,
    /// Id of its owner.
    pub user_id: Uuid,
    /// Id of the API key.
    pub api_key_id: Uuid,
    /// Id of the persona that answers.
    pub persona_id: Uuid,
    /// Id of its WhatsApp connection.
    pub connection_id: Uuid,
    /// Password of its owner.
    pub password: String,
    /// API key, `mia_…`.
    pub api_key: String,
    /// Last part of the connection's webhook address.
    pub slug: String,
    /// Key of the webhook signatures.
    pub app_secret: String,
    /// What Meta repeats when a webhook is subscribed.
    pub verify_token: String,
    /// Bearer token for the Graph API.
    pub access_token: String,
}

impl Credentials {
    /// Reads those of `layout`, or makes and writes them. The flag says that they are new.
    ///
    /// # Errors
    /// When the file is there but cannot be understood.
    pub fn load_or_create(layout: &Layout) -> anyhow::Result<(Self, bool)> {
        let path = layout.credentials();
        match fs::read(&path) {
            Ok(bytes) => Ok((parse(&bytes).with_context(|| path.display().to_string())?, false)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let credentials = Self::random();
                write_private(&path, &serde_json::to_vec_pretty(&credentials)?)?;
                Ok((credentials, true))
            }
            Err(error) => Err(error).with_context(|| path.display().to_string()),
        }
    }

    fn random() -> Self {
        Self {
            superuser_password: random_hex(),
            owner_password: random_hex(),
            app_password: random_hex(),
            system_password: random_hex(),
            master_key: random_hex(),
            token_key: random_hex(),
            demo: DemoCredentials {
                company_id: Uuid::now_v7(),
                user_id: Uuid::now_v7(),
                api_key_id: Uuid::now_v7(),
                persona_id: Uuid::now_v7(),
                connection_id: Uuid::now_v7(),
                password: format!("demo-{}", &random_hex()[..12]),
                api_key: format!("mia_{}", random_hex()),
                slug: format!("loja-demo-{}", &random_hex()[..8]),
                app_secret: random_hex()[..32].to_owned(),
                verify_token: random_hex()[..32].to_owned(),
                access_token: format!("EAA{}", random_hex()),
            },
        }
    }
}

fn parse(bytes: &[u8]) -> anyhow::Result<Credentials> {
    serde_json::from_slice(bytes)
        .context("not the credentials of a local stack; delete the whole state to start anew")
}

/// 256 random bits; hexadecimal needs no escaping in a URL, a header or SQL.
fn random_hex() -> String {
    hex::encode(rand::random::<[u8; 32]>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_differ_and_survive_a_round_trip() {
        let one = Credentials::random();
        let two = Credentials::random();
        assert_ne!(one.master_key, two.master_key);
        assert_ne!(one.owner_password, one.app_password);
        let bytes = serde_json::to_vec(&one).expect("serializable");
        assert_eq!(parse(&bytes).expect("readable").demo.api_key, one.demo.api_key);
    }
}
