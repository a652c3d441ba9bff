//! Domain events: what happened, for whoever listens. They carry ids and a version; a listener fetches what it lacks.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::connection::ConnectionState;
use crate::health::Obstacle;
use crate::message::{Direction, MessageStatus};
use crate::transfer::TransferState;
use crate::{
    ApiKeyId, BoardId, CompanyId, ConnectionId, ContactId, ConversationId, ExportId, ImportId, LeadId,
    LoginSessionId, MessageId, SessionId, StageId, TemplateId, UserId,
};

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type")]
pub enum Event {
    /// A contact was made.
    #[serde(rename = "contact.created")]
    ContactCreated {
        /// The contact.
        contact_id: ContactId,
    },
    /// Something of a contact changed: its fields, addresses, tags, notes, or whether it may be written to.
    #[serde(rename = "contact.changed")]
    ContactChanged {
        /// The contact.
        contact_id: ContactId,
    },
    /// A contact is gone.
    #[serde(rename = "contact.deleted")]
    ContactDeleted {
        /// The contact that was.
        contact_id: ContactId,
    },
    /// A customer does not want to be written to any more.
    #[serde(rename = "contact.opted_out")]
    ContactOptedOut {
        /// The contact.
        contact_id: ContactId,
    },
    /// A customer wants to be written to.
    #[serde(rename = "contact.opted_in")]
    ContactOptedIn {
        /// The contact.
        contact_id: ContactId,
    },
    /// Two contacts are one: everything of the first is the other's now.
    #[serde(rename = "contact.merged")]
    ContactMerged {
        /// Who is no more.
        contact_id: ContactId,
        /// Who it is now.
        into_id: ContactId,
    },
    /// A contact was taken apart again from whom it was merged into.
    #[serde(rename = "contact.unmerged")]
    ContactUnmerged {
        /// Who is again.
        contact_id: ContactId,
        /// Who it was.
        from_id: ContactId,
    },
    /// A contact is nobody any more: the person was erased.
    #[serde(rename = "contact.erased")]
    ContactErased {
        /// The contact.
        contact_id: ContactId,
    },
    /// A message was stored, either direction.
    #[serde(rename = "message.created")]
    MessageCreated {
        /// The message.
        message_id: MessageId,
        /// Its conversation.
        conversation_id: ConversationId,
        /// Its session.
        session_id: Option<SessionId>,
        /// Which way it travels.
        direction: Direction,
    },
    /// A message climbed to another status.
    #[serde(rename = "message.status")]
    MessageStatusChanged {
        /// The message.
        message_id: MessageId,
        /// Its conversation.
        conversation_id: ConversationId,
        /// The status it has now.
        status: MessageStatus,
        /// Grows with every change of the message; a listener drops what is older than what it has.
        version: i32,
    },
    /// The file of a message arrived, or never will.
    #[serde(rename = "message.media")]
    MessageMediaChanged {
        /// The message.
        message_id: MessageId,
        /// Its conversation.
        conversation_id: ConversationId,
        /// Grows with every change of the message; a listener drops what is older than what it has.
        version: i32,
    },
    /// A conversation was read by a person.
    #[serde(rename = "conversation.read")]
    ConversationRead {
        /// The conversation.
        conversation_id: ConversationId,
    },
    /// A conversation was opened or closed, handed on, tagged, or marked as unread.
    #[serde(rename = "conversation.changed")]
    ConversationChanged {
        /// The conversation.
        conversation_id: ConversationId,
        /// Grows with every change of the conversation; a listener drops what is older than what it has.
        version: i32,
    },
    /// A session began or changed its status.
    #[serde(rename = "session.changed")]
    SessionChanged {
        /// The session.
        session_id: SessionId,
        /// Its conversation.
        conversation_id: ConversationId,
    },
    /// A connection was made, changed or removed.
    #[serde(rename = "connection.changed")]
    ConnectionChanged {
        /// The connection.
        connection_id: ConnectionId,
        /// Grows with every change of the connection; a listener drops what is older than what it has.
        version: i32,
    },
    /// There is a new code with which a connection's phone can be linked; it holds for less than a minute.
    #[serde(rename = "connection.code")]
    ConnectionCode {
        /// The connection.
        connection_id: ConnectionId,
    },
    /// A board was made, or it or its stages changed. Leads that changed with a stage have no events of their own.
    #[serde(rename = "board.changed")]
    BoardChanged {
        /// The board.
        board_id: BoardId,
        /// Grows with every change of the board; a listener drops what is older than what it has.
        version: i32,
    },
    /// A board was removed, with its leads.
    #[serde(rename = "board.deleted")]
    BoardDeleted {
        /// The board.
        board_id: BoardId,
    },
    /// A lead was made.
    #[serde(rename = "lead.created")]
    LeadCreated {
        /// The lead.
        lead_id: LeadId,
        /// Its board.
        board_id: BoardId,
        /// Its stage.
        stage_id: StageId,
        /// As in [`Event::LeadMoved`].
        version: i32,
    },
    /// What a lead is changed: title, value, owner, …
    #[serde(rename = "lead.changed")]
    LeadChanged {
        /// The lead.
        lead_id: LeadId,
        /// Its board.
        board_id: BoardId,
        /// As in [`Event::LeadMoved`].
        version: i32,
    },
    /// A lead went to another place, in its stage or in another one.
    #[serde(rename = "lead.moved")]
    LeadMoved {
        /// The lead.
        lead_id: LeadId,
        /// Its board.
        board_id: BoardId,
        /// The stage that it came from.
        from_stage_id: StageId,
        /// The stage that it stands in.
        stage_id: StageId,
        /// Grows with every change of the lead; a listener drops what is older than what it has.
        version: i32,
    },
    /// A lead was removed.
    #[serde(rename = "lead.deleted")]
    LeadDeleted {
        /// The lead.
        lead_id: LeadId,
        /// Its board.
        board_id: BoardId,
        /// Greater than every one before.
        version: i32,
    },
    /// A template changed: what it holds, where it stands with Meta, or how customers take it.
    #[serde(rename = "template.changed")]
    TemplateChanged {
        /// The template.
        template_id: TemplateId,
        /// Grows with every change of the template; a listener drops what is older than what it has.
        version: i32,
    },
    /// A template is gone.
    #[serde(rename = "template.deleted")]
    TemplateDeleted {
        /// The template that was.
        template_id: TemplateId,
    },
    /// An account's templates were compared with ours, and some were not the same: they have no events of their own.
    #[serde(rename = "templates.synced")]
    TemplatesSynced {
        /// A connection of the account.
        connection_id: ConnectionId,
        /// How many came, changed or went.
        changed: u32,
    },
    /// A connection stands otherwise than before, or for another reason.
    #[serde(rename = "connection.health")]
    ConnectionHealth {
        /// The connection.
        connection_id: ConnectionId,
        /// How it stands.
        state: ConnectionState,
        /// The gravest of what stands in its way.
        reason: Option<Obstacle>,
        /// Of the connection; a listener drops what is older than what it has.
        version: i32,
    },
    /// Customers take a connection's number badly (`RED`), or fewer of them may be written to than before.
    #[serde(rename = "connection.quality")]
    ConnectionQuality {
        /// The connection.
        connection_id: ConnectionId,
        /// How customers take it, in the provider's word.
        quality: Option<String>,
        /// How many may be written to first in 24 hours, in the provider's word.
        messaging_limit: Option<String>,
    },
    /// A connection's token ends soon, or has ended: told once a day.
    #[serde(rename = "connection.token_ending")]
    ConnectionTokenEnding {
        /// The connection.
        connection_id: ConnectionId,
        /// When, if anybody knows.
        expires_at: Option<DateTime<Utc>>,
    },
    /// A person was shut out of the company: what listens for them is cut off, and hears nothing of it.
    #[serde(rename = "member.shut_out")]
    MemberShutOut {
        /// The person.
        user_id: UserId,
    },
    /// Log-in sessions of a person of the company ended: what listens by them is cut off, and hears nothing of it.
    #[serde(rename = "login_sessions.ended")]
    LoginSessionsEnded {
        /// The sessions.
        session_ids: Vec<LoginSessionId>,
    },
    /// An API key was revoked: what listens by it is cut off, and hears nothing of it.
    #[serde(rename = "api_key.revoked")]
    ApiKeyRevoked {
        /// The key.
        api_key_id: ApiKeyId,
    },
    /// An import of contacts got on.
    #[serde(rename = "import.progress")]
    ImportProgress {
        /// The import.
        import_id: ImportId,
        /// Where it stands.
        state: TransferState,
        /// How much of the file is done.
        percent: i32,
        /// How many rows are done.
        rows: i64,
    },
    /// An export of contacts got on.
    #[serde(rename = "export.progress")]
    ExportProgress {
        /// The export.
        export_id: ExportId,
        /// Where it stands.
        state: TransferState,
        /// How many contacts are in the file.
        contacts: i64,
    },
    /// The AI could not answer; a person has to.
    #[serde(rename = "session.needs_human")]
    SessionNeedsHuman {
        /// The session.
        session_id: SessionId,
        /// Its conversation.
        conversation_id: ConversationId,
    },
}

