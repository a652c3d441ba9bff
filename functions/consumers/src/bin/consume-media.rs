//! Lambda `consume-media`.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), runtime::LambdaError> {
    runtime::consume(runtime::bootstrap("consume-media"), consumers::media::handle).await
}
