//! Lambda `webhook-gateway`.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), runtime::LambdaError> {
    runtime::http::serve(webhooks::gateway::router(), runtime::bootstrap("webhook-gateway")).await
}
