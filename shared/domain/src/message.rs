//! Messages and the lattice of their delivery statuses.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::MessageId;

/// Which way a message travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum Direction {
    /// From the customer.
    Inbound,
    /// To the customer.
    Outbound,
}

/// Who wrote a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, sqlx::Type)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[sqlx(type_name = "text", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Author {
    /// The customer.
    Customer,
    /// A person of the company, in the inbox.
    Agent,
    /// The AI.
    Ai,
    /// The business, outside the inbox: an integration, or the phone app.
    Business,
    /// The product itself.
    System,
    /// An agent on another platform, through the API.
    AgentPlatform,
}

/// What a message holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum MessageType {
    /// Plain text.
    Text,
    /// A picture.
    Image,
    /// A video.
    Video,
    /// An audio file or voice note.
    Audio,
    /// A document.
    Document,
    /// A sticker.
    Sticker,
    /// A place.
    Location,
    /// Contact cards.
    Contacts,
    /// Buttons, lists, flows, and the replies to them.
    Interactive,
    /// A quick-reply button of a template.
    Button,
    /// A note of the company to itself; no customer sees it.
    Note,
    /// A reaction to another message; an empty text takes it back.
    Reaction,
    /// A catalogue order.
    Order,
    /// A template.
    Template,
    /// A notice of the provider inside the conversation.
    System,
    /// The customer changed an earlier message.
    Edit,
    /// The customer took a message back.
    Revoke,
    /// Anything that we do not know; the original is kept.
    Unsupported,
}

impl MessageType {
    /// Whether a customer message of this type asks for an answer: a reaction, a notice or a withdrawal does not.
    pub fn asks_for_answer(self) -> bool {
        match self {
            Self::Text
            | Self::Image
            | Self::Video
            | Self::Audio
            | Self::Document
            | Self::Sticker
            | Self::Location
            | Self::Contacts
            | Self::Interactive
            | Self::Button
            | Self::Order => true,
            Self::Reaction
            | Self::Note
            | Self::Template
            | Self::System
            | Self::Edit
            | Self::Revoke
            | Self::Unsupported => false,
        }
    }
}

/// What a provider echoes in its reports on a message: which of ours it is, and which of its journeys. A message that is
/// sent again by a person's will goes on another journey; what is told of the one before does not concern it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Callback {
    /// The message.
    pub message_id: MessageId,
    /// 0 for the first journey.
    pub journey: i16,
}

impl fmt::Display for Callback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.journey {
            0 => write!(f, "{}", self.message_id),
            journey => write!(f, "{}.{journey}", self.message_id),
        }
    }
}

/// The text is none of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a callback of ours")]
pub struct ForeignCallback;

impl FromStr for Callback {
    type Err = ForeignCallback;

    fn from_str(text: &str) -> Result<Self, ForeignCallback> {
        let (id, journey) = text.split_once('.').unwrap_or((text, "0"));
        let message_id = id.parse().map_err(|_| ForeignCallback)?;
        let journey = journey.parse().map_err(|_| ForeignCallback)?;
        Ok(Self { message_id, journey })
    }
}

/// How far a message got. Outbound statuses only climb; see [`MessageStatus::climbs_to`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum MessageStatus {
    /// Inbound: stored.
    Received,
    /// Outbound: waits for its turn on the queue.
    Queued,
    /// Claimed by a worker that is about to call the provider.
    Sending,
    /// A worker died between claiming and recording; a status will tell, or a person decides.
    Unknown,
    /// The provider accepted it.
    Sent,
    /// It reached the customer's device.
    Delivered,
    /// The customer saw it.
    Read,
    /// It will not arrive. Final only below `Delivered`.
    Failed,
}

impl MessageStatus {
    /// Height in the lattice. `Failed` stands above `Sent` and below `Delivered`: a message that was seen to
    /// arrive cannot have failed, whatever a late webhook says.
    pub fn rank(self) -> i16 {
        match self {
            Self::Received | Self::Queued => 0,
            Self::Sending => 1,
            Self::Unknown => 2,
            Self::Sent => 3,
            Self::Failed => 4,
            Self::Delivered => 5,
            Self::Read => 6,
        }
    }

    /// Whether a report of `next` may replace `self`.
    pub fn climbs_to(self, next: Self) -> bool {
        next.rank() > self.rank()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [MessageStatus; 8] = [
        MessageStatus::Received,
        MessageStatus::Queued,
        MessageStatus::Sending,
        MessageStatus::Unknown,
        MessageStatus::Sent,
        MessageStatus::Failed,
        MessageStatus::Delivered,
        MessageStatus::Read,
    ];

    #[test]
    fn statuses_never_move_backwards_in_any_order() {
        // Every sequence of three reports ends at the highest of them.
        for a in ALL {
            for b in ALL {
                for c in ALL {
                    let end = [a, b, c].into_iter().fold(MessageStatus::Queued, |now, next| {
                        if now.climbs_to(next) { next } else { now }
                    });
                    assert_eq!(end.rank(), a.rank().max(b.rank()).max(c.rank()));
                }
            }
        }
    }

    #[test]
    fn a_callback_survives_the_journey() {
        for journey in [0, 1, 300] {
            let callback = Callback { message_id: MessageId(uuid::Uuid::from_u128(7)), journey };
            assert_eq!(callback.to_string().parse(), Ok(callback));
        }
        assert_eq!("campaign-7".parse::<Callback>(), Err(ForeignCallback));
    }

    #[test]
    fn a_delivered_message_cannot_fail() {
        assert!(!MessageStatus::Delivered.climbs_to(MessageStatus::Failed));
        assert!(MessageStatus::Sent.climbs_to(MessageStatus::Failed));
        assert!(MessageStatus::Failed.climbs_to(MessageStatus::Delivered));
    }
}
