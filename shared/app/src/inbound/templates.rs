//! What Meta tells of templates: it is written where the template is known, and else asked for as a whole.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use db::TenantTx;
use db::templates::provided::{self, Told, ToldCategory, ToldStatus};
use domain::CompanyScope;
use domain::event::Event;
use domain::inbound::{TemplateChange, TemplateUpdate};
use domain::job::Job;
use domain::template::TemplateStatus;

use super::Arrived;
use crate::error::Result;
use crate::outbox::Outgoing;

/// Writes a batch of updates; what came twice or out of order changes nothing.
pub(super) async fn apply(
    tx: &mut TenantTx,
    arrived: &[Arrived<'_, TemplateUpdate>],
    now: DateTime<Utc>,
    outgoing: &mut Outgoing,
) -> Result<()> {
    if arrived.is_empty() {
        return Ok(());
    }
    let scope = CompanyScope::assert_verified(tx.company_id());
    let ids: Vec<_> = arrived.iter().map(|update| update.event.provider_template_id.clone()).collect();
    let known: BTreeSet<_> = provided::list_known(tx, &ids).await?.into_iter().collect();
    let mut told: BTreeMap<&str, Told> = BTreeMap::new();
    let mut asked = BTreeSet::new();
    for Arrived { connection_id, event, .. } in arrived {
        let is_known = known.contains(&event.provider_template_id);
        if (!is_known && !is_end(&event.change)) || event.change == TemplateChange::Components {
            asked.insert(*connection_id);
        }
        if is_known {
            let id = event.provider_template_id.as_str();
            let entry = told
                .entry(id)
                .or_insert_with(|| Told { provider_template_id: id.to_owned(), ..Told::default() });
            fold(entry, event);
        }
    }
    let told: Vec<_> = told.into_values().collect();
    for changed in provided::record_told(tx, &told, now).await? {
        outgoing
            .event(scope, Event::TemplateChanged { template_id: changed.id, version: changed.version })?;
    }
    for connection_id in asked {
        outgoing.job(scope, Job::SyncTemplates { connection_id })?;
    }
    Ok(())
}

/// The end of a template that is not here is no news.
fn is_end(change: &TemplateChange) -> bool {
    matches!(
        change,
        TemplateChange::Status { status: TemplateStatus::PendingDeletion | TemplateStatus::Deleted, .. }
    )
}

/// Of two of a kind the later one counts.
fn fold(told: &mut Told, update: &TemplateUpdate) {
    let at = update.at;
    match &update.change {
        TemplateChange::Status { status, reason, detail } => {
            if told.status.as_ref().is_none_or(|known| known.at <= at) {
                let (reason, detail) = (reason.clone(), detail.clone());
                told.status = Some(ToldStatus { status: *status, reason, detail, at });
            }
        }
        TemplateChange::Quality { score } => {
            if told.quality.as_ref().is_none_or(|known| known.1 <= at) {
                told.quality = Some((score.clone(), at));
            }
        }
        TemplateChange::Category { category, next, next_at } => {
            if told.category.as_ref().is_none_or(|known| known.at <= at) {
                let (category, next) = (category.clone(), next.clone());
                told.category = Some(ToldCategory { category, next, next_at: *next_at, at });
            }
        }
        TemplateChange::Components => {}
    }
}
