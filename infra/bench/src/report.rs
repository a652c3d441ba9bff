//! What is printed and written: tables, and whether a bar is met.

use std::path::Path;

use anyhow::Context as _;

use crate::measure::Machine;

/// A report in Markdown that is printed while it grows.
pub(crate) struct Report {
    text: String,
}

/// A table in the making.
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

impl Report {
    /// Begins with where, when and how the figures were made.
    pub(crate) fn new(command: &str, date: &str, machine: &Machine) -> Self {
        let mut report = Self { text: String::new() };
        report.add("# Results\n");
        report.add(&format!(
            "Written by `{command}` on {date}; a figure is `median (least–most)` of its rounds.\n"
        ));
        for line in &machine.lines {
            report.add(&format!("- {line}"));
        }
        report
    }

    /// Adds a heading.
    pub(crate) fn section(&mut self, title: &str) {
        self.add(&format!("\n## {title}\n"));
    }

    /// Adds a paragraph or a line of a list.
    pub(crate) fn add(&mut self, text: &str) {
        println!("{text}");
        self.text.push_str(text);
        self.text.push('\n');
    }

    /// Adds a table.
    pub(crate) fn table(&mut self, table: &Table) {
        self.add(&table.text());
    }

    /// Adds whether a figure meets its bar. A miss is said, not punished: whoever reads decides.
    pub(crate) fn bar(&mut self, what: &str, figure: &str, is_met: bool, bar: &str) {
        let verdict = if is_met { "met" } else { "MISSED" };
        self.add(&format!("- {what}: {figure}; bar {bar}: **{verdict}**"));
    }

    /// Writes everything over `path`.
    ///
    /// # Errors
    /// When it is not writable.
    pub(crate) fn write(&self, path: &Path) -> anyhow::Result<()> {
        std::fs::write(path, &self.text).with_context(|| format!("cannot write {}", path.display()))
    }
}

impl Table {
    /// A table with these columns.
    pub(crate) fn new<const N: usize>(columns: [&str; N]) -> Self {
        Self { rows: vec![columns.map(str::to_owned).to_vec(), vec!["---".to_owned(); N]] }
    }

    /// Adds a row, with as many cells as there are columns.
    pub(crate) fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(cells.to_vec());
    }

    /// The rows, their cells padded so that they also read well as plain text.
    fn text(&self) -> String {
        let columns = self.rows.first().map_or(0, Vec::len);
        let length =
            |row: &Vec<String>, column: usize| row.get(column).map_or(0, |cell| cell.chars().count());
        let widths: Vec<usize> = (0..columns)
            .map(|column| self.rows.iter().map(|row| length(row, column)).max().unwrap_or_default())
            .collect();
        let line = |row: &Vec<String>| {
            let cells: Vec<_> =
                row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
            format!("| {} |\n", cells.join(" | "))
        };
        self.rows.iter().map(line).collect()
    }
}

/// Bytes as MiB, to a tenth.
pub(crate) fn mebibytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / 1024.0 / 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_padded_to_their_column() {
        let mut table = Table::new(["a", "long"]);
        table.row(["água".to_owned(), "1".to_owned()]);
        assert_eq!(table.text(), "| a    | long |\n| ---  | ---  |\n| água | 1    |\n");
    }
}
