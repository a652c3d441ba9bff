//! Lambda `api-boards`.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), runtime::LambdaError> {
    runtime::http::serve(api::serve(api::boards::router()), runtime::bootstrap("api-boards")).await
}
