//! Lambda `consume-outbound`.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), runtime::LambdaError> {
    runtime::consume(runtime::bootstrap("consume-outbound"), consumers::outbound::handle).await
}
