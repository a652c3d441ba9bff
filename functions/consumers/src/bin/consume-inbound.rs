//! Lambda `consume-inbound`.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), runtime::LambdaError> {
    runtime::consume(runtime::bootstrap("consume-inbound"), consumers::inbound::handle).await
}
