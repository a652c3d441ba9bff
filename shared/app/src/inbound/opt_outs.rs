//! Customers who say that they want no more messages, or no more marketing: to us, by a message of a keyword alone, or to the
//! provider.

use chrono::{DateTime, Utc};
use db::TenantTx;
use db::contacts::consents::Consent;
use db::messages::Named;
use db::messages::write::Brought;
use domain::connection::ConnectionKind;
use domain::contact::{ConsentScope, OPT_OUT_KEYWORDS, keyword};
use domain::event::Event;
use domain::inbound::{Keyword, MarketingPreference, ProviderFault, StatusUpdate};
use domain::message::{Direction, MessageType};
use domain::{CompanyScope, ContactId, MessageId};

use super::{Arrived, identity};
use crate::App;
use crate::company;
use crate::contacts::consents;
use crate::error::Result;
use crate::outbox::Outgoing;

/// Where the company heard it: in a message of a keyword, or from the provider to which the customer said it.
const KEYWORD: &str = "keyword";
const PROVIDER: &str = "provider";

/// Writes down what those of `messages` say that are new; where the provider knows a word for one of its own, what that
/// means to it. What was said in a group was said to others. Those in which something was said: it is done, and nobody
/// answers.
pub(super) async fn write_down<'a>(
    app: &App,
    tx: &mut TenantTx,
    messages: impl Iterator<Item = (&'a Brought, Option<Keyword>)>,
    outgoing: &mut Outgoing,
) -> Result<Vec<MessageId>> {
    let mut consents = Vec::new();
    let mut yes = Vec::new();
    let mut said = Vec::new();
    for (message, word) in messages {
        match word {
            Some(Keyword::Stop) => consents.push(consent(app, message, true, PROVIDER)),
            Some(Keyword::Start) => consents.push(consent(app, message, false, PROVIDER)),
            Some(Keyword::Yes) => yes.push(message),
            Some(Keyword::Help) => {}
            None => said.extend(keyword_of(message).map(|word| (message, word))),
        }
    }
    let own = match said.iter().all(|(_, word)| OPT_OUT_KEYWORDS.contains(&word.as_str())) {
        true => Vec::new(),
        false => own_keywords(app, tx).await?,
    };
    let is_opt_out = |word: &String| OPT_OUT_KEYWORDS.contains(&word.as_str()) || own.contains(word);
    let opt_outs = said.into_iter().filter(|(_, word)| is_opt_out(word));
    consents.extend(opt_outs.map(|(message, _)| consent(app, message, true, KEYWORD)));
    insert(app, tx, ConsentScope::All, &consents, outgoing).await?;
    if !yes.is_empty() {
        let whose: Vec<_> = yes.iter().map(|message| message.contact_id).collect();
        let opted_out = db::contacts::consents::list_opted_out(tx, &whose).await?;
        yes.retain(|message| opted_out.contains(&message.contact_id));
        let back: Vec<_> = yes.into_iter().map(|message| consent(app, message, false, PROVIDER)).collect();
        insert(app, tx, ConsentScope::All, &back, outgoing).await?;
        consents.extend(back);
    }
    Ok(consents.into_iter().filter_map(|consent| consent.message_id).collect())
}

fn consent(app: &App, message: &Brought, is_opt_out: bool, source: &str) -> Consent {
    Consent {
        id: app.clock.new_id(),
        contact_id: message.contact_id,
        is_opt_out,
        source: source.to_owned(),
        proof: message.text.clone(),
        message_id: Some(message.id),
        actor_kind: "customer",
        actor_id: None,
        at: message.occurred_at,
    }
}

async fn insert(
    app: &App,
    tx: &mut TenantTx,
    of: ConsentScope,
    consents: &[Consent],
    outgoing: &mut Outgoing,
) -> Result<()> {
    if consents.is_empty() {
        return Ok(());
    }
    let scope = CompanyScope::assert_verified(tx.company_id());
    let now = app.clock.now();
    match of {
        ConsentScope::All => {
            for contact_id in db::contacts::consents::insert_many(tx, consents, now).await? {
                let last = consents.iter().filter(|consent| consent.contact_id == contact_id);
                let is_opt_out =
                    last.max_by_key(|consent| consent.at).is_some_and(|consent| consent.is_opt_out);
                consents::tell(scope, contact_id, is_opt_out, outgoing)?;
            }
        }
        ConsentScope::Marketing => {
            for consent in consents {
                if db::contacts::consents::insert_about_marketing(tx, consent, now).await? {
                    outgoing.event(scope, Event::ContactChanged { contact_id: consent.contact_id })?;
                }
            }
        }
    }
    Ok(())
}

