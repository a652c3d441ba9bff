//! Rows out of the bytes of a file, as they come.

use csv_core::ReadRecordResult;
use encoding_rs::{UTF_16BE, UTF_16LE, WINDOWS_1252};

use super::{Encoding, Format};

/// The longest row, in bytes: a quote that is never closed makes one row of the rest of the file.
const LONGEST: usize = 1 << 20;

/// The most columns.
const MOST_COLUMNS: usize = 1_000;

/// One row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its cells, as they stand there.
    pub cells: Vec<String>,
    /// The place in the file behind it, in bytes: where a reader may begin anew.
    pub end: u64,
}

/// A row of more than a mebibyte or a thousand columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a row is too long; perhaps a quote is not closed")]
pub struct TooLong;

/// Reads rows from a place between two rows. Empty lines are no rows.
pub struct Reader {
    core: csv_core::Reader,
    encoding: Encoding,
    /// Makes UTF-8 of UTF-16, which no byte of a delimiter can be looked for in.
    decoder: Option<encoding_rs::Decoder>,
    text: String,
    cells: Vec<u8>,
    written: usize,
    ends: Vec<usize>,
    ended: usize,
    position: u64,
    /// Where the bytes end that came so far.
    known: u64,
}

impl Reader {
    /// Begins at the byte `position` of the file, which is where a row begins.
    pub fn new(format: Format, position: u64) -> Self {
        let decoder = match format.encoding {
            Encoding::Utf8 | Encoding::Windows1252 => None,
            Encoding::Utf16Le => Some(UTF_16LE.new_decoder_without_bom_handling()),
            Encoding::Utf16Be => Some(UTF_16BE.new_decoder_without_bom_handling()),
        };
        Self {
            core: behind_a_line(format),
            encoding: format.encoding,
            decoder,
            text: String::new(),
            cells: vec![0; 4096],
            written: 0,
            ends: vec![0; 64],
            ended: 0,
            position,
            known: position,
        }
    }

