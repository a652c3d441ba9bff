//! The controls of this machine, under `/_local/`: for tests and scripts that break things on purpose.
//!
//! `GET state` · `POST postgres/{start,stop,kill,restart}` · `POST workers/{function}/kill`

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use axum::Json;
use axum::response::{IntoResponse as _, Response};
use http::header::{self, HeaderMap};
use http::{Method, StatusCode};
use rustix::process::Signal;

use super::mail;
use super::proxy::problem;
use crate::arguments::PostgresAction;
use crate::emulator;
use crate::layout::Layout;
use crate::postgres::Postgres;
use crate::record::Record;
use crate::supervisor::Supervisor;

/// What the controls control.
#[derive(Clone, Debug)]
pub struct Control {
    /// The processes.
    pub supervisor: Arc<Supervisor>,
    /// The database server, if it is ours; two actions on it never overlap.
    pub postgres: Option<Arc<tokio::sync::Mutex<Postgres>>>,
    /// The state folder.
    pub state: PathBuf,
    /// Where the emulator tells the mails.
    pub mail_source: String,
    /// For asking there.
    pub client: reqwest::Client,
}

impl Control {
    pub(super) async fn handle(&self, path: &str, method: &Method, headers: &HeaderMap) -> Response {
        if !is_local(headers) {
            return problem(
                StatusCode::FORBIDDEN,
                "forbidden",
                "only programs on this machine may use the controls",
            );
        }
        let post = *method == Method::POST;
        let parts: Vec<&str> = path.split('/').collect();
        match parts.as_slice() {
            ["state"] if *method == Method::GET => Json(self.state()).into_response(),
            ["postgres", action] if post => match PostgresAction::parse(action) {
                Some(action) => self.postgres(action).await,
                None => unknown(),
            },
            ["workers", function, "kill"] if post => Json(self.kill_workers(function)).into_response(),
            _ => unknown(),
        }
    }

    /// The mails, for whoever calls this machine by its name: they hold tokens.
    pub(super) async fn mails(&self, headers: &HeaderMap) -> Response {
        if !is_called_by_own_name(headers) {
            return problem(StatusCode::FORBIDDEN, "forbidden", "only this machine may read its mails");
        }
        mail::answer(&self.client, &self.mail_source, headers).await
    }

    fn state(&self) -> serde_json::Value {
        let postgres = self.supervisor.identity("postgres").is_some_and(|it| it.is_alive());
        serde_json::json!({
            "state": self.state, "launcher": std::process::id(), "pids": self.supervisor.pids(),
            "postgres": if self.postgres.is_none() { "external" } else if postgres { "running" } else { "stopped" },
        })
    }

    async fn postgres(&self, action: PostgresAction) -> Response {
        let Some(postgres) = &self.postgres else {
            return problem(
                StatusCode::CONFLICT,
                "conflict",
                "the PostgreSQL of DATABASE_URL is not ours to control",
            );
        };
        let postgres = postgres.clone().lock_owned().await;
        let supervisor = self.supervisor.clone();
        // On its own: a caller that hangs up must not leave the server half started.
        let acting = tokio::spawn(async move { postgres.act(&supervisor, action).await });
        match acting.await.map_err(anyhow::Error::from).and_then(|result| result) {
            Ok(()) => Json(self.state()).into_response(),
            Err(error) => problem(StatusCode::CONFLICT, "conflict", &format!("{error:#}")),
        }
    }

    fn kill_workers(&self, function: &str) -> serde_json::Value {
        let workers = emulator::workers(&self.supervisor, function);
        for worker in &workers {
            worker.signal(Signal::KILL);
        }
        let pids: Vec<u32> = workers.iter().map(|worker| worker.pid).collect();
        serde_json::json!({ "function": function, "killed": pids.len(), "pids": pids })
    }
}

fn unknown() -> Response {
    problem(StatusCode::NOT_FOUND, "not_found", "there is no such control")
}

/// Any page that is open in a browser here can send requests to this port; none of them may stop a database. A page
/// cannot hide its origin, nor call us by another name than its own.
fn is_local(headers: &HeaderMap) -> bool {
    let by_page = headers.contains_key(header::ORIGIN) || headers.contains_key("sec-fetch-site");
    is_called_by_own_name(headers) && !by_page
}

fn is_called_by_own_name(headers: &HeaderMap) -> bool {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    ["127.0.0.1", "localhost", "[::1]"].contains(&name)
}

/// Has the launcher of a running stack do something to its PostgreSQL.
///
/// # Errors
/// When none runs on this state, or it cannot do it.
pub async fn ask(layout: &Layout, action: PostgresAction) -> anyhow::Result<()> {
    let record = Record::load(layout);
    let running = record.launcher.is_some_and(|launcher| launcher.is_alive());
    ensure!(running, "no stack runs on {} (`local up` starts one)", layout.state.display());
    let port = record.front_door.context("what runs there is only a database")?;
    let url = format!("http://127.0.0.1:{port}/_local/postgres/{}", action.word());
    let client = reqwest::Client::builder().timeout(Duration::from_secs(90)).build()?;
    let answer = client.post(&url).send().await.context("the front door does not answer")?;
    let status = answer.status();
    let body: serde_json::Value = answer.json().await.context("the front door gave no JSON")?;
    if !status.is_success() {
        bail!("{}", body["detail"].as_str().unwrap_or("refused"));
    }
    println!("postgres is {}", body["postgres"].as_str().unwrap_or("unknown"));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &'static str)| {
            (http::HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        pairs.iter().map(pair).collect()
    }

    #[test]
    fn scripts_may_and_pages_may_not() {
        assert!(is_local(&headers(&[("host", "127.0.0.1:8700")])));
        assert!(is_local(&headers(&[("host", "localhost:8700")])));
        assert!(!is_local(&headers(&[("host", "127.0.0.1:8700"), ("origin", "http://127.0.0.1:8700")])));
        assert!(!is_local(&headers(&[("host", "127.0.0.1:8700"), ("sec-fetch-site", "none")])));
        assert!(!is_local(&headers(&[("host", "evil.example:8700")])));
        assert!(!is_local(&headers(&[])));
    }
}
