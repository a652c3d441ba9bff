//! Jobs: work with one consumer, which leaves through the outbox and travels on a queue.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{
    CompanyId, ConnectionId, ConversationId, ErasureId, ExportId, ImportId, InvitationId, MediaId, MessageId,
    TemplateId, TurnId, UserId,
};

/// Version of the forms that travel on queues and bus. A change that an older release would read wrongly raises it.
pub const ENVELOPE_VERSION: u32 = 1;

/// The queues that jobs travel on, by their stable names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Queue {
    /// Provider events, FIFO by customer.
    Inbound,
    /// Calls to messaging providers, FIFO by conversation, or by connection where they are about that.
    Outbound,
    /// Turns that may be complete; standard, delayed.
    Turns,
    /// Turns that want an answer; standard.
    AiReply,
    /// Mails to people; standard.
    Mail,
    /// Files to fetch and to make small pictures of; standard.
    Media,
    /// People to forget; standard.
    Erasures,
    /// Imports and exports, FIFO by company.
    Imports,
    /// What is to be asked of, and brought over from, accounts at providers: templates, health; standard.
    Connections,
}

/// One piece of work. The serialised form is versioned by [`JobEnvelope::v`]; a new field needs a default.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Job {
    /// Closes a turn, if `version` is still its newest.
    CloseTurn {
        /// The turn.
        turn_id: TurnId,
        /// The turn's version when the job was made.
        version: i32,
    },
    /// Answers a complete turn.
    AnswerTurn {
        /// The turn.
        turn_id: TurnId,
    },
    /// Sends one queued message.
    SendMessage {
        /// The message.
        message_id: MessageId,
        /// Orders the sends of one conversation.
        conversation_id: ConversationId,
    },
    /// Tells the provider that a customer's message was read, and with `typing` that an answer is coming.
    MarkRead {
        /// The customer's message.
        message_id: MessageId,
        /// Orders it among the conversation's sends.
        conversation_id: ConversationId,
        /// Show the typing indicator too.
        typing: bool,
    },
    /// Makes a connection known where webhooks and the provider look for it, as it stands now, or forgets one that was
    /// removed.
    SetUpConnection {
        /// Which.
        connection_id: ConnectionId,
    },
    /// Goes on with the erasure of a person.
    EraseContact {
        /// Which.
        erasure_id: ErasureId,
    },
    /// Writes a mail and sends it.
    SendMail {
        /// Which.
        mail: Mail,
    },
    /// Fetches a file that came with a message from the provider.
    FetchMedia {
        /// The file.
        media_id: MediaId,
    },
    /// Makes a small picture of a file.
    MakeThumbnail {
        /// The file.
        media_id: MediaId,
    },
    /// Has Meta take a template, or the change of one.
    SubmitTemplate {
        /// Which.
        template_id: TemplateId,
    },
    /// Has Meta delete a template.
    DeleteTemplate {
        /// Which.
        template_id: TemplateId,
    },
    /// Compares an account's templates with ours.
    SyncTemplates {
        /// A connection of the account.
        connection_id: ConnectionId,
    },
    /// Asks the provider about number and token of a connection.
    CheckConnection {
        /// Which.
        connection_id: ConnectionId,
    },
    /// Deletes the bytes of files that are gone.
    DeleteFiles {
        /// The files.
        media_ids: Vec<MediaId>,
    },
    /// Does the next part of an import.
    ImportContacts {
        /// The import.
        import_id: ImportId,
        /// Which part: a job that comes twice does nothing the second time.
        run: i32,
    },
    /// Does the next part of an export.
    ExportContacts {
        /// The export.
        export_id: ExportId,
        /// Which part, as above.
        run: i32,
    },
}

/// A mail to a person. It holds no link: that is made when the mail leaves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Mail {
    /// Asks for a proof of the address.
    VerifyEmail {
        /// Who.
        user_id: UserId,
    },
    /// Says that somebody tried to register an address that has an account.
    AlreadyRegistered {
        /// Whose account.
        user_id: UserId,
    },
    /// Says that an account at a provider, which is not linked, came with the address of an account.
    LinkRequired {
        /// Whose account.
        user_id: UserId,
    },
    /// Brings a link that makes a company for somebody who has an account and no company.
    NewCompany {
        /// Who.
        user_id: UserId,
        /// How the company will be called.
        company_name: String,
    },
    /// Brings a link to a new password.
    ResetPassword {
        /// Who.
        user_id: UserId,
    },
    /// Says that a connection's token ends soon, or has ended.
    TokenEnding {
        /// Who.
        user_id: UserId,
        /// The connection.
        connection_id: ConnectionId,
    },
    /// Invites somebody into the company.
    Invitation {
        /// The invitation.
        invitation_id: InvitationId,
    },
}

