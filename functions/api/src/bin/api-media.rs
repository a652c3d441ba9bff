//! Lambda `api-media`.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), runtime::LambdaError> {
    runtime::http::serve(api::serve(api::media::router()), runtime::bootstrap("api-media")).await
}
