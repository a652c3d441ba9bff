//! Delivery reports: folded to one a message, applied all at once, never backwards; and what they say of connections.

use std::collections::{BTreeMap, HashMap};

use db::TenantTx;
use db::messages::delivery::{Applied, Changed, Report};
use domain::connection::ConnectionKind;
use domain::event::Event;
use domain::health::{Finding, Obstacle};
use domain::inbound::{InboundEvent, StatusUpdate};
use domain::message::MessageStatus;
use domain::{CompanyScope, ConnectionId, MessageId};
use serde_json::{Map, Value};

use super::{Arrived, normalise};
use crate::connections::health::Told;
use crate::error::{Result, internal};
use crate::outbox::Outgoing;

/// Applies the statuses of a batch; the messages that came through.
pub(super) async fn apply(
    tx: &mut TenantTx,
    arrived: &[Arrived<'_, StatusUpdate>],
    outgoing: &mut Outgoing,
) -> Result<Vec<MessageId>> {
    let reports = fold(arrived.iter().map(|arrived| (arrived.connection_id, arrived.event)))?;
    if reports.is_empty() {
        return Ok(Vec::new());
    }
    let applied = db::messages::delivery::apply_reports(tx, &reports).await?;
    announce(tx, &applied, outgoing)?;
    let mut came_through = list_come_through(&applied);

    // A report may overtake the record of the send that it is about. The journal keeps it, and the record looks
    // there; the lock makes one of the two see the other.
    let unmatched: Vec<_> = reports
        .into_iter()
        .zip(&applied)
        .filter(|(_, applied)| **applied == Applied::Unmatched)
        .map(|(report, _)| report)
        .collect();
    if unmatched.is_empty() {
        return Ok(came_through);
    }
    lock(tx, unmatched.iter().map(|report| (report.connection_id, report.provider_message_id.as_str())))
        .await?;
    let applied = db::messages::delivery::apply_reports(tx, &unmatched).await?;
    announce(tx, &applied, outgoing)?;
    came_through.extend(list_come_through(&applied));
    Ok(came_through)
}

fn list_come_through(applied: &[Applied]) -> Vec<MessageId> {
    let arrived = |applied: &Applied| match applied {
        Applied::Changed(Changed { id, status: MessageStatus::Delivered | MessageStatus::Read, .. }) => {
            Some(*id)
        }
        Applied::Changed(_) | Applied::Unchanged | Applied::Unmatched => None,
    };
    applied.iter().filter_map(arrived).collect()
}

/// What the reports of failures say of their connections; of several that say the same the last one counts.
pub(super) fn told_of_connections(
    arrived: &[Arrived<'_, StatusUpdate>],
) -> impl Iterator<Item = ((ConnectionId, Obstacle), Told)> {
    arrived.iter().filter_map(|Arrived { connection_id, event, .. }| {
        let finding =
            Finding { obstacle: event.obstacle?, detail: event.error.as_ref().map(|it| it.title.clone()) };
        Some(((*connection_id, finding.obstacle), Told { finding, at: event.at }))
    })
}

/// Waits for whoever is about to connect one of these provider ids with a message, connection by connection.
pub(super) async fn lock<'a>(
    tx: &mut TenantTx,
    named: impl Iterator<Item = (ConnectionId, &'a str)>,
) -> Result<()> {
    let mut by_connection: BTreeMap<ConnectionId, Vec<String>> = BTreeMap::new();
    for (connection_id, id) in named {
        by_connection.entry(connection_id).or_default().push(id.to_owned());
    }
    for (connection_id, ids) in by_connection {
        db::messages::delivery::lock_provider_ids(tx, connection_id, &ids).await?;
    }
    Ok(())
}

/// Applies what the journal knows already of a message whose provider id was recorded just now, in this transaction.
///
/// The caller holds the lock of the provider id.
pub(crate) async fn replay_for(
    tx: &mut TenantTx,
    connection_id: ConnectionId,
    kind: ConnectionKind,
    provider_message_id: &str,
) -> Result<Option<Changed>> {
    let payloads = db::journal::list_statuses(tx, connection_id, provider_message_id).await?;
    let updates: Vec<_> = payloads
        .iter()
        .filter_map(|payload| match normalise(kind, payload) {
            InboundEvent::Status(update) => Some(update),
            _ => None,
        })
        .collect();
    let reports = fold(updates.iter().map(|update| (connection_id, &**update)))?;
    if reports.is_empty() {
        return Ok(None);
    }
    let applied = db::messages::delivery::apply_reports(tx, &reports).await?;
    Ok(applied.into_iter().find_map(|applied| match applied {
        Applied::Changed(changed) => Some(changed),
        Applied::Unchanged | Applied::Unmatched => None,
    }))
}

fn announce(tx: &TenantTx, applied: &[Applied], outgoing: &mut Outgoing) -> Result<()> {
    let scope = CompanyScope::assert_verified(tx.company_id());
    for applied in applied {
        if let Applied::Changed(changed) = applied {
            outgoing.event(scope, changed_event(*changed))?;
        }
    }
    Ok(())
}

/// The event of a message that climbed.
pub(crate) fn changed_event(changed: Changed) -> Event {
    Event::MessageStatusChanged {
        message_id: changed.id,
        conversation_id: changed.conversation_id,
        status: changed.status,
        version: changed.version,
    }
}

fn fold<'a>(updates: impl Iterator<Item = (ConnectionId, &'a StatusUpdate)>) -> Result<Vec<Report>> {
    let mut reports: Vec<Report> = Vec::new();
    let mut positions: HashMap<(ConnectionId, &str), usize> = HashMap::new();
    for (connection_id, update) in updates {
        let position =
            *positions.entry((connection_id, update.provider_message_id.as_str())).or_insert_with(|| {
                reports.push(Report {
                    connection_id,
                    provider_message_id: update.provider_message_id.clone(),
                    callback: None,
                    // Lower than anything that is reported.
                    status: MessageStatus::Queued,
                    sent_at: None,
                    delivered_at: None,
                    read_at: None,
                    failed_at: None,
                    error: None,
                    billing: None,
                });
                reports.len() - 1
            });
        let report = &mut reports[position];
        if let Some(callback) = &update.callback {
            report.callback = callback.parse().ok().or(report.callback);
        }
        let time = match update.status {
            MessageStatus::Sent => &mut report.sent_at,
            MessageStatus::Delivered => &mut report.delivered_at,
            MessageStatus::Read => &mut report.read_at,
            MessageStatus::Failed => &mut report.failed_at,
            // No provider reports these of a message of ours.
            MessageStatus::Received
            | MessageStatus::Queued
            | MessageStatus::Sending
            | MessageStatus::Unknown => {
                continue;
            }
        };
        *time = Some(time.map_or(update.at, |known| known.min(update.at)));
        let climbs = report.status.climbs_to(update.status);
        if climbs {
            report.status = update.status;
            report.error = update.error.as_ref().map(serde_json::to_value).transpose().map_err(internal)?;
        }
        // What the report on the higher status says stands; the other adds to it.
        if let Value::Object(told) = &update.billing {
            let billing = report.billing.get_or_insert_with(|| Value::Object(Map::new()));
            for (name, value) in told {
                if climbs || billing.get(name).is_none() {
                    billing[name] = value.clone();
                }
            }
        }
    }
    Ok(reports)
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::{DateTime, TimeDelta};
    use uuid::Uuid;

    fn update(status: MessageStatus, second: i64) -> StatusUpdate {
        StatusUpdate {
            provider_message_id: "wamid.1".to_owned(),
            callback: None,
            status,
            at: DateTime::UNIX_EPOCH + TimeDelta::seconds(second),
            error: None,
            opted_out: None,
            obstacle: None,
            recipient: Vec::new(),
            billing: Value::Null,
        }
    }

    #[test]
    fn reports_of_one_message_fold_to_the_highest_with_every_time() {
        let connection = ConnectionId(Uuid::nil());
        let updates = [
            update(MessageStatus::Read, 3),
            update(MessageStatus::Sent, 1),
            update(MessageStatus::Failed, 4),
            update(MessageStatus::Delivered, 2),
        ];
        let reports = fold(updates.iter().map(|update| (connection, update))).expect("folds");
        let [report] = reports.as_slice() else { panic!("one message, one report") };
        assert_eq!(report.status, MessageStatus::Read);
        assert_eq!(report.error, None);
        let seconds = [report.sent_at, report.delivered_at, report.read_at, report.failed_at]
            .map(|at| at.map(|at| at.timestamp()));
        assert_eq!(seconds, [Some(1), Some(2), Some(3), Some(4)]);
    }
}
