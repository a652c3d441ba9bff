//! Files of rows.

use domain::csv::{
    Delimiter, Encoding, Format, Reader, Record, TooLong, Writer, column_names, guard, sniff, unguard,
};
use domain::import::{Field, Row, Rows, suggest};

use crate::seeds::Seed;

/// A file, behind a byte that says what its owner knows of it and one that says in which pieces it comes.
pub(super) fn file(input: &[u8]) {
    let Some((&[hints, pieces], bytes)) = input.split_first_chunk() else { return };
    let encodings = [Encoding::Utf8, Encoding::Utf16Le, Encoding::Utf16Be, Encoding::Windows1252];
    let encoding = (hints & 1 != 0).then(|| encodings[usize::from(hints >> 1 & 3)]);
    let delimiter = (hints & 8 != 0).then(|| Delimiter::ALL[usize::from(hints >> 4 & 3)]);
    let header = (hints & 64 != 0).then_some(hints & 128 != 0);
    let sniffed = sniff(bytes, true, encoding, delimiter, header);
    let Ok(sniffed) = sniffed else { return };
    assert!(delimiter.is_none_or(|known| known == sniffed.format.delimiter), "it was said otherwise");
    assert!(header.is_none_or(|known| known == sniffed.format.header), "it was said otherwise");
    let beginning = sniff(&bytes[..bytes.len().div_ceil(2)], false, encoding, delimiter, header);
    assert!(beginning.is_ok() || bytes.len() < 6, "a text that does not begin as one");
    let start = usize::try_from(sniffed.start).expect("it is small");
    let text = &bytes[start..];
    let piece = usize::from(pieces).max(1);
    let whole = read(&[text], sniffed.format, sniffed.start);
    let in_pieces = read(&text.chunks(piece).collect::<Vec<_>>(), sniffed.format, sniffed.start);
    assert_eq!(whole, in_pieces, "in pieces of {piece}");
    let (records, outcome) = whole;
    let mut behind = sniffed.start;
    for record in &records {
        assert!(record.end > behind && record.end <= bytes.len() as u64, "{} of {}", record.end, bytes.len());
        behind = record.end;
    }
    if let Some(record) = records.get(usize::from(pieces) % records.len().max(1)) {
        let place = records.iter().position(|other| other.end == record.end).expect("it is one of them");
        let rest = &bytes[usize::try_from(record.end).expect("it is small")..];
        let again = read(&[rest], sniffed.format, record.end);
        assert_eq!(again, (records[place + 1..].to_vec(), outcome), "from the end of row {place}");
    }
    rewritten(&records, sniffed.format.delimiter);
    contacts(&records, sniffed.format.header);
}

fn read(pieces: &[&[u8]], format: Format, start: u64) -> (Vec<Record>, Result<(), TooLong>) {
    let mut reader = Reader::new(format, start);
    let mut records = Vec::new();
    for piece in pieces {
        if let Err(error) = reader.feed(piece, &mut records) {
            return (records, Err(error));
        }
    }
    let outcome = reader.finish(&mut records);
    (records, outcome)
}

/// Rows are the same when they are written and read, guarded and not.
fn rewritten(records: &[Record], delimiter: Delimiter) {
    let mut writer = Writer::new(delimiter);
    for record in records {
        for cell in &record.cells {
            assert_eq!(unguard(&guard(cell)), cell, "guarded and unguarded");
        }
        writer.row(record.cells.iter().map(String::as_str));
    }
    let written = writer.take();
    let format = Format { delimiter, encoding: Encoding::Utf8, header: false };
    let (again, outcome) = read(&[&written], format, 0);
    assert_eq!(outcome, Ok(()), "a row that was read was not too long");
    assert!(
        again.iter().map(|record| &record.cells).eq(records.iter().map(|record| &record.cells)),
        "written and read back"
    );
}

fn contacts(records: &[Record], header: bool) {
    let width = records.iter().map(|record| record.cells.len()).max().unwrap_or_default();
    let names = column_names(records.first().filter(|_| header), width);
    assert_eq!(names.len(), width);
    let different: std::collections::HashSet<_> = names.iter().collect();
    assert_eq!(different.len(), width, "two columns of one name");
    let suggested = suggest(&names, records, &[]);
    assert_eq!(suggested.len(), width);
    // The first columns are also read as everything that there is.
    let all = [Field::Name, Field::Phone, Field::Email, Field::ExternalId, Field::Tags];
    let columns = suggested.into_iter().enumerate().filter_map(|(number, field)| Some((number, field?)));
    for columns in [columns.collect(), all.into_iter().enumerate().collect::<Vec<_>>()] {
        let rows = Rows::new(columns, [], "BR");
        // Of a few, for each number takes libphonenumber a while.
        for record in records.iter().take(5) {
            if let Ok(Some(row)) = rows.read(&record.cells) {
                hold(&row);
            }
        }
    }
}

fn hold(row: &Row) {
    let texts = [&row.name, &row.phone, &row.email, &row.external_id].into_iter().flatten().chain(&row.tags);
    for text in texts {
        assert!(!text.is_empty() && text.trim() == text, "no text of a contact: {text:?}");
        assert!(!text.contains(char::is_control), "no line: {text:?}");
    }
    assert!(row.addresses().next().is_some(), "a contact without an address");
}

pub(super) fn seeds() -> Vec<Seed> {
    let wide = |mark: &[u8], unit: fn(u16) -> [u8; 2]| {
        let text = "nome\tfone\nJosé 🐛\t62999990001\n".encode_utf16().flat_map(unit);
        mark.iter().copied().chain(text).collect::<Vec<u8>>()
    };
    let files: [(&str, &[u8]); 11] = [
        ("comma", b"nome,telefone\nAna,62999990001\n"),
        ("semicolon", b"\xEF\xBB\xBFnome;telefone\r\nAna;62999990001\r\n"),
        ("comma_in_names", b"nome;fone\nSilva, Ana;6299\nSouza, Rui;6298\n"),
        ("tab", b"nome\tfone\nAna\t6299\n"),
        ("pipe", b"nome|fone|email|codigo|tags\nAna|11999990001|ana@loja.com.br|A-1|vip;novo\n"),
        ("windows_1252", b"Jos\xE9;62999990001\n"),
        ("no_header", b"ana@loja.com.br\nrui@loja.com.br\n"),
        ("quotes", b"a;b\r\n\r\n\"x;\"\"y\"\"\r\nz\";1\n;\nlast"),
        ("formulas", b"Ana,62999990001,ana@loja.com.br,\"=1+1\",'+vip\n"),
        ("utf_16le", &wide(&[0xFF, 0xFE], u16::to_le_bytes)),
        ("utf_16be", &wide(&[0xFE, 0xFF], u16::to_be_bytes)),
    ];
    files.into_iter().map(|(name, file)| (name.to_owned(), [&[0, 7], file].concat())).collect()
}
