//! What a provider told us, in our own words. One [`InboundEvent`] is one message, one status or one notice:
//! webhooks split their payloads before anything else happens.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::contact::ConsentScope;
use crate::health::{Finding, Obstacle};
use crate::message::{MessageStatus, MessageType};
use crate::template::TemplateStatus;

/// How a provider addresses a customer. One contact has many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum AddressKind {
    /// Canonical `+` number, for people.
    E164,
    /// WhatsApp's digits, exactly as WhatsApp gave them.
    WaId,
    /// WhatsApp Web's hidden-number identity.
    Lid,
    /// Business-scoped user id (`BR.…`), since 2026.
    Bsuid,
    /// An email address.
    Email,
    /// An id of the company's own system.
    External,
}

/// One address as the provider gave it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Address {
    /// Which namespace `value` belongs to.
    pub kind: AddressKind,
    /// The address; never reformatted, except `E164`, which is canonical.
    pub value: String,
}

/// The customer behind an event. `addresses` is never empty.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Customer {
    /// Every address the event names, the provider's own first.
    pub addresses: Vec<Address>,
    /// Profile name, if the provider told it.
    pub name: Option<String>,
    /// Username, if the customer has one (2026).
    pub username: Option<String>,
}

/// A message file that still lies with the provider.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InboundMedia {
    /// The provider's media id.
    pub provider_media_id: String,
    /// Declared MIME type.
    pub mime_type: Option<String>,
    /// Declared SHA-256, base64 as the Cloud API gives it.
    pub sha256: Option<String>,
    /// Original file name of a document.
    pub filename: Option<String>,
    /// A short-lived direct link, where given.
    pub url: Option<String>,
    /// Recorded in the app (voice note), not an audio file.
    pub voice: bool,
}

/// A message that a customer wrote, or that the business wrote elsewhere (an echo).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InboundMessage {
    /// The provider's message id (`wamid.…`): the idempotency key.
    pub provider_message_id: String,
    /// The other side.
    pub customer: Customer,
    /// When the provider says it was written (whole seconds on the Cloud API).
    pub sent_at: DateTime<Utc>,
    /// What kind of message; an unknown kind is `Unsupported`, with the original in `content`.
    pub message_type: MessageType,
    /// What a person reads: body, caption, button title, or a one-line rendering.
    pub text: Option<String>,
    /// The file, if it has one.
    pub media: Option<InboundMedia>,
    /// Type-specific rest (location, contacts, order, referral …), in the provider's field names.
    pub content: Value,
    /// The message that this one answers or reacts to, by the provider's id.
    pub reply_to: Option<String>,
    /// Written by the business on another device, not by the customer.
    pub echo: bool,
    /// Group chat id, if it was written in a group.
    pub group_id: Option<String>,
    /// The provider took it for a word of its own, and acts and answers: nobody else shall.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keyword: Option<Keyword>,
}

/// A word that a provider acts upon before us.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Keyword {
    /// No more messages, please.
    Stop,
    /// Messages again, please.
    Start,
    /// The same of somebody who had stopped them; of anybody else an answer like others.
    Yes,
    /// Who are you?
    Help,
}

/// How far one of our messages got.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StatusUpdate {
    /// The provider's id of our message.
    pub provider_message_id: String,
    /// Our own message id, echoed by the provider (`biz_opaque_callback_data`).
    pub callback: Option<String>,
    /// The new status: sent, delivered, read or failed.
    pub status: MessageStatus,
    /// When it got there.
    pub at: DateTime<Utc>,
    /// Why it failed.
    pub error: Option<ProviderFault>,
    /// It failed because the recipient told the provider that they want no more of these messages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opted_out: Option<ConsentScope>,
    /// It failed for what stands in the way of all messages of the connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub obstacle: Option<Obstacle>,
    /// The recipient's addresses that the status names; may be empty.
    pub recipient: Vec<Address>,
    /// Pricing and conversation objects, verbatim; `null` when there are none.
    pub billing: Value,
}

/// An error as a provider words it. Shown to people; never parsed again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProviderFault {
    /// The provider's code, as text.
    pub code: String,
    /// One line.
    pub title: String,
    /// Details, where given.
    pub detail: Option<String>,
}

/// What a phone's app tells of the time before the number had an API beside it (coexistence): a part of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct History {
    /// Old messages, of any customers, in any order.
    pub messages: Vec<PastMessage>,
    /// Messages of this part that cannot be read.
    pub left_out: usize,
    /// How far the app says that it got with this part, in percent.
    pub percent: Option<u8>,
    /// Nothing comes, for this reason.
    pub refused: Option<ProviderFault>,
}

