//! What a file is, by its first bytes.

use super::{Delimiter, Encoding, Format, Reader, Record};

/// Rows that are looked at.
const ROWS: usize = 100;

/// How a file is to be read, and from where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sniffed {
    /// How it is to be read.
    pub format: Format,
    /// Where its first row begins: behind the byte order mark.
    pub start: u64,
}

/// The file is no text: a spreadsheet program's own format, a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the file is no text")]
pub struct NotText;

/// Finds out how a file is to be read by its first bytes, `whole` when these are all of it. What is `Some` is known already.
///
/// # Errors
/// [`NotText`].
pub fn sniff(
    head: &[u8],
    whole: bool,
    encoding: Option<Encoding>,
    delimiter: Option<Delimiter>,
    header: Option<bool>,
) -> Result<Sniffed, NotText> {
    let (marked, start) = match head {
        [0xEF, 0xBB, 0xBF, ..] => (Some(Encoding::Utf8), 3),
        [0xFF, 0xFE, ..] => (Some(Encoding::Utf16Le), 2),
        [0xFE, 0xFF, ..] => (Some(Encoding::Utf16Be), 2),
        _ => (None, 0),
    };
    let text = &head[start..];
    // A mark that another encoding would read as letters is no mark of it.
    let encoding = marked.or(encoding).unwrap_or_else(|| encoding_of(text));
    let is_wide = matches!(encoding, Encoding::Utf16Le | Encoding::Utf16Be);
    if !is_wide && text.contains(&0) {
        return Err(NotText);
    }
    let rows = |delimiter| {
        let format = Format { delimiter, encoding, header: false };
        read(text, whole, format)
    };
    let delimiter = delimiter.unwrap_or_else(|| likeliest(rows));
    let header = header.unwrap_or_else(|| rows(delimiter).first().is_some_and(is_header));
    Ok(Sniffed { format: Format { delimiter, encoding, header }, start: start as u64 })
}

/// The first complete rows.
fn read(text: &[u8], whole: bool, format: Format) -> Vec<Record> {
    let mut reader = Reader::new(format, 0);
    let mut records = Vec::new();
    let complete = reader.feed(text, &mut records);
    if whole && complete.is_ok() {
        // What a missing quote swallows is not looked at.
        if reader.finish(&mut records).is_err() {
            records.clear();
        }
    }
    records.truncate(ROWS);
    records
}

/// UTF-8 when it is that, up to a character that the end cuts; Windows-1252 otherwise, which every text is.
fn encoding_of(text: &[u8]) -> Encoding {
    match str::from_utf8(text) {
        Ok(_) => Encoding::Utf8,
        Err(error) if error.error_len().is_none() => Encoding::Utf8,
        Err(_) => Encoding::Windows1252,
    }
}

/// The delimiter by which most rows have as many cells as the first one, and more than one.
fn likeliest(rows: impl Fn(Delimiter) -> Vec<Record>) -> Delimiter {
    let mut best = (Delimiter::Comma, 0.0);
    for delimiter in Delimiter::ALL {
        let rows = rows(delimiter);
        let Some(width) = rows.first().map(|row| row.cells.len()).filter(|width| *width > 1) else {
            continue;
        };
        let alike = rows.iter().filter(|row| row.cells.len() == width).count();
        // The share counts most: a comma within names is there as often as in the first row by accident only.
        let share = alike as f64 / rows.len() as f64;
        let score = share.powi(4) * (1.0 + (width as f64).ln());
        if score > best.1 {
            best = (delimiter, score);
        }
    }
    best.0
}

/// Names of columns are words: no addresses and no numbers, of which every customer has one.
fn is_header(row: &Record) -> bool {
    let is_data = |cell: &str| {
        let cell = cell.trim();
        let digits = cell.bytes().filter(u8::is_ascii_digit).count();
        crate::user::is_email(cell)
            || (digits > 0 && cell.chars().all(|c| c.is_ascii_digit() || " +-().,/:'".contains(c)))
    };
    row.cells.iter().any(|cell| !cell.trim().is_empty()) && !row.cells.iter().any(|cell| is_data(cell))
}

#[cfg(test)]
mod tests {
    use super::super::Writer;
    use super::*;
    use proptest::prelude::*;

    fn guess(head: &[u8]) -> Sniffed {
        sniff(head, true, None, None, None).expect("it is text")
    }

