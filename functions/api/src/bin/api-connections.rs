//! Lambda `api-connections`.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), runtime::LambdaError> {
    runtime::http::serve(api::serve(api::connections::router()), runtime::bootstrap("api-connections")).await
}
