//! The providers from outside: fixtures in, calls out against stand-in servers.

#![expect(clippy::unwrap_used, reason = "a failing unwrap is a failing test")]

mod channels;
mod guard;
mod oauth_facebook;
mod oauth_google;
mod openai;
mod signature;
mod split;
mod whatsapp_client;
mod whatsapp_errors;
mod whatsapp_fixtures;
mod whatsapp_signup;
mod whatsapp_templates;
mod whatsapp_token;

/// The text of a fixture, `folder/name.json`.
fn fixture(path: &str) -> String {
    std::fs::read_to_string(fixtures().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn fixtures() -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures")
}

/// A client as the runtime makes it: the connect timeout is shorter than every other.
#[expect(clippy::disallowed_methods, reason = "the tests play the runtime, which makes the client")]
fn http() -> reqwest::Client {
    reqwest::Client::builder().connect_timeout(std::time::Duration::from_secs(3)).build().unwrap()
}
