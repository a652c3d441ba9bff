//! Twilio and the gateways against the deployed functions: what is signed is the address that the world calls.

use testkit::{TenantOptions, new_phone};

use crate::flows::line::{Line, reaches, send};
use crate::product::{Deployed, Product as _};

#[tokio::test]
async fn customers_write_and_are_answered_by_every_channel() {
    let product = Deployed::start(TenantOptions { at_sandbox: false, ..TenantOptions::default() }).await;
    for (kind, last) in [("twilio_sms", "delivered"), ("evolution", "read"), ("uazapi", "read")] {
        let line = Line::open(&product, kind).await;
        line.writes(&product, &new_phone(), "Oi").await;
        let conversation =
            product.until("the conversation", async || line.conversations(&product).await.pop()).await;
        let sent = send(&product, &conversation, "Olá!").await.expect_status(202).body;
        reaches(&product, &sent["id"], last).await;
    }
}
