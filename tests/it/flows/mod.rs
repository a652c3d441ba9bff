//! What the API promises, answer by answer, and what happens when third parties fail, from outside; and from inside one
//! process (`testkit::flow`) what happens when processes die and events come in any order.

mod board;
mod boards;
mod channels;
mod consents;
mod contact_lists;
mod contacts;
mod conversations;
mod customer;
mod erasures;
mod exports;
mod files;
mod graph;
mod headers;
mod idempotency;
mod imports;
mod inbound_media;
mod killed;
mod late_news;
mod leads;
mod lists;
pub(crate) mod media;
mod merges;
mod model;
mod moves;
mod one_process;
mod people;
mod plans;
mod problems;
mod quick_replies;
mod segments;
mod sessions;
mod shuffled;
mod signup;
mod writing;
