//! Rows as a CSV file.

use std::borrow::Cow;

use super::Delimiter;

/// Writes rows into memory; [`Writer::take`] takes what is there so far.
#[derive(Debug)]
pub struct Writer {
    delimiter: char,
    text: String,
}

impl Writer {
    /// Writes nothing yet.
    pub fn new(delimiter: Delimiter) -> Self {
        Self { delimiter: delimiter.byte().into(), text: String::new() }
    }

    /// Adds the byte order mark by which Excel knows UTF-8.
    pub fn mark(&mut self) {
        self.text.push('\u{feff}');
    }

    /// Adds a row.
    pub fn row<'a>(&mut self, cells: impl IntoIterator<Item = &'a str>) {
        let begin = self.text.len();
        for (number, cell) in cells.into_iter().enumerate() {
            if number > 0 {
                self.text.push(self.delimiter);
            }
            let plain = cell
                .bytes()
                .all(|byte| byte != b'"' && byte != b'\r' && byte != b'\n' && byte != self.delimiter as u8);
            if plain {
                self.text.push_str(cell);
            } else {
                self.text.push('"');
                self.text.push_str(&cell.replace('"', "\"\""));
                self.text.push('"');
            }
        }
        // A row of one empty cell would be an empty line, which is no row.
        if self.text.len() == begin {
            self.text.push_str("\"\"");
        }
        self.text.push_str("\r\n");
    }

    /// How many bytes are there.
    pub fn len(&self) -> usize {
        self.text.len()
    }

    /// Whether nothing is there.
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// Takes what is there.
    pub fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.text).into_bytes()
    }
}

/// What makes a spreadsheet program take a cell for a formula when it begins with it.
const FORMULA: [char; 10] = ['=', '+', '-', '@', '\t', '\r', '＝', '＋', '－', '＠'];

/// A cell as a spreadsheet program may have it: with an apostrophe before what it would take for a formula. Numbers with
/// a sign, which telephone numbers are, stay as they are. What looks as if it had one already gets one too, so that
/// [`unguard`] gives back what was there.
pub fn guard(cell: &str) -> Cow<'_, str> {
    if cell.trim_start_matches('\'').starts_with(FORMULA) && !is_number(cell) {
        Cow::Owned(format!("'{cell}"))
    } else {
        Cow::Borrowed(cell)
    }
}

/// A cell without the apostrophe that [`guard`] put before it.
pub fn unguard(cell: &str) -> &str {
    let is_guarded = |rest: &&str| rest.trim_start_matches('\'').starts_with(FORMULA);
    cell.strip_prefix('\'').filter(is_guarded).unwrap_or(cell)
}

fn is_number(cell: &str) -> bool {
    let digits = cell.strip_prefix(['+', '-']).unwrap_or(cell);
    let (whole, fraction) = digits.split_once(['.', ',']).unwrap_or((digits, "0"));
    [whole, fraction].iter().all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formulas_are_guarded_and_numbers_are_not() {
        for formula in ["=1+1", "+SUM(A1)", "-2+3", "@A1", "\t=1", "+", "-1-1", "＝1", "=HYPERLINK(\"x\")"] {
            assert_eq!(guard(formula), format!("'{formula}"));
            assert_eq!(unguard(&guard(formula)), formula);
        }
        for apostrophes in ["'=1+1", "''=1", "'-12", "'+vip"] {
            assert_eq!(guard(apostrophes), format!("'{apostrophes}"));
            assert_eq!(unguard(&guard(apostrophes)), apostrophes);
        }
        for plain in ["+5562999990001", "-12,5", "-1.25", "Ana", "", "'aspas", "a=b", "d'Ávila"] {
            assert_eq!(guard(plain), plain);
            assert_eq!(unguard(plain), plain);
        }
    }
}
