//! The HTTP API: one Lambda a group of routes, one file a group. A handler extracts, authorises, makes one call and shapes
//! the answer. Those without a [`runtime::http::Caller`] are public.
//!
//! Rooms: [`auth`] · [`company`] · [`contacts`] with [`lists`], [`segments`], [`merges`] and [`erasures`] · [`conversations`] ·
//! [`messages`] · [`media`] · [`sessions`] · [`boards`] with [`leads`] · [`connections`] with [`templates`] · [`platform`] health and the OpenAPI document, which is
//! made from the handlers of all groups · `answers` what it says of all of them · `words` what its fields may hold · [`group`]
//! what they are made of.

mod answers;
pub mod auth;
pub mod boards;
pub mod company;
pub mod connections;
pub mod contacts;
pub mod conversations;
pub mod erasures;
pub mod group;
pub mod leads;
pub mod lists;
pub mod media;
pub mod merges;
pub mod messages;
pub mod platform;
pub mod segments;
pub mod sessions;
pub mod templates;
mod words;

use app::App;
use axum::Router;

use group::Group;

/// Every path begins with this.
pub const PREFIX: &str = "/api/v1";

/// The groups by the names of their Lambdas; what is left is [`platform`]'s.
pub fn groups() -> [(&'static str, Group); 9] {
    [
        ("api-auth", auth::router()),
        ("api-boards", boards::router()),
        ("api-company", company::router()),
        ("api-connections", connections::router()),
        ("api-contacts", contacts::router()),
        ("api-conversations", conversations::router()),
        ("api-media", media::router()),
        ("api-messages", messages::router()),
        ("api-sessions", sessions::router()),
    ]
}

/// The routes of one group as its Lambda serves them.
pub fn serve(group: Group) -> Router<App> {
    group.serve(PREFIX)
}
