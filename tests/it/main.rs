//! The product seen from outside; some `flows` run it in the test's own process.
//!
//! `template` needs nothing but the checkout. All the others talk to a running stack, which they find by the file that
//! `STACK_FILE` names (see `testkit::stack`); each of them makes a company of its own, so that they can run side by
//! side and again and again. `deployed::outage` and `deployed::soak` stop PostgreSQL and kill workers, and one of
//! `deployed::schedules` rotates the master key: these run alone.
//!
//! Rooms: `accounts` from registration to log-out, and who may do what · `deployed` a customer, a browser, outages, load
//! · `flows` what the API promises, third parties that fail, and, with the handlers in the test's own process, deaths and
//! events in any order · `webhooks` what providers send · `tenancy` who sees what · `template` what is deployed ·
//! `texts` what is said in two languages. `plan` is how those ask for a query's plan who need it, `product` what those
//! speak to who ask the same in the test's own process and where it is deployed.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod accounts;
mod deployed;
mod flows;
mod history;
mod inbox;
mod plan;
mod product;
mod template;
mod tenancy;
mod texts;
mod webhooks;