impl Event {
    /// The stable name, which is also the bus's detail type.
    pub fn name(&self) -> &'static str {
        match self {
            Self::ContactCreated { .. } => "contact.created",
            Self::ContactChanged { .. } => "contact.changed",
            Self::ContactDeleted { .. } => "contact.deleted",
            Self::ContactOptedOut { .. } => "contact.opted_out",
            Self::ContactOptedIn { .. } => "contact.opted_in",
            Self::ContactMerged { .. } => "contact.merged",
            Self::ContactUnmerged { .. } => "contact.unmerged",
            Self::ContactErased { .. } => "contact.erased",
            Self::MessageCreated { .. } => "message.created",
            Self::MessageStatusChanged { .. } => "message.status",
            Self::MessageMediaChanged { .. } => "message.media",
            Self::ConversationRead { .. } => "conversation.read",
            Self::ConversationChanged { .. } => "conversation.changed",
            Self::SessionChanged { .. } => "session.changed",
            Self::ConnectionChanged { .. } => "connection.changed",
            Self::ConnectionCode { .. } => "connection.code",
            Self::BoardChanged { .. } => "board.changed",
            Self::BoardDeleted { .. } => "board.deleted",
            Self::LeadCreated { .. } => "lead.created",
            Self::LeadChanged { .. } => "lead.changed",
            Self::LeadMoved { .. } => "lead.moved",
            Self::LeadDeleted { .. } => "lead.deleted",
            Self::TemplateChanged { .. } => "template.changed",
            Self::TemplateDeleted { .. } => "template.deleted",
            Self::TemplatesSynced { .. } => "templates.synced",
            Self::ConnectionHealth { .. } => "connection.health",
            Self::ConnectionQuality { .. } => "connection.quality",
            Self::ConnectionTokenEnding { .. } => "connection.token_ending",
            Self::MemberShutOut { .. } => "member.shut_out",
            Self::LoginSessionsEnded { .. } => "login_sessions.ended",
            Self::ApiKeyRevoked { .. } => "api_key.revoked",
            Self::ImportProgress { .. } => "import.progress",
            Self::ExportProgress { .. } => "export.progress",
            Self::SessionNeedsHuman { .. } => "session.needs_human",
        }
    }
}

