//! Files that people and customers bring.

use domain::media::{Purpose, agrees, essence, has_thumbnail, is_shown_inline, largest, message_type, sniff};

use crate::seeds::Seed;

/// A file, behind a line that says of which type it is.
pub(super) fn file(input: &[u8]) {
    let end = input.iter().position(|byte| *byte == b'\n').unwrap_or(input.len());
    let said = String::from_utf8_lossy(&input[..end]);
    let bytes = input.get(end + 1..).unwrap_or_default();
    let said = essence(&said);
    assert_eq!(essence(&said), said, "a type has one spelling");
    let sniffed = sniff::look(bytes);
    assert_eq!(sniffed, sniff::look(bytes), "looked at twice");
    let beginning = &bytes[..bytes.len().min(sniff::ENOUGH)];
    let is_utf_16 = bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]);
    assert!(!sniffed.is_text || is_utf_16 || !bytes.contains(&0), "no text holds a NUL");
    for purpose in [Purpose::Message, Purpose::Import, Purpose::Export, Purpose::Inbound] {
        let agreed = agrees(purpose, &said, sniffed.mime_type, sniffed.is_text);
        if !agreed || largest(purpose, &said).is_none() {
            continue;
        }
        // What a browser shows where it stands shows what was said of it.
        if is_shown_inline(&said) && !said.starts_with("audio/") && !said.starts_with("video/") {
            assert_eq!(sniffed.mime_type.map(essence), Some(said.clone()), "shown for another type");
        }
        assert!(!has_thumbnail(&said) || sniffed.mime_type.is_some(), "a picture of nothing");
        let said_to_be_text = said.starts_with("text/") || purpose == Purpose::Import;
        assert!(!said_to_be_text || sniffed.is_text, "no text");
    }
    assert!(message_type(&said).is_none() || largest(Purpose::Message, &said).is_some());
    let size = i64::try_from(bytes.len()).expect("it is small");
    assert!(sniff::fits(&said, beginning, size) || said == "image/webp");
}

pub(super) fn seeds() -> Vec<Seed> {
    let mut moving = b"image/webp\nRIFF\0\0\0\0WEBPVP8X\x0a\0\0\0".to_vec();
    moving.extend([2, 0, 0, 0]);
    let zip = b"PK\x03\x04\x14\0\x06\0\x08\0\0\0!\0\0\0\0\0\0\0\0\0\0\0\0\0\x13\0\0\0[Content_Types].xml";
    let word = b"application/vnd.openxmlformats-officedocument.wordprocessingml.document\n";
    let files: [(&str, &[u8]); 14] = [
        ("png", b"image/png\n\x89PNG\r\n\x1a\n\0\0\0\rIHDR"),
        ("jpeg", b"image/JPG\n\xff\xd8\xff\xe0\0\x10JFIF"),
        ("webp", b"image/webp\nRIFF\x24\0\0\0WEBPVP8 "),
        ("webp_moving", &moving),
        ("pdf", b"application/pdf\n%PDF-1.7\n"),
        ("mp4", b"video/mp4\n\0\0\0\x20ftypisom\0\0\0\0"),
        ("3gp", b"video/3gpp\n\0\0\0\x20ftyp3gp5\0\0\0\0"),
        ("mp3", b"audio/mp3\nID3\x04\0\0"),
        ("mpeg", b"audio/mpeg\n\xff\xf3\x44\xc4\0\0"),
        ("amr", b"audio/amr\n#!AMR\n"),
        ("ogg", b"audio/ogg; codecs=opus\nOggS\0\x02\0\0\0\0\0\0\0\0"),
        ("docx", &[&word[..], zip].concat()),
        ("doc", b"application/msword\n\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1\0\0"),
        ("csv", "text/csv\nnome;telefone\nJosé;62 99999-0000\n".as_bytes()),
    ];
    files.into_iter().map(|(name, file)| (name.to_owned(), file.to_vec())).collect()
}
