//! Lambda `api-sessions`.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), runtime::LambdaError> {
    runtime::http::serve(api::serve(api::sessions::router()), runtime::bootstrap("api-sessions")).await
}
