//! Files: uploaded by the business, or sent by a customer.

use std::collections::{HashMap, VecDeque};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use sha2::{Digest as _, Sha256};

/// Bytes kept in all; the oldest files go first.
const KEPT_BYTES: usize = 256 * 1024 * 1024;

/// One file.
#[derive(Debug, Clone)]
pub(crate) struct Media {
    pub(crate) id: String,
    pub(crate) mime_type: String,
    pub(crate) filename: Option<String>,
    pub(crate) bytes: Bytes,
    sha256: [u8; 32],
}

impl Media {
    /// As `GET /{MEDIA_ID}` writes it.
    pub(crate) fn sha256_hex(&self) -> String {
        hex::encode(self.sha256)
    }

    /// As webhooks write it.
    pub(crate) fn sha256_base64(&self) -> String {
        STANDARD.encode(self.sha256)
    }
}

/// All files by media id.
#[derive(Debug, Default)]
pub(crate) struct MediaStore {
    by_id: HashMap<String, Media>,
    order: VecDeque<String>,
    bytes: usize,
}

impl MediaStore {
    pub(crate) fn get(&self, id: &str) -> Option<&Media> {
        self.by_id.get(id)
    }

    /// Keeps a file and names it.
    pub(crate) fn insert(&mut self, mime_type: &str, filename: Option<String>, bytes: Bytes) -> Media {
        let media = Media {
            id: rand::random_range(100_000_000_000_000_u64..999_999_999_999_999).to_string(),
            mime_type: mime_type.to_owned(),
            filename,
            sha256: Sha256::digest(&bytes).into(),
            bytes,
        };
        self.bytes += media.bytes.len();
        self.order.push_back(media.id.clone());
        self.by_id.insert(media.id.clone(), media.clone());
        while self.bytes > KEPT_BYTES && self.order.len() > 1 {
            if let Some(oldest) = self.order.pop_front() {
                self.remove(&oldest);
            }
        }
        media
    }

    /// Forgets a file; says whether it was there.
    pub(crate) fn remove(&mut self, id: &str) -> bool {
        let removed = self.by_id.remove(id);
        self.bytes -= removed.as_ref().map_or(0, |media| media.bytes.len());
        removed.is_some()
    }
}