    /// Takes the next bytes of the file, and adds the rows that they complete to `records`.
    ///
    /// # Errors
    /// [`TooLong`]; then nothing more can be read.
    pub fn feed(&mut self, bytes: &[u8], records: &mut Vec<Record>) -> Result<(), TooLong> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.known += bytes.len() as u64;
        self.take(bytes, false, records)
    }

    /// The file is at its end: adds the row that no line end closes.
    ///
    /// # Errors
    /// [`TooLong`].
    pub fn finish(&mut self, records: &mut Vec<Record>) -> Result<(), TooLong> {
        if self.decoder.is_some() {
            self.take(&[], true, records)?;
        }
        self.read(&[], records)
    }

    fn take(&mut self, bytes: &[u8], last: bool, records: &mut Vec<Record>) -> Result<(), TooLong> {
        let Some(decoder) = &mut self.decoder else { return self.read(bytes, records) };
        let mut text = std::mem::take(&mut self.text);
        text.clear();
        text.reserve(decoder.max_utf8_buffer_length(bytes.len()).unwrap_or(3 * bytes.len() + 16));
        let (_, read, _) = decoder.decode_to_string(bytes, &mut text, last);
        debug_assert_eq!(read, bytes.len(), "there is room for all of it");
        let outcome = if text.is_empty() { Ok(()) } else { self.read(text.as_bytes(), records) };
        self.text = text;
        outcome
    }

    /// `input` is in an encoding that has ASCII; an empty one is the end.
    fn read(&mut self, mut input: &[u8], records: &mut Vec<Record>) -> Result<(), TooLong> {
        let at_end = input.is_empty();
        // Nothing would be taken for the end.
        while at_end || !input.is_empty() {
            let (result, read, written, ended) =
                self.core.read_record(input, &mut self.cells[self.written..], &mut self.ends[self.ended..]);
            self.position += self.bytes_in_file(&input[..read]);
            input = &input[read..];
            self.written += written;
            self.ended += ended;
            match result {
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull if self.cells.len() >= LONGEST => return Err(TooLong),
                ReadRecordResult::OutputFull => self.cells.resize(2 * self.cells.len(), 0),
                ReadRecordResult::OutputEndsFull if self.ends.len() >= MOST_COLUMNS => return Err(TooLong),
                ReadRecordResult::OutputEndsFull => {
                    self.ends.resize((2 * self.ends.len()).min(MOST_COLUMNS), 0);
                }
                ReadRecordResult::Record => {
                    // Half a character of UTF-16 at the end is read as one of another length.
                    let end = if at_end { self.known } else { self.position.min(self.known) };
                    records.push(Record { cells: self.decode(), end });
                    (self.written, self.ended) = (0, 0);
                }
                ReadRecordResult::End => break,
            }
        }
        Ok(())
    }

    /// How many bytes of the file `input` was.
    fn bytes_in_file(&self, input: &[u8]) -> u64 {
        let bytes = match self.decoder {
            None => input.len(),
            // Each character of UTF-8 begins with one byte that continues none; those of four bytes are pairs in UTF-16.
            Some(_) => {
                let units = input.iter().map(|byte| match byte {
                    0x80..=0xBF => 0,
                    0xF0.. => 2,
                    _ => 1,
                });
                2 * units.sum::<usize>()
            }
        };
        bytes as u64
    }

    fn decode(&self) -> Vec<String> {
        let begin = |number: usize| if number == 0 { 0 } else { self.ends[number - 1] };
        let cells = (0..self.ended).map(|number| &self.cells[begin(number)..self.ends[number]]);
        if self.encoding != Encoding::Windows1252 {
            let texts: Result<Vec<_>, _> =
                cells.clone().map(|cell| str::from_utf8(cell).map(str::to_owned)).collect();
            if let Ok(texts) = texts {
                return texts;
            }
        }
        cells.map(|cell| WINDOWS_1252.decode_without_bom_handling(cell).0.into_owned()).collect()
    }
}

/// A reader that has read an empty line, which is no row. One that has read nothing takes a byte order mark for none of the
/// text, wherever in the file it begins; where the file begins is [`sniff`](super::sniff)'s to say.
fn behind_a_line(format: Format) -> csv_core::Reader {
    let mut reader = csv_core::ReaderBuilder::new().delimiter(format.delimiter.byte()).build();
    reader.read_record(b"\n", &mut [0], &mut [0]);
    reader
}

#[cfg(test)]
mod tests {
    use super::super::Delimiter;
    use super::*;
    use proptest::prelude::*;

    fn encode(text: &str, encoding: Encoding) -> Vec<u8> {
        match encoding {
            Encoding::Utf8 => text.as_bytes().to_vec(),
            Encoding::Windows1252 => WINDOWS_1252.encode(text).0.into_owned(),
            Encoding::Utf16Le => text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
            Encoding::Utf16Be => text.encode_utf16().flat_map(u16::to_be_bytes).collect(),
        }
    }

    fn read_in(pieces: &[&[u8]], format: Format, position: u64) -> Vec<Record> {
        let mut reader = Reader::new(format, position);
        let mut records = Vec::new();
        for piece in pieces {
            reader.feed(piece, &mut records).expect("short rows");
        }
        reader.finish(&mut records).expect("short rows");
        records
    }

    fn cells(records: &[Record]) -> Vec<&[String]> {
        records.iter().map(|record| record.cells.as_slice()).collect()
    }

    #[test]
    fn quotes_line_ends_and_empty_lines_are_understood() {
        let format = Format { delimiter: Delimiter::Semicolon, encoding: Encoding::Utf8, header: true };
        let text = "a;b\r\n\r\n\"x;\"\"y\"\"\r\nz\";1\n;\nlast";
        let records = read_in(&[text.as_bytes()], format, 0);
        assert_eq!(
            cells(&records),
            [&["a", "b"][..], &["x;\"y\"\r\nz", "1"], &["", ""], &["last"]]
                .map(|row| row.iter().map(|cell| (*cell).to_owned()).collect::<Vec<_>>())
                .iter()
                .map(Vec::as_slice)
                .collect::<Vec<_>>()
        );
        assert_eq!(records.last().map(|record| record.end), Some(text.len() as u64));
    }

