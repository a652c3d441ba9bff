//! Lambda `realtime`.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), runtime::LambdaError> {
    realtime::run(runtime::bootstrap("realtime")).await
}