/// Writes down that a customer stopped or resumed marketing. Nobody's refusal is lost: who is not known yet becomes a contact.
pub(super) async fn write_down_preference(
    app: &App,
    tx: &mut TenantTx,
    kind: ConnectionKind,
    preference: &MarketingPreference,
    outgoing: &mut Outgoing,
) -> Result<()> {
    let contacts = identity::resolve(app, tx, &[(&preference.customer, kind)], outgoing).await?;
    let consents: Vec<_> = contacts
        .into_iter()
        .map(|whose| Consent {
            id: app.clock.new_id(),
            contact_id: whose.contact_id,
            is_opt_out: preference.stopped,
            source: PROVIDER.to_owned(),
            proof: None,
            message_id: None,
            actor_kind: "customer",
            actor_id: None,
            at: preference.at,
        })
        .collect();
    insert(app, tx, ConsentScope::Marketing, &consents, outgoing).await
}

/// Writes down whose messages failed because they told the provider that they want no more of them.
pub(super) async fn write_down_told(
    app: &App,
    tx: &mut TenantTx,
    statuses: &[Arrived<'_, StatusUpdate>],
    outgoing: &mut Outgoing,
) -> Result<()> {
    let told: Vec<_> = statuses.iter().filter(|arrived| arrived.event.opted_out.is_some()).collect();
    if told.is_empty() {
        return Ok(());
    }
    let named: Vec<_> = told
        .iter()
        .map(|arrived| (arrived.connection_id, arrived.event.provider_message_id.clone()))
        .collect();
    let ours = db::messages::list_by_provider_ids(tx, &named).await?;
    let told_of = |ours: &Named| {
        let named = (ours.connection_id, &ours.provider_message_id);
        told.iter().find(|it| (it.connection_id, &it.event.provider_message_id) == named)
    };
    for of in [ConsentScope::All, ConsentScope::Marketing] {
        let opt_outs: Vec<_> = ours
            .iter()
            .filter_map(|ours| {
                let StatusUpdate { error, at, opted_out, .. } = told_of(ours)?.event;
                (*opted_out == Some(of)).then(|| refusal(app, ours.id, ours.contact_id, error.as_ref(), *at))
            })
            .collect();
        insert(app, tx, of, &opt_outs, outgoing).await?;
    }
    Ok(())
}

/// Writes down that a provider did not take a message of ours because its recipient told it that they want no more of these.
pub(crate) async fn write_down_refused(
    app: &App,
    tx: &mut TenantTx,
    message_id: MessageId,
    contact_id: ContactId,
    of: ConsentScope,
    fault: &ProviderFault,
    outgoing: &mut Outgoing,
) -> Result<()> {
    let consent = refusal(app, message_id, contact_id, Some(fault), app.clock.now());
    insert(app, tx, of, &[consent], outgoing).await
}

fn refusal(
    app: &App,
    message_id: MessageId,
    contact_id: ContactId,
    fault: Option<&ProviderFault>,
    at: DateTime<Utc>,
) -> Consent {
    Consent {
        id: app.clock.new_id(),
        contact_id,
        is_opt_out: true,
        source: PROVIDER.to_owned(),
        proof: fault.map(|fault| format!("{}: {}", fault.code, fault.title)),
        message_id: Some(message_id),
        actor_kind: "customer",
        actor_id: None,
        at,
    }
}

fn keyword_of(message: &Brought) -> Option<String> {
    let is_words =
        matches!(message.message_type, MessageType::Text | MessageType::Button | MessageType::Interactive);
    let is_customers = message.direction == Direction::Inbound;
    message.text.as_deref().filter(|_| is_words && is_customers).and_then(keyword)
}

async fn own_keywords(app: &App, tx: &mut TenantTx) -> Result<Vec<String>> {
    let settings = company::settings(app, tx).await?;
    Ok(settings.opt_out_keywords.iter().filter_map(|word| keyword(word)).collect())
}
