//! Lambda `consume-erasures`.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), runtime::LambdaError> {
    runtime::consume(runtime::bootstrap("consume-erasures"), consumers::erasures::handle).await
}
