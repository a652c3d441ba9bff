//! People who can log in by Google or Facebook, and the codes and tokens that were issued for them.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::clock;

/// Codes kept, and tokens; the oldest go first.
const KEPT: usize = 2_000;

/// Whose account it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Provider {
    Google,
    Facebook,
}

/// Somebody who can log in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Account {
    pub(crate) provider: Provider,
    /// Google's `sub`, Facebook's `id`.
    pub(crate) subject: String,
    #[serde(default)]
    pub(crate) email: Option<String>,
    /// Google says it in its token; Facebook says nothing of it.
    #[serde(default)]
    pub(crate) email_verified: bool,
    /// Google's `hd`, of Workspace accounts.
    #[serde(default)]
    pub(crate) hosted_domain: Option<String>,
    pub(crate) name: String,
}

/// What the person agreed to.
#[derive(Debug, Clone)]
pub(crate) struct Grant {
    pub(crate) account: Account,
    pub(crate) redirect_uri: String,
    pub(crate) scope: String,
    pub(crate) nonce: Option<String>,
    /// Of the method S256.
    pub(crate) code_challenge: Option<String>,
}

/// Why a code is not exchanged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BadCode {
    Unknown,
    Used,
    Expired,
}

#[derive(Debug)]
struct Issued {
    code: String,
    grant: Grant,
    at_ms: i64,
    used: bool,
}

/// All of it.
#[derive(Debug)]
pub(crate) struct Identities {
    accounts: Vec<Account>,
    codes: VecDeque<Issued>,
    tokens: VecDeque<(String, Account)>,
}

impl Default for Identities {
    /// One person with everything, and one with as little as there can be, at each provider.
    fn default() -> Self {
        let account = |provider, subject: &str, email: Option<&str>, name: &str| Account {
            provider,
            subject: subject.to_owned(),
            email: email.map(str::to_owned),
            email_verified: email == Some("ana@example.com"),
            hosted_domain: None,
            name: name.to_owned(),
        };
        Self {
            accounts: vec![
                account(Provider::Google, "100000000000000000001", Some("ana@example.com"), "Ana Exemplo"),
                account(Provider::Google, "100000000000000000002", Some("beto@example.com"), "Beto Exemplo"),
                account(Provider::Facebook, "10000000000000001", Some("ana@example.com"), "Ana Exemplo"),
                account(Provider::Facebook, "10000000000000002", None, "Beto Exemplo"),
            ],
            codes: VecDeque::new(),
            tokens: VecDeque::new(),
        }
    }
}

impl Identities {
    /// Adds an account, or replaces the one with this subject.
    pub(crate) fn put(&mut self, account: Account) {
        self.accounts.retain(|known| known.provider != account.provider || known.subject != account.subject);
        self.accounts.push(account);
    }

    pub(crate) fn accounts(&self) -> &[Account] {
        &self.accounts
    }

    /// By subject or address.
    pub(crate) fn find(&self, provider: Provider, wanted: &str) -> Option<&Account> {
        let is_wanted = |known: &&Account| known.subject == wanted || known.email.as_deref() == Some(wanted);
        self.accounts.iter().filter(|known| known.provider == provider).find(is_wanted)
    }

    pub(crate) fn issue_code(&mut self, code: String, grant: Grant) {
        push(&mut self.codes, Issued { code, grant, at_ms: clock::now_ms(), used: false });
    }

    /// Spends a code, whatever comes of it: a second try with it fails.
    pub(crate) fn redeem(&mut self, provider: Provider, code: &str, life_ms: i64) -> Result<Grant, BadCode> {
        let issued = self
            .codes
            .iter_mut()
            .find(|issued| issued.code == code && issued.grant.account.provider == provider)
            .ok_or(BadCode::Unknown)?;
        if std::mem::replace(&mut issued.used, true) {
            return Err(BadCode::Used);
        }
        if clock::now_ms() >= issued.at_ms + life_ms {
            return Err(BadCode::Expired);
        }
        Ok(issued.grant.clone())
    }

    pub(crate) fn issue_token(&mut self, token: String, account: Account) {
        push(&mut self.tokens, (token, account));
    }

    /// Whose access token it is.
    pub(crate) fn bearer(&self, provider: Provider, token: &str) -> Option<&Account> {
        let (_, account) = self.tokens.iter().find(|(known, _)| known == token)?;
        (account.provider == provider).then_some(account)
    }
}

fn push<T>(items: &mut VecDeque<T>, item: T) {
    items.push_back(item);
    if items.len() > KEPT {
        items.pop_front();
    }
}
