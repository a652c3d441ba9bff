//! Typed identifiers (UUIDv7 on the wire and in PostgreSQL) and the tenant scope.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => { $(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, sqlx::Type)]
        #[sqlx(transparent)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }

        impl std::str::FromStr for $name {
            type Err = uuid::Error;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }
    )* };
}

ids! {
    /// A tenant: one business with its own people, numbers and customers.
    CompanyId,
    /// A person who logs in; may belong to several companies.
    UserId,
    /// A channel account: one WhatsApp number, one SMS sender, one gateway instance.
    ConnectionId,
    /// A customer of a company.
    ContactId,
    /// A field of its own that a company keeps of its customers.
    ContactFieldId,
    /// A note on a customer.
    ContactNoteId,
    /// A tag that a company's people choose from.
    TabulationId,
    /// The one thread between a contact and a connection.
    ConversationId,
    /// A stretch of a conversation that somebody, human or AI, handles.
    SessionId,
    /// One message, either direction.
    MessageId,
    /// A burst of customer messages that gets one answer.
    TurnId,
    /// The AI's character and instructions.
    PersonaId,
    /// A media object in our own storage.
    MediaId,
    /// An API key.
    ApiKeyId,
    /// A department of a company.
    DepartmentId,
    /// An invitation of a person into a company.
    InvitationId,
    /// A board that leads stand on.
    BoardId,
    /// A stage of a board.
    StageId,
    /// A lead: business that may come.
    LeadId,
    /// One log-in of one person on one device.
    LoginSessionId,
    /// A text that people send often.
    QuickReplyId,
    /// A list of contacts.
    ListId,
    /// A saved filter over contacts.
    SegmentId,
    /// Two contacts that became one.
    MergeId,
    /// The forgetting of one person.
    ErasureId,
    /// Contacts that come out of a file.
    ImportId,
    /// Contacts that go into a file.
    ExportId,
    /// A message template.
    TemplateId,
}

/// Proof that a company id was verified: read from a token, a signed webhook's route, or our own queue.
///
/// Every tenant query starts from one; see `db::Db::begin`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CompanyScope(CompanyId);

impl CompanyScope {
    /// The caller vouches that `company_id` comes from a verified source, never from a request's body or path.
    pub fn assert_verified(company_id: CompanyId) -> Self {
        Self(company_id)
    }

    /// The company whose rows this scope may see.
    pub fn company_id(self) -> CompanyId {
        self.0
    }
}
