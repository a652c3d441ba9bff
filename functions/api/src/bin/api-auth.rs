//! Lambda `api-auth`.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), runtime::LambdaError> {
    runtime::http::serve(api::serve(api::auth::router()), runtime::bootstrap("api-auth")).await
}
