//! Lambda `consume-mail`.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), runtime::LambdaError> {
    runtime::consume(runtime::bootstrap("consume-mail"), consumers::mail::handle).await
}
