//! What Meta tells of accounts and numbers: what stands in the way of connections, and what has to be asked.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use db::TenantTx;
use db::connections::health as rows;
use domain::event::Event;
use domain::health::Finding;
use domain::inbound::{AccountChange, AccountUpdate};
use domain::job::Job;
use domain::{CompanyScope, ConnectionId};

use super::Arrived;
use crate::connections::health;
use crate::error::Result;
use crate::outbox::Outgoing;

/// What is told of usernames has its own order, as each obstacle has.
const USERNAME: &str = "username";

/// Writes a batch of updates, in their order: they are few, a handful a year of an account.
pub(super) async fn apply(
    tx: &mut TenantTx,
    arrived: &[Arrived<'_, AccountUpdate>],
    now: DateTime<Utc>,
    outgoing: &mut Outgoing,
) -> Result<()> {
    let scope = CompanyScope::assert_verified(tx.company_id());
    let mut concerned: BTreeSet<ConnectionId> = BTreeSet::new();
    let mut checked: BTreeSet<ConnectionId> = BTreeSet::new();
    for Arrived { connection_id, event, .. } in arrived {
        // An event that names no account is about the connection that it came in by.
        let ids = match &event.waba_id {
            Some(waba_id) => db::connections::list_of_account(tx, waba_id).await?,
            None => vec![*connection_id],
        };
        if event.change == AccountChange::Recheck {
            checked.extend(ids);
            continue;
        }
        rows::hold(tx, &ids).await?;
        let (obstacles, detail) = match &event.change {
            AccountChange::Raised { obstacle, detail } => (std::slice::from_ref(obstacle), Some(detail)),
            AccountChange::Cleared { obstacles } => (obstacles.as_slice(), None),
            AccountChange::Username { username } => {
                let ids = heard(tx, event, &ids, USERNAME).await?;
                let number = event.number.as_deref();
                let altered = rows::record_username(tx, &ids, number, username.as_deref()).await?;
                for rows::Altered { id, version } in altered {
                    outgoing.event(scope, Event::ConnectionChanged { connection_id: id, version })?;
                }
                continue;
            }
            AccountChange::Recheck => continue,
        };
        for &obstacle in obstacles {
            let ids = heard(tx, event, &ids, obstacle.as_str()).await?;
            match detail {
                Some(detail) => {
                    let finding = Finding { obstacle, detail: detail.clone() };
                    rows::raise(tx, &ids, &finding, event.at).await?;
                }
                None => rows::clear(tx, &ids, &[obstacle], now).await?,
            }
            concerned.extend(ids);
        }
    }
    let concerned: Vec<_> = concerned.into_iter().collect();
    health::settle(tx, &concerned, now, outgoing).await?;
    for connection_id in checked {
        outgoing.job(scope, Job::CheckConnection { connection_id })?;
    }
    Ok(())
}

/// Those of `ids` to which this is news: of an account reports come in any order.
async fn heard(
    tx: &mut TenantTx,
    event: &AccountUpdate,
    ids: &[ConnectionId],
    about: &str,
) -> Result<Vec<ConnectionId>> {
    let Some(waba_id) = &event.waba_id else { return Ok(ids.to_vec()) };
    Ok(rows::hear_of_account(tx, waba_id, event.number.as_deref(), about, event.at).await?)
}