impl Event {
    /// The conversation that it is of; `None` for what concerns the company, its people or a customer.
    pub fn conversation_id(&self) -> Option<ConversationId> {
        match self {
            Self::MessageCreated { conversation_id, .. }
            | Self::MessageStatusChanged { conversation_id, .. }
            | Self::MessageMediaChanged { conversation_id, .. }
            | Self::ConversationRead { conversation_id }
            | Self::ConversationChanged { conversation_id, .. }
            | Self::SessionChanged { conversation_id, .. }
            | Self::SessionNeedsHuman { conversation_id, .. } => Some(*conversation_id),
            Self::ContactCreated { .. }
            | Self::ContactChanged { .. }
            | Self::ContactDeleted { .. }
            | Self::ContactOptedOut { .. }
            | Self::ContactOptedIn { .. }
            | Self::ConnectionChanged { .. }
            | Self::ConnectionCode { .. }
            | Self::BoardChanged { .. }
            | Self::BoardDeleted { .. }
            | Self::LeadCreated { .. }
            | Self::LeadChanged { .. }
            | Self::LeadMoved { .. }
            | Self::LeadDeleted { .. }
            | Self::ContactMerged { .. }
            | Self::ContactUnmerged { .. }
            | Self::ContactErased { .. }
            | Self::TemplateChanged { .. }
            | Self::TemplateDeleted { .. }
            | Self::TemplatesSynced { .. }
            | Self::ConnectionHealth { .. }
            | Self::ConnectionQuality { .. }
            | Self::ConnectionTokenEnding { .. }
            | Self::MemberShutOut { .. }
            | Self::LoginSessionsEnded { .. }
            | Self::ApiKeyRevoked { .. }
            | Self::ImportProgress { .. }
            | Self::ExportProgress { .. } => None,
        }
    }
}

