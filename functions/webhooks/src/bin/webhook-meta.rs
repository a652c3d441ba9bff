//! Lambda `webhook-meta`.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), runtime::LambdaError> {
    runtime::http::serve(webhooks::meta::router(), runtime::bootstrap("webhook-meta")).await
}
