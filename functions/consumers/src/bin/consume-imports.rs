//! Lambda `consume-imports`.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), runtime::LambdaError> {
    runtime::consume(runtime::bootstrap("consume-imports"), consumers::imports::handle).await
}
