//! CSV files as people have them: which separator, which encoding, a first row of names or none. Read piece by piece from
//! any place between two rows, and written so that no spreadsheet program takes a cell for a formula.

mod reader;
mod sniff;
mod writer;

use std::collections::{HashMap, HashSet};

use serde::{Deserialize, Serialize};

pub use reader::{Reader, Record, TooLong};
pub use sniff::{NotText, Sniffed, sniff};
pub use writer::{Writer, guard, unguard};

/// What stands between two cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, sqlx::Type)]
#[sqlx(type_name = "text")]
pub enum Delimiter {
    /// As most programs write it.
    #[serde(rename = ",")]
    #[sqlx(rename = ",")]
    Comma,
    /// As Excel writes it where the comma is the decimal sign, in Brazil.
    #[serde(rename = ";")]
    #[sqlx(rename = ";")]
    Semicolon,
    /// As it is copied out of a spreadsheet.
    #[serde(rename = "\t")]
    #[sqlx(rename = "\t")]
    Tab,
    /// As older systems write it.
    #[serde(rename = "|")]
    #[sqlx(rename = "|")]
    Pipe,
}

impl Delimiter {
    /// Every one, the likeliest first.
    pub const ALL: [Self; 4] = [Self::Comma, Self::Semicolon, Self::Tab, Self::Pipe];

    /// Its byte, in every encoding that we read.
    pub fn byte(self) -> u8 {
        match self {
            Self::Comma => b',',
            Self::Semicolon => b';',
            Self::Tab => b'\t',
            Self::Pipe => b'|',
        }
    }
}

/// How letters are written as bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, sqlx::Type)]
#[sqlx(type_name = "text")]
pub enum Encoding {
    /// UTF-8. A row that is none is read as Windows-1252: some programs write both into one file.
    #[serde(rename = "utf-8")]
    #[sqlx(rename = "utf-8")]
    Utf8,
    /// UTF-16 as Windows writes it.
    #[serde(rename = "utf-16le")]
    #[sqlx(rename = "utf-16le")]
    Utf16Le,
    /// The other UTF-16.
    #[serde(rename = "utf-16be")]
    #[sqlx(rename = "utf-16be")]
    Utf16Be,
    /// Windows-1252, which holds all of Latin-1.
    #[serde(rename = "windows-1252")]
    #[sqlx(rename = "windows-1252")]
    Windows1252,
}

/// How a file is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Format {
    /// What stands between two cells.
    pub delimiter: Delimiter,
    /// How letters are written.
    pub encoding: Encoding,
    /// The first row holds the columns' names.
    pub header: bool,
}

/// A name for each of `width` columns, all different: those of the header, and `column_3` where it has none.
pub fn column_names(header: Option<&Record>, width: usize) -> Vec<String> {
    let mut names: Vec<String> = Vec::with_capacity(width);
    let mut taken: HashSet<String> = HashSet::with_capacity(width);
    // How often a name came: a thousand columns may have the same one.
    let mut came: HashMap<String, usize> = HashMap::new();
    for number in 0..width {
        let said = header.and_then(|header| header.cells.get(number)).map(|cell| cell.trim());
        let name = match said {
            Some(name) if !name.is_empty() => name.chars().filter(|c| !c.is_control()).take(100).collect(),
            _ => format!("column_{}", number + 1),
        };
        let again = came.entry(name.clone()).or_insert(1);
        let mut unique = name.clone();
        while !taken.insert(unique.clone()) {
            *again += 1;
            unique = format!("{name} ({again})");
        }
        names.push(unique);
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_have_names_of_their_own() {
        let header =
            Record { cells: ["Nome", " ", "Fone", "Fone", "Fone (2)"].map(str::to_owned).into(), end: 0 };
        assert_eq!(
            column_names(Some(&header), 6),
            ["Nome", "column_2", "Fone", "Fone (2)", "Fone (2) (2)", "column_6"]
        );
        assert_eq!(column_names(None, 2), ["column_1", "column_2"]);
    }
}
