//! How long a large file of contacts takes to be read in, beside what PostgreSQL takes to copy it: as lines into a table
//! without an index, and as contacts and addresses into tables with all that ours have.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use anyhow::ensure;
use app::Clock as _;
use bytes::Bytes;
use domain::job::{ENVELOPE_VERSION, Job, JobEnvelope};
use domain::{ImportId, MediaId};
use runtime::clock::SystemClock;
use serde_json::json;

use crate::database::ImportRun;
use crate::load;
use crate::report::{Report, Table, mebibytes};
use crate::setup::Setup;
use crate::worker::Worker;

const CONSUMER: &str = "consume-imports";

/// At most so many times a copy.
const BAR: f64 = 6.0;

/// At most so much memory.
const MEMORY_BAR: u64 = 256 << 20;

/// How much is read in.
#[derive(Clone, Copy)]
pub(crate) struct Size {
    /// Rows of the file.
    pub(crate) rows: u64,
}

/// Copies a file, and then has it read in twice: into an empty company, and over what it made.
///
/// # Errors
/// When the consumer leaves a row undone.
pub(crate) async fn measure(setup: &mut Setup, report: &mut Report, size: Size) -> anyhow::Result<()> {
    report.section("Import of contacts: one worker");
    let settings = setup.database.settings().await?;
    report.add(&format!("- PostgreSQL: {settings}"));
    let file = file(size.rows);
    report.add(&format!(
        "- {} rows of name, phone, email, external id and a field of the company's own: {}",
        size.rows,
        mebibytes(file.len() as u64)
    ));
    let (copied, whole) = setup.database.copy(setup.home, &file).await?;
    let key = "import/bench.csv";
    setup.aws.put_object(&format!("/media/{key}"), file.clone());

    let worker = setup.start(CONSUMER).await?;
    let mut table = Table::new([
        "what",
        "s",
        "times the bare COPY",
        "times the whole COPY",
        "rows/s",
        "CPU s of the worker",
    ]);
    let rate = |time: Duration| format!("{:.0}", size.rows as f64 / time.as_secs_f64());
    let ratio = |time: Duration, base: Duration| time.as_secs_f64() / base.as_secs_f64();
    let seconds = |time: Duration| format!("{:.1}", time.as_secs_f64());
    let mut row = |what: &str, time: Duration, cpu: Option<Duration>| {
        let cpu = cpu.map_or_else(|| "–".to_owned(), seconds);
        let (bare, whole) = (ratio(time, copied), ratio(time, whole));
        table.row([
            what.to_owned(),
            seconds(time),
            format!("{bare:.1}"),
            format!("{whole:.1}"),
            rate(time),
            cpu,
        ]);
    };
    row("bare COPY: the file into a table of its columns, without any index", copied, None);
    row("whole COPY: its contacts and addresses into tables like ours", whole, None);
    let rows = i64::try_from(size.rows)?;
    let mut first = Duration::ZERO;
    for (what, expected) in [("import", [rows, 0]), ("import of the same file again", [0, rows])] {
        let (done, time, cpu) = import(setup, &worker, key, file.len()).await?;
        ensure!(
            done.state == "done" && [done.created, done.unchanged] == expected,
            "the {what} did otherwise: {done:?}"
        );
        row(what, time, Some(cpu));
        if first.is_zero() {
            first = time;
        }
    }
    report.add("");
    report.table(&table);
    for (name, base) in [("bare", copied), ("whole", whole)] {
        let times = ratio(first, base);
        report.bar(
            &format!("import beside the {name} COPY"),
            &format!("{times:.1} times"),
            times <= BAR,
            "at most 6 times",
        );
    }
    let memory = worker.peak_memory()?;
    report.bar("peak memory of the worker", &mebibytes(memory), memory <= MEMORY_BAR, "at most 256 MiB");
    worker.stop().await
}

/// Reads the file in, job by job; what became of it, how long it took, and the worker's processor time.
async fn import(
    setup: &mut Setup,
    worker: &Worker,
    key: &str,
    size: usize,
) -> anyhow::Result<(ImportRun, Duration, Duration)> {
    let media_id = MediaId(SystemClock.new_id());
    let import_id = ImportId(SystemClock.new_id());
    setup.database.ask_for_import(setup.home, media_id, import_id, key, i64::try_from(size)?).await?;
    let cpu = worker.cpu()?;
    let began = Instant::now();
    loop {
        let run = setup.database.import_run(import_id).await?;
        if run.state != "waiting" && run.state != "running" {
            return Ok((run, began.elapsed(), worker.cpu()?.saturating_sub(cpu)));
        }
        let job = Job::ImportContacts { import_id, run: run.run };
        load::run(worker, &[event(setup, job)?], 1, crate::inbound::all_done).await?;
        let after = setup.database.import_run(import_id).await?;
        ensure!(after.state == "done" || after.run > run.run, "the job did nothing: {after:?}");
    }
}

fn event(setup: &Setup, job: Job) -> anyhow::Result<Bytes> {
    let company_id = setup.home.company_id;
    let body = JobEnvelope { v: ENVELOPE_VERSION, company_id, trace: None, job };
    let record = json!({
        "messageId": SystemClock.new_id(),
        "receiptHandle": "bench",
        "body": serde_json::to_string(&body)?,
        "attributes": { "ApproximateReceiveCount": "1", "MessageGroupId": company_id },
        "messageAttributes": {},
        "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:us-east-1:000000000000:imports.fifo",
        "awsRegion": "us-east-1",
    });
    Ok(json!({ "Records": [record] }).to_string().into())
}

/// As a shop's own system writes it: customers in no order of their phones, each once.
fn file(rows: u64) -> Bytes {
    const NAMES: [&str; 8] = ["Ana", "João", "Conceição", "Luís", "Márcia", "Otávio", "Rita", "Zélia"];
    const CITIES: [&str; 5] = ["Goiânia", "São Paulo", "Anápolis", "Belém", "Curitiba"];
    let mut text = String::from("nome,telefone,email,codigo,cidade\n");
    for row in 0..rows {
        let number = crate::inbound::scatter(row, rows);
        let (first, last) = (NAMES[number as usize % 8], NAMES[(number / 8) as usize % 8]);
        let city = CITIES[number as usize % 5];
        // Writing into a string fails never.
        writeln!(
            text,
            "{first} {last} Silva {row},(62) 9{:04}-{:04},cliente{number}@exemplo.com.br,{row},{city}",
            number / 10_000 % 10_000,
            number % 10_000
        )
        .unwrap_or_default();
    }
    text.into()
}