impl Job {
    /// The queue whose consumer does this job.
    pub fn queue(&self) -> Queue {
        match self {
            Self::CloseTurn { .. } => Queue::Turns,
            Self::AnswerTurn { .. } => Queue::AiReply,
            Self::SendMessage { .. } | Self::MarkRead { .. } | Self::SetUpConnection { .. } => {
                Queue::Outbound
            }
            Self::SendMail { .. } => Queue::Mail,
            Self::FetchMedia { .. } | Self::MakeThumbnail { .. } | Self::DeleteFiles { .. } => Queue::Media,
            Self::EraseContact { .. } => Queue::Erasures,
            Self::ImportContacts { .. } | Self::ExportContacts { .. } => Queue::Imports,
            Self::SubmitTemplate { .. }
            | Self::DeleteTemplate { .. }
            | Self::SyncTemplates { .. }
            | Self::CheckConnection { .. } => Queue::Connections,
        }
    }

    /// The FIFO group of a company's job, on FIFO queues.
    pub fn group(&self, company_id: CompanyId) -> Option<String> {
        match self {
            Self::CloseTurn { .. }
            | Self::AnswerTurn { .. }
            | Self::SendMail { .. }
            | Self::FetchMedia { .. }
            | Self::MakeThumbnail { .. }
            | Self::DeleteFiles { .. }
            | Self::SubmitTemplate { .. }
            | Self::DeleteTemplate { .. }
            | Self::SyncTemplates { .. }
            | Self::CheckConnection { .. }
            | Self::EraseContact { .. } => None,
            Self::SendMessage { conversation_id, .. } | Self::MarkRead { conversation_id, .. } => {
                Some(conversation_id.to_string())
            }
            // One at a time: two would wait for each other's contacts.
            Self::ImportContacts { .. } | Self::ExportContacts { .. } => Some(company_id.to_string()),
            Self::SetUpConnection { connection_id } => Some(connection_id.to_string()),
        }
    }
}

/// What stands on a queue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobEnvelope {
    /// [`ENVELOPE_VERSION`](crate::job::ENVELOPE_VERSION).
    pub v: u32,
    /// Whose work it is.
    pub company_id: CompanyId,
    /// W3C `traceparent` of what caused it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<String>,
    /// The work.
    pub job: Job,
}

/// One provider event on its way from a webhook to the inbound consumer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct InboundEnvelope {
    /// [`ENVELOPE_VERSION`](crate::job::ENVELOPE_VERSION).
    pub v: u32,
    /// Whose connection it came in by.
    pub company_id: CompanyId,
    /// The connection.
    pub connection_id: crate::ConnectionId,
    /// The provider's module name, `whatsapp_cloud`.
    pub provider: String,
    /// The provider event's idempotency key.
    pub key: String,
    /// When the webhook took it, milliseconds since the epoch.
    pub received_at_ms: i64,
    /// W3C `traceparent` of the webhook call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<String>,
    /// Why the event is only kept and not acted upon: it is about a number that is none of the company's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept_raw: Option<String>,
    /// The single event as the provider worded it; or
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<Box<RawValue>>,
    /// the key of the object that holds it, when it is larger than a queue message may be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overflow_key: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn the_wire_form_is_stable() {
        let job = JobEnvelope {
            v: 1,
            company_id: CompanyId(Uuid::nil()),
            trace: None,
            job: Job::CloseTurn { turn_id: TurnId(Uuid::nil()), version: 3 },
        };
        let wire = serde_json::to_string(&job).expect("a job serialises");
        let nil = Uuid::nil();
        assert_eq!(
            wire,
            format!(
                r#"{{"v":1,"company_id":"{nil}","job":{{"type":"close_turn","turn_id":"{nil}","version":3}}}}"#
            )
        );
        assert_eq!(serde_json::from_str::<JobEnvelope>(&wire).expect("and back"), job);
    }
}
