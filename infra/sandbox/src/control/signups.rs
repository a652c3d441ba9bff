//! `/_sandbox/signups`: a person goes through Meta's window, and the page is given a code.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Shared;
use crate::Line;
use crate::world::signups::{Grant, Number};

/// What the person chose.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Chosen {
    waba_id: String,
    #[serde(default)]
    numbers: Vec<Number>,
    /// The app that the window was of, if not the one of this product.
    app_id: Option<String>,
    /// What the person agreed to, if not to all.
    scopes: Option<Vec<String>>,
    /// How long ago that was, in milliseconds.
    #[serde(default)]
    age_ms: i64,
}

/// A code for what was chosen; its numbers are there from now on.
pub(super) async fn post(State(sandbox): Shared, Json(chosen): Json<Chosen>) -> Json<Value> {
    let code = format!("AQB{}", hex::encode(rand::random::<[u8; 60]>()));
    let token = format!("EAA{}", hex::encode(rand::random::<[u8; 60]>()));
    let app_id = chosen.app_id.unwrap_or_else(|| sandbox.config.facebook.client_id.clone());
    let all = ["business_management", "whatsapp_business_management", "whatsapp_business_messaging"];
    let scopes = chosen.scopes.unwrap_or_else(|| all.map(str::to_owned).to_vec());
    let mut world = sandbox.world();
    for number in chosen.numbers {
        world.lines.entry(number.phone_number_id.clone()).or_insert_with(|| Line {
            phone_number_id: number.phone_number_id.clone(),
            waba_id: chosen.waba_id.clone(),
            display_phone: number.display_phone.clone(),
            verified_name: number.verified_name.clone(),
            access_token: token.clone(),
            app_secret: String::new(),
            verify_token: String::new(),
            webhook_url: None,
        });
        world.signups.put(number);
    }
    let grant = Grant::of(chosen.waba_id, app_id, scopes);
    world.signups.grant(code.clone(), chosen.age_ms, token, grant);
    Json(json!({ "code": code }))
}

/// How far every number got, and how often Meta was asked for what: `{"calls": {"register 100…": 1}}`.
pub(super) async fn list(State(sandbox): Shared) -> Json<Value> {
    let world = sandbox.world();
    Json(json!({ "numbers": world.signups.numbers(), "calls": world.signups.calls() }))
}
