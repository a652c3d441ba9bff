//! Lambda `api-company`.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), runtime::LambdaError> {
    runtime::http::serve(api::serve(api::company::router()), runtime::bootstrap("api-company")).await
}
