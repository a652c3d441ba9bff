//! People of a company: roles, permissions, and who may do what.

use serde::{Deserialize, Serialize};

/// A person's place in a company, from the widest rights to the narrowest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, sqlx::Type)]
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

/// One thing that a caller may be allowed to do. The names are stable: API keys are scoped by them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum Permission {
    /// See conversations, messages, sessions and contacts.
    ReadInbox,
    /// Write to customers, mark as read.
    WriteInbox,
    /// Define fields and tags, keep lists and segments, import, merge, export and erase customers.
    ManageContacts,
    /// See the company, its members and its departments.
    ReadCompany,
    /// Change the company's name and settings.
    ManageCompany,
    /// Invite people, change their roles, deactivate them.
    ManageMembers,
    /// Make, change and remove departments.
    ManageDepartments,
    /// Make, change and remove boards and stages.
    ManageBoards,
    /// Make, submit, change and remove message templates.
    ManageTemplates,
    /// Make, change, check and remove connections with providers.
    ManageConnections,
    /// Make and revoke API keys.
    ManageApiKeys,
    /// See who did what.
    ReadAuditLog,
    /// Hand the company over to somebody else.
    TransferOwnership,
}

/// Who holds what: one line a permission, one column a role.
const TABLE: &[(Permission, [bool; 5])] = &[
    //                                owner  admin  superv agent  viewer
    (Permission::ReadInbox, [true, true, true, true, true]),
    (Permission::WriteInbox, [true, true, true, true, false]),
    (Permission::ManageContacts, [true, true, true, false, false]),
    (Permission::ReadCompany, [true, true, true, true, true]),
    (Permission::ManageCompany, [true, true, false, false, false]),
    (Permission::ManageMembers, [true, true, false, false, false]),
    (Permission::ManageDepartments, [true, true, true, false, false]),
    (Permission::ManageBoards, [true, true, true, false, false]),
    (Permission::ManageTemplates, [true, true, true, false, false]),
    (Permission::ManageConnections, [true, true, false, false, false]),
    (Permission::ManageApiKeys, [true, true, false, false, false]),
    (Permission::ReadAuditLog, [true, true, false, false, false]),
    (Permission::TransferOwnership, [true, false, false, false, false]),
];

impl Role {
    /// Every role, from the widest rights to the narrowest.
    pub const ALL: [Self; 5] = [Self::Owner, Self::Admin, Self::Supervisor, Self::Agent, Self::Viewer];

    /// Whether this role holds `permission`.
    pub fn allows(self, permission: Permission) -> bool {
        TABLE.iter().any(|(known, holders)| *known == permission && holders[self as usize])
    }

    /// Everything that this role holds.
    pub fn permissions(self) -> impl Iterator<Item = Permission> {
        Permission::all().filter(move |permission| self.allows(*permission))
    }

    /// Whether somebody of this role may give `other` to a person, or take it away: nobody reaches above himself, and
    /// ownership is transferred, never given.
    pub fn may_assign(self, other: Self) -> bool {
        self.allows(Permission::ManageMembers) && other != Self::Owner && self <= other
    }

    /// The stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Admin => "admin",
            Self::Supervisor => "supervisor",
            Self::Agent => "agent",
            Self::Viewer => "viewer",
        }
    }
}

impl Permission {
    /// Every permission.
    pub fn all() -> impl Iterator<Item = Self> {
        TABLE.iter().map(|(permission, _)| *permission)
    }

    /// Whether an API key may hold it. Ownership is a person's.
    pub fn is_for_keys(self) -> bool {
        self != Self::TransferOwnership
    }

    /// The act that a refusal names, as in "not allowed to …".
    pub fn act(self) -> &'static str {
        match self {
            Self::ReadInbox => "read the inbox",
            Self::WriteInbox => "write to customers",
            Self::ManageContacts => "manage contacts",
            Self::ReadCompany => "see the company",
            Self::ManageCompany => "change the company",
            Self::ManageMembers => "manage members",
            Self::ManageDepartments => "manage departments",
            Self::ManageBoards => "manage boards",
            Self::ManageTemplates => "manage templates",
            Self::ManageConnections => "manage connections",
            Self::ManageApiKeys => "manage API keys",
            Self::ReadAuditLog => "read the audit log",
            Self::TransferOwnership => "transfer the ownership",
        }
    }

    /// The stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ReadInbox => "read_inbox",
            Self::WriteInbox => "write_inbox",
            Self::ManageContacts => "manage_contacts",
            Self::ReadCompany => "read_company",
            Self::ManageCompany => "manage_company",
            Self::ManageMembers => "manage_members",
            Self::ManageDepartments => "manage_departments",
            Self::ManageBoards => "manage_boards",
            Self::ManageTemplates => "manage_templates",
            Self::ManageConnections => "manage_connections",
            Self::ManageApiKeys => "manage_api_keys",
            Self::ReadAuditLog => "read_audit_log",
            Self::TransferOwnership => "transfer_ownership",
        }
    }

    /// The permission of a stable name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::all().find(|permission| permission.as_str() == name)
    }
}