/// What stands on the bus, and what a browser receives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventEnvelope {
    /// [`ENVELOPE_VERSION`](crate::job::ENVELOPE_VERSION).
    pub v: u32,
    /// Whose event it is.
    pub company_id: CompanyId,
    /// W3C `traceparent` of what caused it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<String>,
    /// The event.
    #[serde(flatten)]
    pub event: Event,
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn the_name_is_the_tag() {
        let (lead_id, board_id) = (LeadId(Uuid::nil()), BoardId(Uuid::nil()));
        let (from_stage_id, stage_id) = (StageId(Uuid::nil()), StageId(Uuid::max()));
        for event in [
            Event::ContactCreated { contact_id: ContactId(Uuid::nil()) },
            Event::ContactChanged { contact_id: ContactId(Uuid::nil()) },
            Event::ContactDeleted { contact_id: ContactId(Uuid::nil()) },
            Event::ContactOptedOut { contact_id: ContactId(Uuid::nil()) },
            Event::ContactOptedIn { contact_id: ContactId(Uuid::nil()) },
            Event::ConnectionChanged { connection_id: ConnectionId(Uuid::nil()), version: 2 },
            Event::ConnectionCode { connection_id: ConnectionId(Uuid::nil()) },
            Event::BoardChanged { board_id, version: 2 },
            Event::BoardDeleted { board_id },
            Event::LeadCreated { lead_id, board_id, stage_id, version: 1 },
            Event::LeadChanged { lead_id, board_id, version: 2 },
            Event::LeadMoved { lead_id, board_id, from_stage_id, stage_id, version: 3 },
            Event::LeadDeleted { lead_id, board_id, version: 4 },
            Event::ConversationChanged { conversation_id: ConversationId(Uuid::nil()), version: 2 },
            Event::MessageMediaChanged {
                message_id: MessageId(Uuid::nil()),
                conversation_id: ConversationId(Uuid::nil()),
                version: 2,
            },
            Event::ContactMerged { contact_id: ContactId(Uuid::nil()), into_id: ContactId(Uuid::nil()) },
            Event::ContactUnmerged { contact_id: ContactId(Uuid::nil()), from_id: ContactId(Uuid::nil()) },
            Event::ContactErased { contact_id: ContactId(Uuid::nil()) },
            Event::TemplateChanged { template_id: TemplateId(Uuid::nil()), version: 2 },
            Event::TemplateDeleted { template_id: TemplateId(Uuid::nil()) },
            Event::TemplatesSynced { connection_id: ConnectionId(Uuid::nil()), changed: 3 },
            Event::ConnectionHealth {
                connection_id: ConnectionId(Uuid::nil()),
                state: ConnectionState::Down,
                reason: Some(Obstacle::TokenExpired),
                version: 2,
            },
            Event::ConnectionQuality {
                connection_id: ConnectionId(Uuid::nil()),
                quality: Some("RED".to_owned()),
                messaging_limit: None,
            },
            Event::ConnectionTokenEnding { connection_id: ConnectionId(Uuid::nil()), expires_at: None },
            Event::MemberShutOut { user_id: UserId(Uuid::nil()) },
            Event::LoginSessionsEnded { session_ids: vec![LoginSessionId(Uuid::nil())] },
            Event::ApiKeyRevoked { api_key_id: ApiKeyId(Uuid::nil()) },
            Event::ImportProgress {
                import_id: ImportId(Uuid::nil()),
                state: TransferState::Running,
                percent: 10,
                rows: 5_000,
            },
            Event::ExportProgress {
                export_id: ExportId(Uuid::nil()),
                state: TransferState::Done,
                contacts: 5_000,
            },
        ] {
            let envelope = EventEnvelope { v: 1, company_id: CompanyId(Uuid::nil()), trace: None, event };
            let wire = serde_json::to_value(&envelope).expect("an event serialises");
            assert_eq!(wire["type"], envelope.event.name());
            assert_eq!(serde_json::from_value::<EventEnvelope>(wire).expect("and back"), envelope);
        }
    }
}
