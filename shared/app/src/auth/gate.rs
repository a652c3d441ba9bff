//! How often one may try to get in: five times in any fifteen minutes an address, and as often an account. And how many
//! people a company may invite: each gets a mail in our name, with a name in it that somebody else chose.

use cloud::limits::Verdict;
use domain::CompanyId;
use sha2::{Digest as _, Sha256};

use super::Client;
use crate::App;
use crate::error::{Error, Result, internal};

/// Invitations of one company a day.
pub const COMPANY_INVITATIONS: u32 = 200;

/// Invitations to one address a day, from all companies.
pub const ADDRESS_INVITATIONS: u32 = 5;

/// What is tried. Each has limits of its own, so that resetting a password is possible after five wrong ones.
#[derive(Clone, Copy, Debug)]
pub enum Attempt {
    /// Log-in.
    LogIn,
    /// Registration.
    Register,
    /// A mail that somebody asks for: verification or a new password.
    Mail,
    /// A token that was sent by mail, shown.
    Token,
}

impl Attempt {
    fn name(self) -> &'static str {
        match self {
            Self::LogIn => "log-in",
            Self::Register => "register",
            Self::Mail => "mail",
            Self::Token => "token",
        }
    }
}

/// An attempt that was counted.
#[derive(Debug)]
pub struct Passed {
    buckets: Vec<String>,
}

/// Counts an attempt by address and, when `account` is one, by account; both must have room.
///
/// # Errors
/// `RetryLater` when either is used up; internal errors when that cannot be known.
pub async fn pass(app: &App, attempt: Attempt, client: &Client, account: Option<&str>) -> Result<Passed> {
    let name = attempt.name();
    let mut buckets = vec![of_client(attempt, client)];
    buckets.extend(account.map(|account| of_account(attempt, account)));
    for bucket in &buckets {
        let verdict = app.limits.attempt(bucket, app.clock.now()).await.map_err(internal)?;
        if let Verdict::Wait(after) = verdict {
            return Err(Error::RetryLater { after, source: anyhow::anyhow!("too many attempts: {name}") });
        }
    }
    Ok(Passed { buckets })
}

/// Takes back every failed log-in of an account whose owner proved who they are, and as many of the address that they did
/// it from, where most of them were made: who shares that address, or guesses at other accounts there, gains nothing.
pub async fn forgive_log_ins(app: &App, client: &Client, account: &str) {
    let cleared = app.limits.clear(&of_account(Attempt::LogIn, account), app.clock.now()).await;
    let own = of_client(Attempt::LogIn, client);
    let done = match cleared {
        Ok(attempts) => {
            let mut done = Ok(());
            for _ in 0..attempts {
                done = done.and(app.limits.forgive(&own).await);
            }
            done
        }
        Err(error) => Err(error),
    };
    if let Err(error) = done {
        // The password is set: then they wait for some minutes.
        tracing::warn!(%error, "log-ins not taken back");
    }
}

fn of_client(attempt: Attempt, client: &Client) -> String {
    format!("{}/ip/{}", attempt.name(), client.ip)
}

fn of_account(attempt: Attempt, account: &str) -> String {
    format!("{}/account/{}", attempt.name(), hashed(account))
}

/// Counts an invitation by company and by address; both must have room.
///
/// # Errors
/// `RetryLater` until the next day when either is used up; internal errors when that cannot be known.
pub async fn invite(app: &App, company_id: CompanyId, address: &str) -> Result<()> {
    for (bucket, limit) in [
        (format!("invite/account/{}", hashed(address)), ADDRESS_INVITATIONS),
        (format!("invite/company/{company_id}"), COMPANY_INVITATIONS),
    ] {
        let verdict = app.limits.take_today(&bucket, limit, app.clock.now()).await.map_err(internal)?;
        if let Verdict::Wait(after) = verdict {
            return Err(Error::RetryLater { after, source: anyhow::anyhow!("too many invitations") });
        }
    }
    Ok(())
}

/// So that the table holds no addresses of people.
fn hashed(address: &str) -> String {
    hex::encode(Sha256::digest(address.trim().to_lowercase()))
}

impl Passed {
    /// Does the work that was tried, and takes the attempt back when it succeeds.
    ///
    /// # Errors
    /// Those of the work.
    pub async fn forgive_if<T>(self, app: &App, work: impl Future<Output = Result<T>>) -> Result<T> {
        let done = work.await?;
        self.forgive(app).await;
        Ok(done)
    }

    /// Takes the attempt back: it succeeded, and only failures count.
    pub async fn forgive(self, app: &App) {
        for bucket in &self.buckets {
            if let Err(error) = app.limits.forgive(bucket).await {
                // Then one successful attempt counts: no reason to refuse it.
                tracing::warn!(%error, "attempt not taken back");
            }
        }
    }
}
