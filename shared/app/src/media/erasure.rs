//! Files that a person had erased.

use db::TenantTx;
use domain::job::Job;
use domain::{CompanyScope, MediaId, MessageId};
use futures::stream::{self, StreamExt as _, TryStreamExt as _};

use super::{store, thumbnail};
use crate::App;
use crate::error::Result;
use crate::outbox::Outgoing;

/// Files of one job.
const AT_ONCE: usize = 200;

/// Requests to the store at a time.
const REQUESTS: usize = 16;

/// Takes the files away that came with these messages: at once for everybody who asks for them, and their bytes by jobs.
///
/// # Errors
/// Database errors only.
pub async fn erase_of_messages(
    tx: &mut TenantTx,
    scope: CompanyScope,
    message_ids: &[MessageId],
    outgoing: &mut Outgoing,
) -> Result<()> {
    let erased = db::media::erase_of_messages(tx, message_ids).await?;
    for media_ids in erased.chunks(AT_ONCE) {
        outgoing.job(scope, Job::DeleteFiles { media_ids: media_ids.to_vec() })?;
    }
    Ok(())
}

/// Deletes the bytes of files that are gone, and of their small pictures. Safe to run twice.
///
/// # Errors
/// Retryable ones only.
pub async fn delete_bytes(app: &App, scope: CompanyScope, media_ids: &[MediaId]) -> Result<()> {
    let mut tx = app.db().await?.begin(scope).await?;
    let keys = db::media::list_keys_of_gone(&mut tx, media_ids).await?;
    tx.commit().await?;
    let keys = keys.into_iter().flat_map(|key| [thumbnail::key_of(&key), key]);
    stream::iter(keys)
        .map(|key| async move { app.media.delete(&key).await.map_err(store) })
        .buffer_unordered(REQUESTS)
        .try_collect()
        .await
}
