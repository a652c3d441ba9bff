//! The rows of a file, read ahead of what is done with them.

use std::collections::VecDeque;
use std::ops::Range;

use bytes::{Bytes, BytesMut};
use cloud::media::MediaError;
use domain::csv::{Format, Reader, Record, TooLong};
use domain::media::MediaState;

use crate::error::{Error, Result, internal};
use crate::{App, media};

/// Bytes that are asked for at a time: what a row costs is reading it, not asking.
const BLOCK: u64 = 4 << 20;

/// Why there are no more rows.
#[derive(Debug)]
pub(super) enum SourceError {
    /// The file is gone, or not what it was.
    Gone,
    /// A row has no end.
    TooLong,
    /// Anything else.
    Failed(Error),
}

/// Reads some bytes of a file.
///
/// # Errors
/// `Rule` when the file is gone; otherwise worth another try.
pub(super) async fn read_range(app: &App, key: &str, range: Range<u64>) -> Result<Bytes> {
    if range.is_empty() {
        return Ok(Bytes::new());
    }
    match fetch(app, key, range).await {
        Ok(bytes) => Ok(bytes),
        Err(MediaError::NotFound) => Err(media::not_ready(MediaState::Gone)),
        Err(error) => Err(internal(error)),
    }
}

async fn fetch(app: &App, key: &str, range: Range<u64>) -> Result<Bytes, MediaError> {
    let mut download = app.media.get_range(key, range).await?;
    let mut bytes = BytesMut::with_capacity(usize::try_from(download.size).unwrap_or_default());
    while let Some(part) = download.next().await? {
        bytes.extend_from_slice(&part);
    }
    Ok(bytes.freeze())
}

/// The rows of a file from a place between two of them.
pub(super) struct Source {
    key: String,
    reader: Reader,
    size: u64,
    /// Bytes that were asked for.
    fetched: u64,
    ready: VecDeque<Record>,
    at_end: bool,
    /// Behind the rows that are ready there is one that has no end.
    broken: Option<TooLong>,
}

impl Source {
    pub(super) fn new(key: String, format: Format, position: u64, size: u64) -> Self {
        let reader = Reader::new(format, position);
        Self { key, reader, size, fetched: position, ready: VecDeque::new(), at_end: false, broken: None }
    }

    /// The next rows, `limit` of them unless the file ends; and whether it does.
    pub(super) async fn next(&mut self, app: &App, limit: usize) -> Result<(Vec<Record>, bool), SourceError> {
        // One row more than is asked for tells whether these are the last.
        while self.ready.len() <= limit && !self.at_end && self.broken.is_none() {
            self.fill(app).await?;
        }
        if self.broken.is_some() && self.ready.is_empty() {
            return Err(SourceError::TooLong);
        }
        let rows: Vec<Record> = self.ready.drain(..limit.min(self.ready.len())).collect();
        Ok((rows, self.at_end && self.ready.is_empty()))
    }

    async fn fill(&mut self, app: &App) -> Result<(), SourceError> {
        let mut rows = Vec::new();
        if self.fetched >= self.size {
            self.broken = self.reader.finish(&mut rows).err();
            self.at_end = self.broken.is_none();
        } else {
            let end = (self.fetched + BLOCK).min(self.size);
            let bytes = match fetch(app, &self.key, self.fetched..end).await {
                Ok(bytes) if bytes.len() as u64 == end - self.fetched => bytes,
                Ok(_) | Err(MediaError::NotFound) => return Err(SourceError::Gone),
                Err(error) => return Err(SourceError::Failed(internal(error))),
            };
            self.fetched = end;
            self.broken = self.reader.feed(&bytes, &mut rows).err();
        }
        self.ready.extend(rows);
        Ok(())
    }
}
