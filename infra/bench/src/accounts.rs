//! What a log-in costs, and what it costs to know who calls.

use std::time::Instant;

use anyhow::ensure;
use app::auth::{Client, log_in};
use axum::Router;
use axum::body::Body;
use axum::http::Request;
use axum::routing::get;
use bytes::Bytes;
use runtime::http::{Caller, finish};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::load;
use crate::measure::Spread;
use crate::payloads::api_event;
use crate::report::{Report, Table};
use crate::setup::{API_KEY, EMAIL, PASSWORD, Setup};

/// How much of it.
#[derive(Clone, Copy)]
pub(crate) struct Size {
    /// Log-ins of a round.
    pub(crate) log_ins: usize,
    /// Requests of a round.
    pub(crate) requests: usize,
    /// Rounds.
    pub(crate) rounds: usize,
}

/// Logs in, and asks who calls.
///
/// # Errors
/// When a log-in is refused, or a caller is not known.
pub(crate) async fn measure(setup: &Setup, report: &mut Report, size: Size) -> anyhow::Result<()> {
    report.section("Accounts");
    log_ins(setup, report, size).await?;
    callers(setup, report, size).await
}

async fn log_ins(setup: &Setup, report: &mut Report, size: Size) -> anyhow::Result<()> {
    let worker = setup.start("api-auth").await?;
    let body = json!({ "email": EMAIL, "password": PASSWORD }).to_string();
    let event = api_event("POST", "/api/v1/auth/login", &[], body.as_bytes());
    let events: Vec<Bytes> = vec![event; size.log_ins];
    load::run(&worker, &events[..size.log_ins.div_ceil(10)], 1, answered).await?;
    let mut rounds = Vec::new();
    for _ in 0..size.rounds {
        rounds.push(load::run(&worker, &events, 1, answered).await?);
    }
    let of = |figure: fn(&load::Round) -> f64| Spread::of(rounds.iter().map(figure));
    report.add(&format!(
        "One log-in at a time: Argon2id (19 MiB, 2 passes), a session, two tokens.\n\n\
         - p50 {:.1} ms, p95 {:.1} ms, CPU {:.3} s for 1000\n",
        of(|round| round.latency(0.5)),
        of(|round| round.latency(0.95)),
        of(load::Round::cpu_of_thousand),
    ));
    worker.stop().await
}

/// In this process, so that nothing but the extraction is between two figures.
async fn callers(setup: &Setup, report: &mut Report, size: Size) -> anyhow::Result<()> {
    let app = setup.app();
    let logged_in = log_in::log_in(&app, &Client::default(), EMAIL, PASSWORD.into()).await;
    let logged_in = logged_in.map_err(|error| anyhow::anyhow!(error.chain()))?;
    let routes =
        Router::new().route("/anybody", get(async || ())).route("/callers", get(async |_: Caller| ()));
    let router = finish(routes, app);
    let mut table = Table::new(["who", "µs a request", "of which knowing who"]);
    let mut base = f64::NAN;
    for (who, path, credential) in [
        ("anybody", "/anybody", None),
        ("a person's token", "/callers", Some(logged_in.token.expose_secret())),
        ("an API key", "/callers", Some(API_KEY)),
    ] {
        let mut figures = Vec::new();
        for _ in 0..size.rounds {
            let began = Instant::now();
            for _ in 0..size.requests {
                let mut request = Request::get(path);
                if let Some(credential) = credential {
                    request = request.header("authorization", format!("Bearer {credential}"));
                }
                let answer = router.clone().oneshot(request.body(Body::empty())?).await?;
                ensure!(answer.status().is_success(), "{who} was answered {}", answer.status());
            }
            figures.push(began.elapsed().as_secs_f64() * 1e6 / size.requests as f64);
        }
        let spread = Spread::of(figures);
        if base.is_nan() {
            base = spread.median;
        }
        table.row([who.to_owned(), format!("{spread:.1}"), format!("{:.1}", spread.median - base)]);
    }
    report.add(
        "Who calls, in one process and without HTTP. A token is verified each time; its session, or a key, is looked \
         up once in 30 s. Requests are counted in leases of 20.\n",
    );
    report.table(&table);
    Ok(())
}

fn answered(answer: &[u8]) -> anyhow::Result<()> {
    let answer: Value = serde_json::from_slice(answer)?;
    ensure!(answer["statusCode"] == 200, "a log-in was answered {answer}");
    Ok(())
}
