//! Lambda `api-conversations`.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), runtime::LambdaError> {
    runtime::http::serve(api::serve(api::conversations::router()), runtime::bootstrap("api-conversations"))
        .await
}
