//! What bytes are, whatever was said of them.

/// Bytes of a file's beginning by which it is known. Office's newer files show themselves in their third entry.
pub const ENOUGH: usize = 16 * 1024;

/// The most bytes of a sticker that does not move.
const LARGEST_STILL_STICKER: i64 = 100 * 1024;

/// What the beginning of a file shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sniffed {
    /// The type that it has, if it is one that shows.
    pub mime_type: Option<&'static str>,
    /// Nothing in it speaks against text.
    pub is_text: bool,
}

/// Looks at the first [`ENOUGH`] bytes of a file, or at all of a shorter one.
pub fn look(beginning: &[u8]) -> Sniffed {
    let mime_type =
        unknown_to_infer(beginning).or_else(|| infer::get(beginning).map(|kind| kind.mime_type()));
    Sniffed { mime_type, is_text: is_text(beginning) }
}

/// Frames of MPEG audio (ISO 11172-3) in versions and layers of which `infer` knows one; the 3GP brands of the MPEG-4
/// container (TS 26.244), of which it knows none; AMR (RFC 4867), which it takes for a script.
fn unknown_to_infer(beginning: &[u8]) -> Option<&'static str> {
    match beginning {
        [0xff, second, third, ..]
            // Eleven bits of synchronisation, layer III, and neither bit rate nor sampling rate of a reserved value.
            if second & 0xe6 == 0xe2 && second & 0x18 != 0x08 && third & 0xf0 != 0xf0 && third & 0x0c != 0x0c =>
        {
            Some("audio/mpeg")
        }
        [b'#', b'!', b'A', b'M', b'R', ..] => Some("audio/amr"),
        [_, _, _, _, b'f', b't', b'y', b'p', b'3', b'g', ..] => Some("video/3gpp"),
        _ => None,
    }
}

/// Text has no control characters but those that lay it out; in UTF-16, of which a mark at the beginning tells, other
/// bytes do.
fn is_text(beginning: &[u8]) -> bool {
    let is_utf_16 = beginning.starts_with(&[0xff, 0xfe]) || beginning.starts_with(&[0xfe, 0xff]);
    is_utf_16 || !beginning.iter().any(|byte| *byte < 0x20 && !b"\t\n\r\x0b\x0c\x1a\x1b".contains(byte))
}

/// Whether a file is not too large for what it turns out to be: a sticker that does not move may be smaller only.
pub fn fits(mime_type: &str, beginning: &[u8], size: i64) -> bool {
    mime_type != "image/webp" || size <= LARGEST_STILL_STICKER || is_animated_webp(beginning)
}

/// The extended header of WebP has a flag for animation (RFC 9649, 2.7).
fn is_animated_webp(beginning: &[u8]) -> bool {
    beginning.get(12..16) == Some(b"VP8X") && beginning.get(20).is_some_and(|flags| flags & 0x02 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mime_type(beginning: &[u8]) -> Option<&'static str> {
        look(beginning).mime_type
    }

    #[test]
    fn bytes_tell_what_they_are() {
        assert_eq!(mime_type(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"), Some("image/png"));
        assert_eq!(mime_type(b"\xff\xd8\xff\xe0\0\x10JFIF"), Some("image/jpeg"));
        assert_eq!(mime_type(b"RIFF\x24\0\0\0WEBPVP8 "), Some("image/webp"));
        assert_eq!(mime_type(b"%PDF-1.7\n"), Some("application/pdf"));
        assert_eq!(mime_type(b"\0\0\0\x20ftypisom\0\0\0\0"), Some("video/mp4"));
        assert_eq!(mime_type(b"\0\0\0\x20ftyp3gp5\0\0\0\0"), Some("video/3gpp"));
        assert_eq!(mime_type(b"\xff\xf3\x44\xc4\0\0"), Some("audio/mpeg"));
        assert_eq!(mime_type(b"ID3\x04\0\0"), Some("audio/mpeg"));
        assert_eq!(mime_type(b"#!AMR\n"), Some("audio/amr"));
        assert_eq!(mime_type(b"MZ\x90\0\x03\0\0\0"), Some("application/vnd.microsoft.portable-executable"));
        assert_eq!(mime_type("nome;telefone\nJosé;62 99999-0000\n".as_bytes()), None);
    }

    #[test]
    fn text_is_told_from_what_is_none() {
        let latin_1 = b"nome;cidade\nJos\xe9;Goi\xe2nia\r\n";
        let utf_16 = b"\xff\xfen\0o\0m\0e\0";
        for text in [latin_1.as_slice(), utf_16, b"", "olá\tmundo".as_bytes()] {
            assert!(look(text).is_text, "{text:?}");
        }
        for binary in [b"PK\x03\x04\x14\0".as_slice(), b"a\0b"] {
            assert!(!look(binary).is_text, "{binary:?}");
        }
    }

    #[test]
    fn a_sticker_that_does_not_move_is_small() {
        let still = b"RIFF\0\0\0\0WEBPVP8 \0\0\0\0";
        let mut moving = b"RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0".to_vec();
        moving.push(0x02);
        assert!(fits("image/webp", still, LARGEST_STILL_STICKER));
        assert!(!fits("image/webp", still, LARGEST_STILL_STICKER + 1));
        assert!(fits("image/webp", &moving, LARGEST_STILL_STICKER + 1));
        assert!(fits("image/png", still, 5_000_000));
    }
}
