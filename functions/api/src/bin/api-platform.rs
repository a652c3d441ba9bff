//! Lambda `api-platform`.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), runtime::LambdaError> {
    runtime::http::serve(api::platform::router(), runtime::bootstrap("api-platform")).await
}
