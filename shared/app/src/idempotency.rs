//! Repeated POSTs: a key that the client chose stands for one thing that was made, and for the request that made it.

use db::TenantTx;
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::error::{Error, Result, internal};

/// The header by which a client says that a request may be a repetition.
pub const HEADER: &str = "Idempotency-Key";

/// The longest key, in bytes.
const LONGEST: usize = 255;

/// A client's word for one request: 1 to 255 visible ASCII characters, unique in the company for a day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyKey(String);

impl IdempotencyKey {
    /// Takes the header's text.
    ///
    /// # Errors
    /// `Invalid` for one that is empty, too long or not visible ASCII.
    pub fn parse(text: &[u8]) -> Result<Self> {
        let text =
            str::from_utf8(text).ok().filter(|text| text.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
        match text {
            Some(text) if (1..=LONGEST).contains(&text.len()) => Ok(Self(text.to_owned())),
            _ => Err(Error::invalid(HEADER, format!("1 to {LONGEST} visible ASCII characters"))),
        }
    }
}

/// Takes the key, if there is one, for what `id` will be: a thing of this `kind` that `request` makes. When it stands for
/// something already, the id of that. Two requests with one key at once: the second waits for the first.
///
/// # Errors
/// `Rule` `idempotency_key_reused` when it came with another request.
pub(crate) async fn claim(
    tx: &mut TenantTx,
    key: Option<&IdempotencyKey>,
    kind: &'static str,
    request: &impl Serialize,
    id: Uuid,
) -> Result<Option<Uuid>> {
    let Some(IdempotencyKey(key)) = key else { return Ok(None) };
    let request = serde_json::to_vec(&(kind, request)).map_err(internal)?;
    let request_hash = hex::encode(Sha256::digest(&request));
    match db::idempotency::claim(tx, key, &request_hash, id).await? {
        None => Ok(None),
        Some(known) if known.request_hash == request_hash => Ok(Some(known.resource_id)),
        Some(_) => Err(Error::Rule {
            code: "idempotency_key_reused",
            message: "this Idempotency-Key was used for another request".to_owned(),
        }),
    }
}
