//! What it takes to look through a crowd: every list of the inbox and the customers, at the handler.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use domain::DepartmentId;
use runtime::http::Cursor;
use serde_json::Value;

use crate::crowd::{self, Kind, id, phone};
use crate::load;
use crate::payloads::api_event;
use crate::report::{Report, Table, mebibytes};
use crate::setup::{API_KEY, Setup};
use crate::worker::Worker;

/// As many functions of a kind work at once.
const AT_ONCE: usize = 4;

/// Rows of a page.
const PAGE: i64 = 50;

/// Which page is compared with the first.
const DEEP: i64 = 1_000;

/// The thousandth page may take so many times as long as the first.
const DEEP_BAR: f64 = 1.5;

/// How much of it.
#[derive(Clone, Copy)]
pub(crate) struct Size {
    /// Who is looked through.
    pub(crate) crowd: crowd::Size,
    /// Requests of a list.
    pub(crate) requests: usize,
}

/// One list, asked for with different words.
struct List {
    name: &'static str,
    function: &'static str,
    /// Path and query of the request of this number.
    path: Box<dyn Fn(u64) -> String>,
    /// p95 in milliseconds at most.
    bar: f64,
    /// What it selects, as SQL: for the thousandth page. None where there is no such page.
    deep: Option<&'static str>,
}

fn list(
    name: &'static str,
    function: &'static str,
    bar: f64,
    path: impl Fn(u64) -> String + 'static,
) -> List {
    List { name, function, path: Box::new(path), bar, deep: None }
}

impl List {
    fn deep(self, filter: &'static str) -> Self {
        Self { deep: Some(filter), ..self }
    }
}

fn lists(setup: &Setup, size: crowd::Size) -> Vec<List> {
    let inbox = |name, filter: String, deep| {
        let path = move |_| format!("/api/v1/conversations?limit={PAGE}{filter}");
        list(name, "api-conversations", 50.0, path).deep(deep)
    };
    let connection_id = setup.home.connection_id;
    // Scattered, so that not one page is read again and again.
    let scattered = |number: u64, of: u64| number * 7_368_787 % of;
    let (contacts, conversations) = (size.contacts, size.conversations);
    vec![
        inbox("conversations", String::new(), "true"),
        inbox("… by status", "&status=open".to_owned(), "status = 'open'"),
        inbox("… by connection", format!("&connection_id={connection_id}"), "true"),
        inbox("… by channel", "&channel=whatsapp_cloud".to_owned(), "true"),
        list("… by assignee", "api-conversations", 50.0, |number| {
            format!("/api/v1/conversations?limit={PAGE}&assignee_id={}", id(Kind::Member, number % 50))
        }),
        inbox("… held by nobody", "&assigned=false".to_owned(), "assignee_id IS NULL"),
        inbox(
            "… by department",
            format!("&department_id={}", DepartmentId(id(Kind::Department, 2))),
            "department_id = '018bcfe5-6802-7016-8000-000000000002'",
        ),
        inbox("… by a common tag", "&tag=venda".to_owned(), "tags @> '{venda}'"),
        list("… by a rare tag", "api-conversations", 50.0, |_| {
            format!("/api/v1/conversations?limit={PAGE}&tag=urgente")
        }),
        list("… by contact", "api-conversations", 50.0, move |number| {
            let contact = id(Kind::Contact, scattered(number, conversations));
            format!("/api/v1/conversations?limit={PAGE}&contact_id={contact}")
        }),
        list("… unread", "api-conversations", 50.0, |_| {
            format!("/api/v1/conversations?limit={PAGE}&unread=true")
        }),
        inbox("… read", "&unread=false".to_owned(), "unread_count = 0"),
        list("… by words of a customer's name", "api-conversations", 100.0, |number| {
            format!("/api/v1/conversations?limit={PAGE}&q={}", NAMES[(number % 8) as usize])
        }),
        list("… by words of a message", "api-conversations", 100.0, |number| {
            format!("/api/v1/conversations?limit={PAGE}&q={}", WORDS[(number % 8) as usize])
        }),
        list("a conversation's messages", "api-conversations", 20.0, move |number| {
            let conversation = id(Kind::Conversation, scattered(number, conversations));
            format!("/api/v1/conversations/{conversation}/messages?limit={PAGE}")
        }),
        list("… of the longest", "api-conversations", 20.0, |_| {
            format!("/api/v1/conversations/{}/messages?limit=100", id(Kind::Conversation, 0))
        }),
        list("contacts by name", "api-contacts", 100.0, |number| {
            format!("/api/v1/contacts?limit={PAGE}&q={}", NAMES[(number % 8) as usize])
        }),
        list("contacts by part of a number", "api-contacts", 100.0, move |number| {
            let phone = phone(scattered(number, contacts));
            format!("/api/v1/contacts?limit={PAGE}&q={}", &phone[phone.len() - 6..])
        }),
        list("a contact by phone", "api-contacts", 5.0, move |number| {
            format!("/api/v1/contacts/by-phone/{}", phone(scattered(number, contacts)).replace('+', "%2B"))
        }),
        list("a contact's sessions with 1,000 messages", "api-sessions", 50.0, |_| {
            format!("/api/v1/sessions/by-contact/{}?limit=100", id(Kind::Contact, 0))
        }),
    ]
}

