//! Customers who say that they want no more messages, by a message of a keyword alone.

use db::TenantTx;
use db::contacts::consents::Consent;
use db::messages::write::Brought;
use domain::CompanyScope;
use domain::contact::{OPT_OUT_KEYWORDS, keyword};
use domain::message::{Direction, MessageType};

use crate::App;
use crate::contacts::consents;
use crate::error::Result;
use crate::outbox::Outgoing;

/// Where the company heard it.
const SOURCE: &str = "keyword";

/// Writes down what those of `messages` say that are new. What was said in a group was said to others.
pub(super) async fn write_down<'a>(
    app: &App,
    tx: &mut TenantTx,
    messages: impl Iterator<Item = &'a Brought>,
    outgoing: &mut Outgoing,
) -> Result<()> {
    let said: Vec<_> = messages.filter_map(|message| Some((message, keyword_of(message)?))).collect();
    if said.is_empty() {
        return Ok(());
    }
    let own = match said.iter().all(|(_, word)| OPT_OUT_KEYWORDS.contains(&word.as_str())) {
        true => Vec::new(),
        false => own_keywords(tx).await?,
    };
    let is_opt_out = |word: &String| OPT_OUT_KEYWORDS.contains(&word.as_str()) || own.contains(word);
    let opt_outs: Vec<_> = said
        .into_iter()
        .filter(|(_, word)| is_opt_out(word))
        .map(|(message, _)| Consent {
            id: app.clock.new_id(),
            contact_id: message.contact_id,
            is_opt_out: true,
            source: SOURCE.to_owned(),
            proof: message.text.clone(),
            message_id: Some(message.id),
            actor_kind: "customer",
            actor_id: None,
            at: message.occurred_at,
        })
        .collect();
    if opt_outs.is_empty() {
        return Ok(());
    }
    let scope = CompanyScope::assert_verified(tx.company_id());
    for contact_id in db::contacts::consents::insert_many(tx, &opt_outs, app.clock.now()).await? {
        consents::tell(scope, contact_id, true, outgoing)?;
    }
    Ok(())
}

fn keyword_of(message: &Brought) -> Option<String> {
    let is_words =
        matches!(message.message_type, MessageType::Text | MessageType::Button | MessageType::Interactive);
    let is_customers = message.direction == Direction::Inbound;
    message.text.as_deref().filter(|_| is_words && is_customers).and_then(keyword)
}

async fn own_keywords(tx: &mut TenantTx) -> Result<Vec<String>> {
    let company = db::companies::find(tx).await?;
    let words = company.map(|company| company.settings.0.opt_out_keywords).unwrap_or_default();
    Ok(words.iter().filter_map(|word| keyword(word)).collect())
}
