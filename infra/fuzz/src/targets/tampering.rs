//! What somebody in between could do to a signed call.

/// Bytes that are signed at most: more take longer, and tell nothing that these do not.
const LONGEST: usize = 1024;

/// One change of one part of a call, and the call: the first four bytes of an input, and the rest.
pub(super) struct Tampering<'a> {
    what: u8,
    at: usize,
    with: u8,
    /// What is signed.
    pub(super) rest: &'a [u8],
}

impl<'a> Tampering<'a> {
    /// `None` for an input that is too short.
    pub(super) fn read(input: &'a [u8]) -> Option<Self> {
        let (&[what, high, low, with], rest) = input.split_first_chunk()?;
        let rest = &rest[..rest.len().min(LONGEST)];
        Some(Self { what, at: u16::from_be_bytes([high, low]).into(), with, rest })
    }

    /// Seconds that have to do with the change, of which some are in the past.
    pub(super) fn seconds(&self) -> i64 {
        i64::try_from(self.at).unwrap_or_default() - 1_000
    }

    /// Bytes with a bit or more turned, a byte put in or taken out, or the end cut off; `None` when they stay as they are.
    pub(super) fn change(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        let mut changed = bytes.to_vec();
        let at = if bytes.is_empty() { 0 } else { self.at % bytes.len() };
        match self.what % 4 {
            0 if !bytes.is_empty() => changed[at] ^= self.with,
            1 => changed.insert(at, self.with),
            2 if !bytes.is_empty() => drop(changed.remove(at)),
            _ => changed.truncate(at),
        }
        (changed != bytes).then_some(changed)
    }

    /// As [`Self::change`], of a text; `None` also when it is no text any more.
    pub(super) fn change_text(&self, text: &str) -> Option<String> {
        String::from_utf8(self.change(text.as_bytes())?).ok()
    }
}
