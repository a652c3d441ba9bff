//! Queue consumers: one Lambda a queue. What a failure means for a message is decided in `runtime::sqs`.
//!
//! Rooms: [`inbound`] provider events become messages · [`turns`] bursts are complete · [`ai_reply`] they are answered ·
//! [`outbound`] messages go out · [`media`] files come over · [`imports`] contacts come out of files and go into files ·
//! [`mail`] mails to people · [`erasures`] people are forgotten · [`connections`] accounts at providers are asked ·
//! [`push`] browsers see it live.

pub mod ai_reply;
pub mod connections;
pub mod erasures;
pub mod imports;
pub mod inbound;
pub mod mail;
pub mod media;
pub mod outbound;
pub mod push;
pub mod turns;

use app::Error;
use domain::job::Job;

/// A job that stands on a queue whose consumer does not do it: a defect that no repetition mends.
fn misrouted(job: &Job) -> Error {
    Error::Malformed(format!("a job for queue {:?} came to another queue", job.queue()))
}
