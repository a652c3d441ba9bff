//! Lambda `consume-turns`.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), runtime::LambdaError> {
    runtime::consume(runtime::bootstrap("consume-turns"), consumers::turns::handle).await
}
