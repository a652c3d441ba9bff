//! From `exec` to the first poll of the Runtime API, beside a hello-world.

use crate::measure::Spread;
use crate::report::{Report, Table, mebibytes};
use crate::setup::{Setup, functions};

const HELLO_WORLD: &str = "hello-world";

/// At most so many times the start of hello-world.
const BAR: f64 = 2.0;

/// Starts every function `runs` times, taking turns, so that a slow moment of the machine hits all of them.
///
/// # Errors
/// When one does not start.
pub(crate) async fn measure(setup: &Setup, report: &mut Report, runs: usize) -> anyhow::Result<()> {
    let names: Vec<_> = std::iter::once(HELLO_WORLD.to_owned()).chain(functions()?).collect();
    let mut starts = vec![Vec::with_capacity(runs); names.len()];
    let mut memory = vec![0; names.len()];
    // The first start reads the program from the disk, and is not counted.
    for run in 0..=runs {
        for (position, name) in names.iter().enumerate() {
            let worker = setup.start(name).await?;
            if run > 0 {
                starts[position].push(worker.start.as_secs_f64() * 1000.0);
                memory[position] = memory[position].max(worker.peak_memory()?);
            }
            worker.stop().await?;
        }
    }
    let hello = Spread::of(starts[0].iter().copied());
    let mut table = Table::new(["function", "start ms", "times hello-world", "peak memory", "program"]);
    let mut worst = (f64::MIN, HELLO_WORLD);
    for (position, name) in names.iter().enumerate() {
        let start = Spread::of(starts[position].iter().copied());
        let ratio = start.median / hello.median;
        if ratio > worst.0 && position > 0 {
            worst = (ratio, name);
        }
        table.row([
            name.clone(),
            format!("{start:.2}"),
            format!("{ratio:.2}"),
            mebibytes(memory[position]),
            mebibytes(setup.size(name)?),
        ]);
    }
    report.section("Cold start: exec to first poll");
    report.add(&format!("{runs} starts of each, taking turns; peak memory (VmHWM) at the first poll.\n"));
    report.table(&table);
    let figure = format!("{:.2} times hello-world ({})", worst.0, worst.1);
    report.bar("slowest start", &figure, worst.0 <= BAR, "at most 2 times");
    Ok(())
}
