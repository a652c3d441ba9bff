//! What providers send: every documented shape, and of Meta every signature and what must be refused.

pub(crate) mod channels;
mod edges;
mod fixtures;
mod signatures;

use std::path::PathBuf;

use serde_json::Value;

/// Documented bodies of the Cloud API.
fn fixtures_folder() -> PathBuf {
    testkit::stack::checkout().join("tests/fixtures/whatsapp_cloud")
}

fn fixture(name: &str) -> String {
    let path = fixtures_folder().join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn fixture_json(name: &str) -> Value {
    serde_json::from_str(&fixture(name)).unwrap()
}
