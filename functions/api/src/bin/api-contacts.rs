//! Lambda `api-contacts`.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), runtime::LambdaError> {
    runtime::http::serve(api::serve(api::contacts::router()), runtime::bootstrap("api-contacts")).await
}
