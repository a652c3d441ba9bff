//! People of a company: roles and what each may do.

use serde::{Deserialize, Serialize};

/// A person's place in a company, from the widest rights to the narrowest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum Role {
    /// Everything, including ownership itself.
    Owner,
    /// Everything but ownership.
    Admin,
    /// Leads agents: sees and answers every conversation.
    Supervisor,
    /// Answers customers.
    Agent,
    /// Looks, changes nothing.
    Viewer,
}

/// One thing that a caller may be allowed to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permission {
    /// See conversations, messages, sessions and contacts.
    ReadInbox,
    /// Write to customers, mark as read.
    WriteInbox,
}

impl Role {
    /// Whether this role holds `permission`.
    pub fn allows(self, permission: Permission) -> bool {
        match (self, permission) {
            (_, Permission::ReadInbox) => true,
            (Self::Viewer, Permission::WriteInbox) => false,
            (Self::Owner | Self::Admin | Self::Supervisor | Self::Agent, Permission::WriteInbox) => true,
        }
    }
}

impl Permission {
    /// The act that a refusal names, as in "not allowed to …".
    pub fn act(self) -> &'static str {
        match self {
            Self::ReadInbox => "read the inbox",
            Self::WriteInbox => "write to customers",
        }
    }
}