/// Common names, rare ones, and parts of them.
const NAMES: [&str; 8] = [
    "maria",
    "joao%20da%20silva",
    "gabriel%20fonseca",
    "leticia%20nascimento%20queiroz",
    "ana",
    "xavier",
    "fernand",
    "jose%20azevedo",
];

const WORDS: [&str; 8] = [
    "geladeira",
    "nota%20fiscal",
    "entregam",
    "promocao",
    "boleto%20garantia",
    "florianopolis",
    "pedido",
    "maquina",
];

/// Fills the database with a crowd and looks through it.
///
/// # Errors
/// When an answer is no success.
pub(crate) async fn measure(setup: &mut Setup, report: &mut Report, size: Size) -> anyhow::Result<()> {
    report.section("Lists: a company of a million customers");
    let filled = crowd::fill(&mut setup.database, setup.home, size.crowd).await?;
    let crowd::Size { contacts, conversations, messages, neighbours } = size.crowd;
    report.add(&format!(
        "{contacts} contacts, {conversations} conversations and {messages} messages of one company beside {neighbours} \
         small ones, put in within {:.0} s; {} on disk. {AT_ONCE} workers of a function at once, {} requests a list; \
         the time is that of the worker, from taking the request to its answer, who calls (an API key) included.\n",
        filled.as_secs_f64(),
        mebibytes(setup.database.size().await?),
        size.requests,
    ));
    let mut table =
        Table::new(["list", "p50 ms", "p95 ms", "bar ms", "", "p95 of page 1,000", "of the first"]);
    let mut missed = Vec::new();
    for list in lists(setup, size.crowd) {
        let workers = start(setup, list.function).await?;
        let ask = |path: &str| api_event("GET", path, &[("authorization", &bearer())], b"");
        let events: Vec<Bytes> = (0..size.requests as u64).map(|number| ask(&(list.path)(number))).collect();
        let first = run(&workers, &events).await.with_context(|| list.name)?;
        let mut row = [
            list.name.to_owned(),
            format!("{:.1}", first.0),
            format!("{:.1}", first.1),
            format!("{:.0}", list.bar),
            if first.1 <= list.bar { "met" } else { "**MISSED**" }.to_owned(),
            String::new(),
            String::new(),
        ];
        if first.1 > list.bar {
            missed.push(list.name);
        }
        if let Some(filter) = list.deep
            && let Some(place) =
                setup.database.place_in_inbox(setup.home, filter, (DEEP - 1) * PAGE - 1).await?
        {
            let path = format!("{}&cursor={}", (list.path)(0), Cursor::encode("conversations", place));
            let deep = run(&workers, &vec![ask(&path); size.requests]).await.with_context(|| list.name)?;
            row[5] = format!("{:.1}", deep.1);
            row[6] = format!("{:.2}×", deep.1 / first.1);
            if deep.1 / first.1 > DEEP_BAR {
                missed.push(list.name);
            }
        }
        table.row(row);
        for worker in workers {
            worker.stop().await?;
        }
    }
    report.table(&table);
    let all = "every list within its bar, page 1,000 within 1.5 times the first";
    let figure = if missed.is_empty() { "all".to_owned() } else { format!("not {}", missed.join(", ")) };
    report.bar("lists", &figure, missed.is_empty(), all);
    Ok(())
}

fn bearer() -> String {
    format!("Bearer {API_KEY}")
}

async fn start(setup: &Setup, function: &str) -> anyhow::Result<Vec<Worker>> {
    let mut workers = Vec::new();
    for _ in 0..AT_ONCE {
        workers.push(setup.start(function).await?);
    }
    Ok(workers)
}

/// Median and p95 of the workers' time in milliseconds, each worker with its share of the events.
async fn run(workers: &[Worker], events: &[Bytes]) -> anyhow::Result<(f64, f64)> {
    // Connections, plans and caches are there already, as at a function that is in use.
    let warm = workers.iter().map(|worker| load::run(worker, &events[..events.len().min(5)], 1, found));
    futures::future::try_join_all(warm).await?;
    let shares = events.chunks(events.len().div_ceil(workers.len()));
    let rounds = workers.iter().zip(shares).map(|(worker, share)| load::run(worker, share, 1, found));
    let rounds = futures::future::try_join_all(rounds).await?;
    let mut times: Vec<Duration> = rounds.into_iter().flat_map(|round| round.work_times).collect();
    times.sort_unstable();
    Ok((load::percentile(&times, 0.5), load::percentile(&times, 0.95)))
}

fn found(answer: &[u8]) -> anyhow::Result<()> {
    let answer: Value = serde_json::from_slice(answer)?;
    ensure!(answer["statusCode"] == 200, "a list was answered {answer}");
    Ok(())
}
