//! Figures of several rounds, and of the machine.

use std::fmt;

/// The least, the middle and the most of some rounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    /// The least.
    pub(crate) min: f64,
    /// The middle one; of an even number, the mean of the two in the middle.
    pub(crate) median: f64,
    /// The most.
    pub(crate) max: f64,
}

impl Spread {
    /// Of at least one value.
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let (Some(&min), Some(&max)) = (values.first(), values.last()) else {
            return Self { min: f64::NAN, median: f64::NAN, max: f64::NAN };
        };
        let (low, high) = (values[(values.len() - 1) / 2], values[values.len() / 2]);
        Self { min, median: f64::midpoint(low, high), max }
    }
}

/// `median (min–max)`, with the precision of the format (`{:.1}`).
impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = f.precision().unwrap_or(1);
        write!(f, "{:.digits$} ({:.digits$}–{:.digits$})", self.median, self.min, self.max)
    }
}

/// What the figures were measured on.
pub(crate) struct Machine {
    /// Processor, cores, memory, kernel, and how busy it was, one a line.
    pub(crate) lines: Vec<String>,
}

impl Machine {
    /// This one, as `/proc` tells. What it does not tell is left out.
    pub(crate) fn read() -> Self {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let field = |text: &str, name: &str| {
            let line = text.lines().find(|line| line.starts_with(name))?;
            Some(line.split_once(':')?.1.trim().to_owned())
        };
        let processor = field(&read("/proc/cpuinfo"), "model name").unwrap_or_else(|| "unknown".to_owned());
        let cores = std::thread::available_parallelism().map_or(0, usize::from);
        let memory = field(&read("/proc/meminfo"), "MemTotal")
            .and_then(|total| total.trim_end_matches("kB").trim().parse::<f64>().ok())
            .unwrap_or_default();
        let load: Vec<_> = read("/proc/loadavg").split(' ').take(3).map(str::to_owned).collect();
        Self {
            lines: vec![
                format!("processor {processor}, {cores} cores"),
                format!("memory {:.1} GiB", memory / 1024.0 / 1024.0),
                format!("kernel {}", read("/proc/sys/kernel/osrelease").trim()),
                format!("load averages before the first measurement {}", load.join(" ")),
            ],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_orders_its_values() {
        assert_eq!(Spread::of([3.0, 1.0, 2.0]), Spread { min: 1.0, median: 2.0, max: 3.0 });
        assert_eq!(Spread::of([4.0, 1.0]).median, 2.5);
        assert_eq!(format!("{:.2}", Spread::of([1.0])), "1.00 (1.00–1.00)");
    }
}
