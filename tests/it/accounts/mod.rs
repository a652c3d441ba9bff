//! Accounts: `life` from registration to log-out · `sessions` what keeps people in, and what throws them out · `tokens`
//! forged and foreign credentials · `oauth` Google and Facebook · `limits` how often one may try · `members` who belongs to a company, and may do what ·
//! `impostor` who registers an address that is not theirs · `person` somebody who registers · `colleague` somebody who is invited.

pub(crate) mod colleague;
mod directory;
mod impostor;
mod life;
mod limits;
mod members;
mod oauth;
pub(crate) mod person;
mod sessions;
mod tokens;
