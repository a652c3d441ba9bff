//! Domain events: what happened, for whoever listens. They carry ids and a version; a listener fetches what it lacks.

use serde::{Deserialize, Serialize};

use crate::message::{Direction, MessageStatus};
use crate::{ApiKeyId, CompanyId, ContactId, ConversationId, LoginSessionId, MessageId, SessionId, UserId};

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
            Self::MessageCreated { .. } => "message.created",
            Self::MessageStatusChanged { .. } => "message.status",
            Self::ConversationRead { .. } => "conversation.read",
            Self::ConversationChanged { .. } => "conversation.changed",
            Self::SessionChanged { .. } => "session.changed",
            Self::MemberShutOut { .. } => "member.shut_out",
            Self::LoginSessionsEnded { .. } => "login_sessions.ended",
            Self::ApiKeyRevoked { .. } => "api_key.revoked",
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
            | Self::ConversationRead { conversation_id }
            | Self::ConversationChanged { conversation_id, .. }
            | Self::SessionChanged { conversation_id, .. }
            | Self::SessionNeedsHuman { conversation_id, .. } => Some(*conversation_id),
            Self::ContactCreated { .. }
            | Self::MemberShutOut { .. }
            | Self::LoginSessionsEnded { .. }
            | Self::ApiKeyRevoked { .. } => None,
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
        for event in [
            Event::ContactCreated { contact_id: ContactId(Uuid::nil()) },
            Event::ConversationChanged { conversation_id: ConversationId(Uuid::nil()), version: 2 },
            Event::MemberShutOut { user_id: UserId(Uuid::nil()) },
            Event::LoginSessionsEnded { session_ids: vec![LoginSessionId(Uuid::nil())] },
            Event::ApiKeyRevoked { api_key_id: ApiKeyId(Uuid::nil()) },
        ] {
            let envelope = EventEnvelope { v: 1, company_id: CompanyId(Uuid::nil()), trace: None, event };
            let wire = serde_json::to_value(&envelope).expect("an event serialises");
            assert_eq!(wire["type"], envelope.event.name());
            assert_eq!(serde_json::from_value::<EventEnvelope>(wire).expect("and back"), envelope);
        }
    }
}
