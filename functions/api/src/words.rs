//! The words that a field of the API may hold, as the OpenAPI document lists them. They are read off the types that the
//! handlers work with, so that none is forgotten.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::value::Error;
use serde::de::{Deserializer, Error as _, Visitor};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

/// Schemas by their names in the document; each stands where a field's `value_type` says so.
macro_rules! words {
    ($($name:ident: $words:expr, $about:literal;)*) => {$(
        #[doc = $about]
        pub(crate) struct $name;

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                let words: Vec<&str> = $words.to_vec();
                ObjectBuilder::new()
                    .schema_type(Type::String)
                    .enum_values(Some(words))
                    .description(Some($about))
                    .into()
            }
        }

        impl ToSchema for $name {
            fn name() -> Cow<'static, str> {
                Cow::Borrowed(stringify!($name))
            }
        }
    )*};
}

words! {
    Role: of::<domain::user::Role>(), "A person's place in a company, from the widest rights to the narrowest.";
    Permission: of::<domain::user::Permission>(), "One thing that a caller may do.";
    Locale: of::<domain::user::Locale>(), "The language of mails.";
    Direction: of::<domain::message::Direction>(), "From the customer, or to them.";
    Author: of::<domain::message::Author>(), "Who wrote a message.";
    MessageType: of::<domain::message::MessageType>(), "What kind of message it is.";
    MediaPurpose: of::<domain::media::Purpose>(), "What a file is for.";
    MediaState: of::<domain::media::MediaState>(), "How far a file got.";
    MediaReason: of::<domain::media::MediaReason>(), "Why a file is refused or gone.";
    UploadPurpose: of::<crate::media::UploadPurpose>(), "What an upload is for.";
    Delimiter: of::<domain::csv::Delimiter>(), "What stands between two cells of a file.";
    Encoding: of::<domain::csv::Encoding>(), "How the letters of a file are written.";
    TransferState: of::<domain::transfer::TransferState>(), "Where an import or an export stands.";
    MessageStatus: of::<domain::message::MessageStatus>(), "How far a message got.";
    SessionStatus: of::<domain::session::SessionStatus>(), "Where a session stands.";
    StartedBy: of::<domain::session::StartedBy>(), "Who began a session.";
    ClosedSessions: of::<domain::session::ClosedSessions>(),
        "What a customer's message does when their last session is over: `stay_closed` keeps it, and nothing automatic \
         happens.";
    ConnectionKind: of::<domain::connection::ConnectionKind>(), "What a connection is to.";
    ConnectionState: of::<domain::connection::ConnectionState>(), "How a connection stands.";
    AddressKind: of::<domain::inbound::AddressKind>(), "Whose form an address has.";
    ContactChange: of::<domain::contact::ContactChange>(), "What was changed.";
    FieldType: of::<domain::contact::FieldType>(), "What a field of the company's own holds.";
    ConversationStatus: of::<crate::conversations::ConversationStatus>(), "Where a conversation stands.";
    StageKind: of::<domain::board::StageKind>(), "What it means to stand in a stage.";
    Obstacle: of::<domain::health::Obstacle>(), "What stands in a connection's way.";
    TemplateStatus: of::<domain::template::TemplateStatus>(), "Where a template stands with Meta.";
    TemplateCategory: of::<domain::template::Category>(), "What a template is for.";
    ParameterFormat: of::<domain::template::ParameterFormat>(), "How the variables of a template are called.";
    Submission: of::<domain::template::Submission>(), "What Meta was asked about a template, and has not done.";
    LeadChange: of::<domain::board::LeadChange>(), "What happened to a lead.";
    ErasureState: ["none", "running", "done"], "Whether a person is being forgotten.";
    ActorKind: ["person", "api_key", "system"], "Who acts.";
    Standing: ["ok", "unavailable"], "Whether it works.";
}

/// The words of a type, by the names that its derived `Deserialize` asks for.
fn of<T: for<'de> Deserialize<'de>>() -> &'static [&'static str] {
    let mut words: &'static [&'static str] = &[];
    // It never gets to a value: the names are all that is wanted of it.
    drop(T::deserialize(Names(&mut words)));
    words
}

struct Names<'a>(&'a mut &'static [&'static str]);

impl<'de> Deserializer<'de> for Names<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
        Err(Error::custom("no words"))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        names: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Error> {
        *self.0 = names;
        Err(Error::custom("no value"))
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_those_of_the_wire() {
        assert_eq!(of::<domain::user::Role>(), ["owner", "admin", "supervisor", "agent", "viewer"]);
        assert_eq!(of::<domain::session::SessionStatus>(), ["QUEUED", "ACTIVE", "PAUSED", "CLOSED"]);
        assert_eq!(of::<crate::conversations::ConversationStatus>(), ["open", "closed"]);
        assert!(of::<domain::message::MessageType>().contains(&"interactive"));
    }
}