/// The language of what a person is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum Locale {
    /// Portuguese of Brazil.
    #[default]
    Pt,
    /// English.
    En,
}

/// The fewest and the most characters of a password. Length is what counts (NIST SP 800-63B, 3.1.1.2).
pub const PASSWORD_CHARS: std::ops::RangeInclusive<usize> = 10..=128;

/// Whether `text` can be an email address: one `@`, a local part without quotes (RFC 5321, 4.1.2), a dotted name of a host.
/// Whether it exists shows when a mail to it is answered.
///
/// ASCII only. The mail service takes no other local part, a host has its ASCII form, and of other letters two may be one
/// to the database and not to us (`İ` and `i`): one person's account would have several spellings.
pub fn is_email(text: &str) -> bool {
    let Some((local, host)) = text.split_once('@') else { return false };
    let atoms = |text: &str, allowed: fn(u8) -> bool| {
        text.split('.').all(|atom| !atom.is_empty() && atom.bytes().all(allowed))
    };
    let local_is_good = atoms(local, |c| c.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&c));
    let host_is_good = host.contains('.') && atoms(host, |c| c.is_ascii_alphanumeric() || c == b'-');
    local_is_good && host_is_good && local.len() <= 64 && text.len() <= 254
}

/// Whether `text` holds what a mail program makes a link of: a scheme, `www.`, or the name of a host with a path behind
/// it. Names stand in mails to strangers, under our name: whoever chooses one shall not send them anywhere.
pub fn has_link(text: &str) -> bool {
    let text = text.to_lowercase();
    let is_host_with_path = |word: &str| {
        let Some((host, _)) = word.split_once('/') else { return false };
        let mut labels = host.split(':').next().unwrap_or_default().rsplit('.');
        let top = labels.next().unwrap_or_default();
        let name = labels.next().unwrap_or_default();
        top.chars().count() >= 2
            && top.chars().all(char::is_alphabetic)
            && name.ends_with(char::is_alphanumeric)
    };
    text.contains("://") || text.contains("www.") || text.split_whitespace().any(is_host_with_path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rights_only_shrink_from_role_to_role() {
        for (permission, holders) in TABLE {
            assert!(holders.is_sorted_by(|wider, narrower| wider >= narrower), "{permission:?}");
        }
    }

    #[test]
    fn names_are_those_of_the_wire() {
        for permission in Permission::all() {
            let wire = serde_json::to_value(permission).expect("serialises");
            assert_eq!(wire, permission.as_str());
            assert_eq!(Permission::parse(permission.as_str()), Some(permission));
        }
        for role in Role::ALL {
            assert_eq!(serde_json::to_value(role).expect("serialises"), role.as_str());
        }
    }

    #[test]
    fn nobody_reaches_above_himself() {
        assert!(Role::Owner.may_assign(Role::Admin));
        assert!(Role::Admin.may_assign(Role::Admin));
        assert!(!Role::Owner.may_assign(Role::Owner));
        assert!(!Role::Admin.may_assign(Role::Owner));
        for role in Role::ALL {
            assert!(!Role::Supervisor.may_assign(role) && !Role::Agent.may_assign(role));
        }
    }

    #[test]
    fn addresses_that_cannot_be_are_refused() {
        for good in ["ana@loja.com.br", "a+b@x.io", "o'neil_1@x-y.example"] {
            assert!(is_email(good), "{good}");
        }
        for bad in [
            "",
            "ana",
            "@x.com",
            "ana@",
            "ana@x",
            "a b@x.com",
            "ana@x..com",
            "a@b@x.com",
            "<ana@x.com>",
            "josé@exemplo.com",
            "vİtor@x.com",
            "a..b@x.com",
            ".a@x.com",
            "a@[127.0.0.1]",
            "a\u{200b}@x.com",
            "a@x.com/b",
        ] {
            assert!(!is_email(bad), "{bad}");
        }
    }

    #[test]
    fn links_are_told_from_names() {
        for link in [
            "Ganhe em https://mal.example",
            "WWW.mal.example",
            "mal.example/premio",
            "Oi (mal.com.br/x)",
            "mal.tk/",
            "mal.tk:8080/a",
        ] {
            assert!(has_link(link), "{link}");
        }
        for name in [
            "Ana",
            "José & Filhos Ltda.",
            "Booking.com",
            "A/C Silva",
            "24/7 Móveis",
            "S.A. / Filial 2",
            "Loja 1.5/2",
            "M.E./SP",
        ] {
            assert!(!has_link(name), "{name}");
        }
    }
}
