//! Lambda `consume-connections`.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), runtime::LambdaError> {
    runtime::consume(runtime::bootstrap("consume-connections"), consumers::connections::handle).await
}
