//! The whole: a customer's phone at one end, a browser at the other.

mod answer;
mod channels;
mod files;
mod imports;
mod outage;
mod phone;
mod schedules;
mod signup;
mod soak;