    #[test]
    fn files_as_programs_write_them_are_known() {
        let is = |delimiter, encoding, header, start| Sniffed {
            format: Format { delimiter, encoding, header },
            start,
        };
        use Delimiter::{Comma, Pipe, Semicolon, Tab};
        use Encoding::{Utf8, Utf16Be, Utf16Le, Windows1252};
        let wide = |text: &str| -> Vec<u8> {
            [0xFF, 0xFE].into_iter().chain(text.encode_utf16().flat_map(u16::to_le_bytes)).collect()
        };
        let wide_be = |text: &str| -> Vec<u8> {
            [0xFE, 0xFF].into_iter().chain(text.encode_utf16().flat_map(u16::to_be_bytes)).collect()
        };
        let files: [(&[u8], Sniffed); 10] = [
            (b"nome,telefone\nAna,62999990001\n", is(Comma, Utf8, true, 0)),
            (b"\xEF\xBB\xBFnome;telefone\r\nAna;62999990001\r\n", is(Semicolon, Utf8, true, 3)),
            (b"nome;fone\nSilva, Ana;6299\nSouza, Rui;6298\n", is(Semicolon, Utf8, true, 0)),
            (b"nome;valor;fone\nAna;1,50;6299\nRui;2,50;6298\n", is(Semicolon, Utf8, true, 0)),
            (b"nome\tfone\nAna\t6299\n", is(Tab, Utf8, true, 0)),
            (b"nome|fone\nAna|6299\n", is(Pipe, Utf8, true, 0)),
            (b"Jos\xE9;62999990001\n", is(Semicolon, Windows1252, false, 0)),
            (b"ana@loja.com.br\nrui@loja.com.br\n", is(Comma, Utf8, false, 0)),
            (&wide("nome\tfone\nJos\u{e9}\t6299\n"), is(Tab, Utf16Le, true, 2)),
            (&wide_be("nome;fone\nJos\u{e9};6299\n"), is(Semicolon, Utf16Be, true, 2)),
        ];
        for (file, expected) in files {
            assert_eq!(guess(file), expected, "{}", String::from_utf8_lossy(file));
        }
        assert_eq!(sniff(b"PK\x03\x04\x00\x00", true, None, None, None), Err(NotText));
        let said = sniff(b"a;b\n", true, Some(Windows1252), Some(Comma), Some(false)).expect("text");
        assert_eq!(said, is(Comma, Windows1252, false, 0));
    }

    #[test]
    fn a_character_that_the_end_cuts_is_no_other_encoding() {
        let text = "nome,cidade\nAna,Goiânia\nRui,São".as_bytes();
        let sniffed = sniff(&text[..text.len() - 2], false, None, None, None).expect("text");
        assert_eq!(sniffed.format.encoding, Encoding::Utf8);
    }

    proptest! {
        /// A table that is written by the rules is known for what it is, whatever stands in it.
        #[test]
        fn a_table_is_known_for_what_it_is(
            delimiter in prop::sample::select(Delimiter::ALL.to_vec()),
            encoding in prop::sample::select(vec![
                Encoding::Utf8, Encoding::Windows1252, Encoding::Utf16Le, Encoding::Utf16Be,
            ]),
            names in prop::collection::btree_set("[A-Za-zçãé]{3,10}( [a-z]{2,6})?", 2..6),
            rows in prop::collection::vec(
                ("[A-Z][a-zãé]{2,8}(, [A-Z][a-z]{2,6})?( & [A-Z][a-z]{2,4})?", "[1-9]{2}9[0-9]{8}", "[0-9]{1,3}(,[0-9]{2})?"),
                3..40,
            ),
            header in any::<bool>(),
            marked in any::<bool>(),
        ) {
            let mut writer = Writer::new(delimiter);
            if header {
                writer.row(names.iter().map(String::as_str));
            }
            for (name, phone, number) in &rows {
                let row = [phone.as_str(), name, number, name, number];
                writer.row(row.into_iter().take(names.len()));
            }
            // Without a letter that tells them apart, UTF-8 and Windows-1252 are the same.
            writer.row(["62999990001", "João", "1", "João", "1"].into_iter().take(names.len()));
            let text = String::from_utf8(writer.take()).expect("it writes UTF-8");
            let mark = if encoding == Encoding::Utf8 && !marked { "" } else { "\u{feff}" };
            let bytes: Vec<u8> = match encoding {
                Encoding::Utf8 => format!("{mark}{text}").into_bytes(),
                Encoding::Windows1252 => encoding_rs::WINDOWS_1252.encode(&text).0.into_owned(),
                Encoding::Utf16Le => format!("{mark}{text}").encode_utf16().flat_map(u16::to_le_bytes).collect(),
                Encoding::Utf16Be => format!("{mark}{text}").encode_utf16().flat_map(u16::to_be_bytes).collect(),
            };
            let sniffed = guess(&bytes);
            prop_assert_eq!(sniffed.format, Format { delimiter, encoding, header });
        }
    }
}