    #[test]
    fn no_row_ends_behind_its_file() {
        let format = Format { delimiter: Delimiter::Comma, encoding: Encoding::Utf16Le, header: false };
        let records = read_in(&[b"a\0,\0b\0\n\0c\0d"], format, 2);
        assert_eq!(cells(&records), [&["a", "b"][..], &["c\u{fffd}"]]);
        assert_eq!(records.iter().map(|record| record.end).collect::<Vec<_>>(), [10, 13]);
        // Of a pair that is cut, too.
        let records = read_in(&[b"\x3d\xd8\x1b"], format, 2);
        assert_eq!(records.last().map(|record| record.end), Some(5));
    }

    #[test]
    fn a_row_that_is_no_utf8_is_latin() {
        let format = Format { delimiter: Delimiter::Comma, encoding: Encoding::Utf8, header: false };
        let records = read_in(&[b"Jos\xE9,1\nJo\xC3\xA3o,2\n"], format, 0);
        assert_eq!(cells(&records), [["José", "1"], ["João", "2"]]);
    }

    #[test]
    fn a_mark_within_a_file_is_of_its_row() {
        let format = Format { delimiter: Delimiter::Comma, encoding: Encoding::Utf8, header: false };
        let text = "a,1\n\u{feff}b,2\n".as_bytes();
        let whole = read_in(&[text], format, 0);
        assert_eq!(cells(&whole), [["a", "1"], ["\u{feff}b", "2"]]);
        let end = whole[0].end;
        assert_eq!(read_in(&[&text[end as usize..]], format, end), whole[1..]);
    }

    #[test]
    fn a_quote_that_is_not_closed_ends_the_reading() {
        let format = Format { delimiter: Delimiter::Comma, encoding: Encoding::Utf8, header: false };
        let mut reader = Reader::new(format, 0);
        let mut text = b"a,\"".to_vec();
        text.extend(b"x,1\n".repeat(LONGEST));
        assert_eq!(reader.feed(&text, &mut Vec::new()), Err(TooLong));
    }

    proptest! {
        /// Whatever the pieces in which a file comes, its rows are the same; and read anew from the end of any row, the
        /// rest is the same.
        #[test]
        fn any_pieces_and_any_beginning_give_the_same_rows(
            rows in prop::collection::vec(prop::collection::vec("[a-zà-ü€ \",;\r\n]{0,6}|[🐛𝒳]", 1..5), 1..8),
            encoding in prop::sample::select(vec![
                Encoding::Utf8, Encoding::Windows1252, Encoding::Utf16Le, Encoding::Utf16Be,
            ]),
            cut in 0.0..1.0,
        ) {
            let format = Format { delimiter: Delimiter::Comma, encoding, header: false };
            let mut writer = super::super::Writer::new(Delimiter::Comma);
            for row in &rows {
                writer.row(row.iter().map(String::as_str));
            }
            let text = String::from_utf8(writer.take()).expect("it writes UTF-8");
            let text = if encoding == Encoding::Windows1252 { text.replace(['🐛', '𝒳'], "x") } else { text };
            let bytes = encode(&text, encoding);
            let whole = read_in(&[&bytes], format, 0);
            let at = (bytes.len() as f64 * cut) as usize;
            prop_assert_eq!(&read_in(&[&bytes[..at], &bytes[at..]], format, 0), &whole);
            for (number, record) in whole.iter().enumerate() {
                let rest = read_in(&[&bytes[record.end as usize..]], format, record.end);
                prop_assert_eq!(&rest, &whole[number + 1..]);
            }
        }
    }
}
