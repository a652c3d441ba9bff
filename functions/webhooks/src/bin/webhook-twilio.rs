//! Lambda `webhook-twilio`.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), runtime::LambdaError> {
    runtime::http::serve(webhooks::twilio::router(), runtime::bootstrap("webhook-twilio")).await
}
