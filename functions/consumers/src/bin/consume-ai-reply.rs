//! Lambda `consume-ai-reply`.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), runtime::LambdaError> {
    runtime::consume(runtime::bootstrap("consume-ai-reply"), consumers::ai_reply::handle).await
}
