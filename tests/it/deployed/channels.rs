//! Twilio and the gateways against the deployed functions: what is signed is the address that the world calls.

use serde_json::{Value, json};
use testkit::{PATIENCE, Sandbox, Stack, Tenant, TenantOptions, eventually, new_id, new_phone};

#[tokio::test]
async fn customers_write_and_are_answered_by_every_channel() {
    let stack = Stack::load();
    let sandbox = Sandbox::of(&stack);
    let tenant = Tenant::seed(&stack, TenantOptions { at_sandbox: false, ..TenantOptions::default() }).await;
    for kind in ["twilio_sms", "evolution", "uazapi"] {
        let word = new_id().simple().to_string();
        let server = format!("{}/{kind}", stack.sandbox_url.trim_end_matches('/'));
        let sender = format!("+1650555{:04}", new_id().as_u128() % 10_000);
        let (provider, name, mut new) = match kind {
            "twilio_sms" => {
                let name = format!("AC{word}");
                let new = json!({ "account_sid": name, "auth_token": word, "sender": sender });
                ("twilio", name, new)
            }
            "evolution" => {
                let new = json!({ "base_url": server, "instance": word, "api_key": word });
                (kind, word.clone(), new)
            }
            _ => (kind, word.clone(), json!({ "base_url": server, "token": word })),
        };
        let mut account = json!({ "provider": provider, "name": name, "secret": word, "number": sender });
        sandbox.post("accounts", &account).await;
        (new["kind"], new["name"]) = (kind.into(), "Loja".into());
        let made = tenant.api.post("connections", &new).await.expect_status(201).body;
        let path = format!("connections/{}", made["id"].as_str().unwrap());
        eventually(&format!("{kind} to be connected"), PATIENCE, async || {
            let shown = tenant.api.get(&path).await.expect_status(200).body;
            (shown["state"] == "connected").then_some(())
        })
        .await;
        if provider == "twilio" {
            account["webhook_url"] = made["webhook_url"].clone();
            sandbox.post("accounts", &account).await;
        }
        let phone = new_phone();
        let from = phone.trim_start_matches('+');
        let said = json!({ "provider": provider, "name": name, "from": from, "text": "Oi" });
        let answer = sandbox.post("accounts/inbound", &said).await;
        assert_eq!(answer["webhook"], 200, "{kind}: {answer}");
        let conversations = format!("conversations?connection_id={}", made["id"].as_str().unwrap());
        let conversation: Value = eventually("the conversation", PATIENCE, async || {
            tenant.api.all(&conversations, 10).await.into_iter().next()
        })
        .await;
        let text = json!({ "conversation_id": conversation["id"], "type": "text", "text": "Olá!" });
        let sent = tenant.api.post("messages", &text).await.expect_status(202).body;
        let path = format!("messages/{}", sent["id"].as_str().unwrap());
        eventually(&format!("{kind} to deliver"), PATIENCE, async || {
            let message = tenant.api.get(&path).await.expect_status(200).body;
            ["delivered", "read"].contains(&message["status"].as_str().unwrap()).then_some(())
        })
        .await;
    }
}
