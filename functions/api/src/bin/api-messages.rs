//! Lambda `api-messages`.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), runtime::LambdaError> {
    runtime::http::serve(api::serve(api::messages::router()), runtime::bootstrap("api-messages")).await
}