/// A message from before: nobody waits for an answer to it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PastMessage {
    /// What was written; an echo is the business's.
    pub message: InboundMessage,
    /// How far it got.
    pub status: MessageStatus,
    /// It had a file, of which a [`PastFile`] tells, if at all.
    pub awaits_file: bool,
}

/// The file of a [`PastMessage`], and what else that one left out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PastFile {
    /// The provider's id of the message.
    pub provider_message_id: String,
    /// What kind of file.
    pub message_type: MessageType,
    /// Its caption.
    pub text: Option<String>,
    /// The file.
    pub media: InboundMedia,
    /// As [`InboundMessage::content`].
    pub content: Value,
}

/// A customer's address changed at the provider.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddressChange {
    /// What the customer was called before; every address that the event names, at least one.
    pub previous: Vec<Address>,
    /// What the customer is called now.
    pub current: Address,
    /// When the provider says that it changed.
    pub at: DateTime<Utc>,
}

/// A customer stopped or resumed marketing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MarketingPreference {
    /// Who.
    pub customer: Customer,
    /// `true` for stop.
    pub stopped: bool,
    /// When the provider says that it was said: reports come in any order.
    pub at: DateTime<Utc>,
}

/// How a connection stands, as its provider reports without being asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectionUpdate {
    /// What stands in its way; nothing: it is linked.
    pub found: Option<Finding>,
    /// There is a code with which the device can be linked.
    pub has_code: bool,
}

/// Something about a message template of the account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TemplateUpdate {
    /// The provider's id of the template.
    pub provider_template_id: String,
    /// When the provider says that it happened: reports come in any order.
    pub at: DateTime<Utc>,
    /// What happened.
    pub change: TemplateChange,
}

/// What may happen to a template.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum TemplateChange {
    /// It may be sent, or may not be sent any more.
    Status {
        /// Where it stands.
        status: TemplateStatus,
        /// The provider's word for why.
        reason: Option<String>,
        /// The same in sentences.
        detail: Option<String>,
    },
    /// How customers take it.
    Quality {
        /// `GREEN`, `YELLOW`, `RED` or `UNKNOWN`.
        score: String,
    },
    /// What it is for, in the provider's eyes.
    Category {
        /// The category that it has now.
        category: String,
        /// The one that it is about to get.
        next: Option<String>,
        /// When it gets that.
        next_at: Option<DateTime<Utc>>,
    },
    /// Its components were changed elsewhere; the event does not hold all of them.
    Components,
}

/// Something about an account or a number of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountUpdate {
    /// The account.
    pub waba_id: Option<String>,
    /// The digits of the one number that it is about.
    pub number: Option<String>,
    /// When the provider says that it happened: reports come in any order.
    pub at: DateTime<Utc>,
    /// What happened.
    pub change: AccountChange,
}

/// What may happen to an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum AccountChange {
    /// Something stands in its way.
    Raised {
        /// What.
        obstacle: Obstacle,
        /// In the provider's words.
        detail: Option<String>,
    },
    /// Something stands in its way no more.
    Cleared {
        /// What.
        obstacles: Vec<Obstacle>,
    },
    /// Something is another than before, which one asks the provider for.
    Recheck,
    /// A number of it has another username, or none.
    Username {
        /// By which customers find it.
        username: Option<String>,
    },
}

/// One event, after normalising.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum InboundEvent {
    /// A message to store and perhaps answer (boxed: it is many times larger than the rest).
    Message(Box<InboundMessage>),
    /// A delivery status of a message of ours.
    Status(Box<StatusUpdate>),
    /// A customer changed number or id.
    AddressChange(AddressChange),
    /// A customer stopped or resumed marketing.
    MarketingPreference(MarketingPreference),
    /// Messages from before the connection was made.
    History(History),
    /// The file of one of them.
    PastFile(Box<PastFile>),
    /// Customers whom the business has in its phone's address book, by the names that they have there.
    AddressBook {
        /// Who; never nobody.
        customers: Vec<Customer>,
        /// Entries of this part that cannot be read.
        left_out: usize,
    },
    /// The connection's own state changed.
    Connection(ConnectionUpdate),
    /// A template changed.
    Template(TemplateUpdate),
    /// Something about an account or a number of it.
    Account(AccountUpdate),
    /// The provider refuses what the connection asks for, and names no message.
    Refusal(Finding),
    /// Something else that the provider reports: kept in the journal with its field and the reason why it is
    /// not acted upon.
    Notice {
        /// The webhook field (`account_update`, `security`, …) or `unknown`.
        field: String,
        /// Why it stays raw: `not_handled`, `unparseable: …`.
        reason: String,
    },
}
