//! Embedded Signup against the deployed functions: with their rights, their settings, and the address that the world calls.

use serde_json::{Value, json};
use testkit::{PATIENCE, Sandbox, Stack, Tenant, TenantOptions, eventually, new_id, new_phone};

/// A person of the company chose a number in Meta's window, and it works; the number's id and the connection.
pub(super) async fn sign_up(tenant: &Tenant, sandbox: &Sandbox) -> (String, Value) {
    let new_account = || (300_000_000_000_000 + new_id().as_u128() % 99_999_999_999_999).to_string();
    let (waba_id, number) = (new_account(), new_account());
    let numbers = json!([{
        "phone_number_id": number, "display_phone": new_phone().trim_start_matches('+'), "verified_name": "Loja",
    }]);
    let chosen = sandbox.post("signups", &json!({ "waba_id": waba_id, "numbers": numbers })).await;
    let body = json!({ "code": chosen["code"], "waba_id": waba_id, "phone_number_id": number });
    let made = tenant.api.post("connections/whatsapp-cloud/embedded-signup", &body).await;
    let made = made.expect_status(201).body;
    let path = format!("connections/{}", made["id"].as_str().unwrap());
    eventually("the number to be connected", PATIENCE, async || {
        let shown = tenant.api.get(&path).await.expect_status(200).body;
        (shown["state"] == "connected").then_some(())
    })
    .await;
    (number, made)
}

#[tokio::test]
async fn a_number_of_metas_window_is_written_to_and_answers() {
    let stack = Stack::load();
    let sandbox = Sandbox::of(&stack);
    let tenant = Tenant::seed(&stack, TenantOptions { at_sandbox: false, ..TenantOptions::default() }).await;
    let (number, made) = sign_up(&tenant, &sandbox).await;
    sandbox.customer_writes(&number, &new_phone(), "Ana Exemplo", "Oi").await;
    let conversations = format!("conversations?connection_id={}", made["id"].as_str().unwrap());
    let conversation: Value = eventually("the conversation", PATIENCE, async || {
        tenant.api.all(&conversations, 10).await.into_iter().next()
    })
    .await;
    let text = json!({ "conversation_id": conversation["id"], "type": "text", "text": "Olá!" });
    let sent = tenant.api.post("messages", &text).await.expect_status(202).body;
    let path = format!("messages/{}", sent["id"].as_str().unwrap());
    eventually("the answer to be read", PATIENCE, async || {
        let message = tenant.api.get(&path).await.expect_status(200).body;
        ["delivered", "read"].contains(&message["status"].as_str().unwrap()).then_some(())
    })
    .await;
}
