//! Scheduled work: one Lambda a schedule.
//!
//! Rooms: [`outbox`] what other processes left in the outbox leaves all the same.

pub mod outbox;
